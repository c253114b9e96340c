"""What the job collects: from any exchange, into the store, examined, and with a report."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pytest
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.candle_store import collect, gather, store
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.settings import CostSettings, ExchangeSettings, TrendbotSettings

from tests.killing import killed_at
from tests.trendbot.conftest import DAY, FIRST_HOUR, HOUR, make_candles, silent
from tests.trendbot.corruption import CORRUPTIONS
from tests.trendbot.fake_market import FUNDING_EVERY, Market, candles_at, put_in_place, timeouts

BTC, ETH, SPOT = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT"
DAYS = 100
COUNT = DAYS * 24


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Market:
    """A hundred days of one symbol."""
    made = Market({BTC: make_candles(COUNT, seed=3)})
    put_in_place(monkeypatch, made)
    return made


def pipeline_in(folder: Path, *symbols: str, **settings: Any) -> TrendPipeline:
    return TrendPipeline(TrendbotSettings(symbols=symbols or (BTC,), **settings), home=folder)


def collected(folder: Path, *symbols: str, days: float = DAYS, **settings: Any) -> CandleWindow:
    return pipeline_in(folder, *symbols, **settings).collect(days=days, progress=silent)


def test_the_window_holds_what_the_exchange_has_and_says_so(market: Market, tmp_path: Path) -> None:
    window = collected(tmp_path)
    candles = make_candles(COUNT, seed=3)
    for ours, theirs in zip(window.markets[BTC].columns(), candles.columns(), strict=True):
        assert np.array_equal(ours, theirs)
    settled = candles.time % FUNDING_EVERY == 0
    assert np.array_equal(window.markets[BTC].funding, np.where(settled, 0.0001, 0.0))
    info = window.info
    assert (info.start, info.end, info.rows, info.warnings) == (FIRST_HOUR, FIRST_HOUR + DAYS * DAY, COUNT, ())
    report = json.loads(json.dumps(info.report, allow_nan=False))
    assert report["source"] == "bybit"
    assert report["summary"] == {
        "source": "bybit, 1h",
        BTC: "2400 candles from 2017-07-14T00:00:00Z to 2017-10-21T23:00:00Z, 0 missing, 0 repaired, 0 revised",
        "warnings": "none",
    }
    part = report["symbols"][BTC]
    assert (part["rows"], part["from_store"], part["fetched"], part["findings"]) == (COUNT, 0, COUNT, [])
    assert part["fingerprint"] == window.markets[BTC].fingerprint()
    assert part["funding"]["rows"] == DAYS * 3


def test_a_second_time_only_the_overlap_is_asked_for_and_the_window_is_the_same(market: Market, tmp_path: Path) -> None:
    first = collected(tmp_path)
    market.requests.clear()
    second = collected(tmp_path)
    assert market.requests == [
        (BTC, FIRST_HOUR + (COUNT - 24) * HOUR),
        (f"funding of {BTC}", FIRST_HOUR + (COUNT - 72) * HOUR),
    ]
    assert second.info.fingerprint == first.info.fingerprint
    assert second.info.report["symbols"][BTC]["from_store"] == COUNT


def test_an_exchange_that_fails_for_a_while_is_insisted_on_and_one_that_goes_on_failing_costs_nothing(
    market: Market, tmp_path: Path
) -> None:
    market.failures = [*timeouts(4), ccxt.RateLimitExceeded("slower"), ccxt.BadResponse("half an answer")]
    collected(tmp_path / "patient")

    market.page = 100
    market.failures = []
    answers = iter(range(10))
    whole = market._answers

    def ten_answers(what: str, since: int) -> bool:
        if next(answers, None) is None:
            market.failures = timeouts(1)
        return whole(what, since)

    market._answers = ten_answers  # type: ignore[method-assign]
    with pytest.raises(DataError) as raised:
        collected(tmp_path)
    assert str(raised.value) == (
        f"collecting candles of {BTC}: the exchange did not answer 8 times (RequestTimeout: no answer)"
    )
    market._answers = whole  # type: ignore[method-assign]
    market.failures = []
    market.requests.clear()
    window = collected(tmp_path)
    assert [since for what, since in market.requests if what == BTC][1] == FIRST_HOUR + 10 * 100 * HOUR
    assert window.info.report["symbols"][BTC]["from_store"] == 1000


def test_answers_that_cannot_be_read_are_asked_for_again_candles_and_funding_alike(
    market: Market, tmp_path: Path
) -> None:
    whole = collected(tmp_path / "whole").info
    pages = len(market.requests)
    for unread in range(pages):
        market.requests.clear()
        market.silent = {unread}
        info = collected(tmp_path / str(unread)).info
        assert (info.fingerprint, info.warnings) == (whole.fingerprint, ())
        assert len(market.requests) == pages + 1


def test_funding_that_is_known_only_from_later_on_is_a_warning(market: Market, tmp_path: Path) -> None:
    market.funded_from = FIRST_HOUR + 40 * DAY
    assert collected(tmp_path).info.warnings == (
        f"{BTC}: no funding is known, and none counted, for 40 days, the most of them from 2017-07-14T00:00:00Z on",
    )


def test_what_an_exchange_refuses_for_good_is_said_and_not_insisted_on(market: Market, tmp_path: Path) -> None:
    market.failures = [ccxt.BadSymbol("no such thing")]
    with pytest.raises(DataError) as raised:
        collected(tmp_path)
    assert str(raised.value) == f"collecting candles of {BTC}: the exchange refuses (BadSymbol: no such thing)"
    assert len(market.requests) == 1


def test_a_job_that_is_killed_loses_nothing_that_was_committed(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "_PAGES_A_COMMIT", 2)
    market.page = 300
    whole = collected(tmp_path / "whole").info.fingerprint
    line, kept = 1, set()
    while killed_at(line, (gather, collect, store), partial(collected, tmp_path / str(line))):
        after = collected(tmp_path / str(line))
        kept.add(after.info.report["symbols"][BTC]["from_store"])
        assert after.info.fingerprint == whole
        line += 61
    assert {0, 600, 1200, COUNT} <= kept


def rows_of(market: Market, symbol: str = BTC) -> list[list[float | None]]:
    return market.rows[symbol]


def test_impossible_candles_are_named_and_set_aside_and_taken_when_the_exchange_puts_them_right(
    market: Market, tmp_path: Path
) -> None:
    rows = rows_of(market)
    good = [list(rows[row]) for row in (100, 101)]
    rows[100][3], rows[101][4] = 0.0, None
    rows.insert(300, [*rows[300][:4], 9000.0, 1.0])
    window = collected(tmp_path)
    assert window.info.warnings[:3] == (
        f"{BTC}: candle 301 (2017-07-26T12:00:00Z) does not come after the row before it: set aside",
        f"{BTC}: candle 100 (2017-07-18T04:00:00Z) holds a price that is not positive, and 1 more: set aside",
        f"{BTC}: candle 300 (2017-07-26T12:00:00Z) has its open or close outside high and low: set aside",
    )
    assert len(window.markets[BTC]) == COUNT - 3
    assert window.info.report["symbols"][BTC]["missing"] == 3
    rows[100:102] = good
    del rows[300]
    market.requests.clear()
    whole = collected(tmp_path)
    assert whole.info.report["symbols"][BTC]["from_store"] == COUNT - 3
    assert len(whole.markets[BTC]) == COUNT
    assert len(market.requests) < 8


def test_a_history_more_than_a_hundredth_of_which_is_impossible_stops_the_job(market: Market, tmp_path: Path) -> None:
    rows = rows_of(market)
    for row in range(100, 100 + COUNT // 100 + 1):
        rows[row][2] = 0.0
    with pytest.raises(
        DataError, match=r"candle 100 \(2017-07-18T04:00:00Z\) holds a price that is not positive, and 24 more$"
    ):
        collected(tmp_path)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_kind_of_impossible_candle_leaves_a_gap_and_no_error(name: str, market: Market, tmp_path: Path) -> None:
    rows = rows_of(market)
    rows[500:501] = CORRUPTIONS[name](rows[500])
    told = collected(tmp_path)
    assert len(told.markets[BTC]) == COUNT - 1
    assert any("missing at the exchange" in warning for warning in told.info.warnings)


def test_a_spike_stops_the_job_and_a_revision_puts_it_right(market: Market, tmp_path: Path) -> None:
    rows = rows_of(market)
    good = list(rows[COUNT - 9])
    rows[COUNT - 9][1:5] = [(value or 0) * 10 for value in good[1:5]]
    with pytest.raises(
        DataError, match=r"^BTC/USDT:USDT 1h: candle 2391 \(2017-10-21T15:00:00Z\) jumps by \+\d+% and back$"
    ):
        collected(tmp_path)
    rows[COUNT - 9] = good
    window = collected(tmp_path)
    assert window.info.warnings == (
        f"{BTC}: the exchange has revised 1 of the stored candles, the first of 2017-10-21T15:00:00Z",
    )
    assert window.info.report["symbols"][BTC]["revised"] == {"count": 1, "times": ["2017-10-21T15:00:00Z"]}


def test_gaps_short_histories_and_revisions_are_warnings(market: Market, tmp_path: Path) -> None:
    del rows_of(market)[500:503]
    window, gap = collected(tmp_path, days=730), "2017-08-03T20:00:00Z"
    assert window.info.warnings == (
        f"{BTC}: 3 of 2400 candles are missing at the exchange, the longest gap being of 3 from {gap} on",
        f"{BTC}: the exchange has 100 of the 730 days asked for",
    )
    part = window.info.report["symbols"][BTC]
    assert (part["missing"], part["gaps"]) == (3, [{"from": gap, "bars": 3}])


def test_symbols_whose_clocks_differ_stop_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = make_candles(COUNT, seed=3)
    fast = np.r_[0:600, 604:COUNT]
    columns = [column[fast] for column in ours.columns()[1:]]
    shifted = candles_at(ours.time[: COUNT - 4], columns)
    put_in_place(monkeypatch, Market({BTC: ours, ETH: ours}))
    assert collected(tmp_path / "straight", BTC, ETH).info.warnings == ()
    put_in_place(monkeypatch, Market({BTC: ours, ETH: shifted}))
    what = (
        rf"^in the 7 days from 2017-08-\d\dT00:00:00Z on, {BTC} goes as {ETH} does 4 h earlier \(correlation 1\.00, at"
    )
    with pytest.raises(DataError, match=what):
        collected(tmp_path, BTC, ETH)


def test_a_candle_that_was_stored_while_it_formed_is_replaced(market: Market, tmp_path: Path) -> None:
    """An exchange whose clock is ahead passes off as over what is going on."""
    last = rows_of(market)[-1]
    final, last[4] = last[4], (last[1] or 0)
    last[2], last[3] = max(last[1] or 0, last[2] or 0), min(last[1] or 0, last[3] or 0)
    collected(tmp_path)
    last[4] = final
    window = collected(tmp_path)
    assert window.markets[BTC].close[-1] == final
    assert window.info.report["symbols"][BTC]["revised"]["count"] == 1


def test_an_exchange_without_a_clock_goes_by_this_machine_s_and_a_spot_market_has_no_funding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market({SPOT: make_candles(COUNT, seed=3)})
    market.has = {"fetchTime": None, "fetchOHLCV": True}
    put_in_place(monkeypatch, market)
    window = collected(tmp_path, SPOT)
    assert window.info.rows == COUNT
    assert window.info.report["symbols"][SPOT]["funding"] is None
    assert not window.markets[SPOT].funding.any()


def test_funding_that_ccxt_cannot_fetch_may_be_set(market: Market, tmp_path: Path) -> None:
    market.has["fetchFundingRateHistory"] = None
    with pytest.raises(DataError) as raised:
        collected(tmp_path)
    assert str(raised.value) == (
        f"trendbot.costs.funding: ccxt cannot fetch what venue settles in {BTC}; set it to fixed"
    )
    fixed = collected(tmp_path, costs=CostSettings(funding="fixed", funding_ratio=0.0002))
    assert fixed.markets[BTC].funding.max() == 0.0002


def test_a_funding_rate_that_nobody_settles_stops_the_job(market: Market, tmp_path: Path) -> None:
    market.rate = 0.4
    with pytest.raises(DataError, match=rf"^{BTC} 1h: the funding of 2017-07-14T00:00:00Z is 0\.4, and 299 more$"):
        collected(tmp_path / "wrong")
    market.rate = None
    with pytest.raises(DataError, match=r"the funding of .* came without its rate"):
        collected(tmp_path)


def test_a_timeframe_that_an_exchange_does_not_offer_is_named(market: Market, tmp_path: Path) -> None:
    market.timeframes = {"1m": "1", "1d": "1440"}
    with pytest.raises(DataError) as raised:
        collected(tmp_path)
    assert str(raised.value) == "trendbot.timeframe: venue has no candles of 1h, of ['1m', '1d'] only"


def test_a_market_without_candles_is_named(market: Market, tmp_path: Path) -> None:
    rows_of(market).clear()
    with pytest.raises(DataError) as raised:
        collected(tmp_path)
    assert str(raised.value) == f"the exchange has no candles of {BTC} 1h from 2017-07-14T00:00:00Z on"


def test_a_symbol_that_is_no_longer_listed_is_left_out_and_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Market({BTC: make_candles(COUNT, seed=3), ETH: make_candles(COUNT, seed=4)})
    put_in_place(monkeypatch, both)
    assert list(collected(tmp_path, BTC, ETH).markets) == [BTC, ETH]
    del both.markets[BTC]
    window = collected(tmp_path, BTC, ETH)
    assert list(window.markets) == [ETH]
    assert window.info.warnings == (f"{BTC}: the exchange does not list it, and nothing is trained or judged on it",)
    assert window.info.report["unlisted"] == [BTC]
    assert window.info.fingerprint == collected(tmp_path, ETH).info.fingerprint
    with pytest.raises(DataError, match=rf"^trendbot\.symbols: venue lists no '{BTC}'$"):
        collected(tmp_path, BTC)


def test_every_exchange_test_network_and_place_has_data_of_its_own(market: Market, tmp_path: Path) -> None:
    for exchange, name in (
        (ExchangeSettings(), "bybit"),
        (ExchangeSettings(testnet=True), "bybit-testnet"),
        (ExchangeSettings(id="binance"), "binance"),
        (ExchangeSettings(rest_url="http://user:secret@127.0.0.1:8701/api"), "bybit%40127.0.0.1%3A8701"),
    ):
        window = collected(tmp_path, exchange=exchange)
        assert window.info.report["symbols"][BTC]["from_store"] == 0
        assert (tmp_path / "data" / name / "BTC%2FUSDT%3AUSDT-1h.parquet").exists()
    assert len(list((tmp_path / "data").iterdir())) == 4


def test_the_data_lies_in_the_home_of_the_settings(market: Market, tmp_path: Path) -> None:
    document = {"home": str(tmp_path / "home"), "trendbot": {"data_dir": "history"}}
    TrendPipeline.from_settings(document).collect(days=DAYS, progress=silent)
    assert (tmp_path / "home" / "history" / "bybit").is_dir()
