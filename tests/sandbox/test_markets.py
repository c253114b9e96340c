"""A second market beside the first: where its candles come from, when they are, and its weekends."""

from __future__ import annotations

import asyncio
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings import euro, sample
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.recordings.markets import load_markets, read_own_candles
from nightdesk_sandbox.recordings.sample import EURO, load_sample
from nightdesk_sandbox.settings import SandboxSettings
from pydantic import ValidationError

from tests.sandbox.conftest import (
    WAIT_SECONDS,
    ProClient,
    RestClient,
    ServeExchange,
    Subscriber,
    make_candles,
    write_csv,
)

CACHE = Path(__file__).resolve().parents[2] / "var" / "cache"
BOTH = {"symbols": ("BTCUSDT", "EURUSDT"), "cache_dir": CACHE}
BITCOIN, EURO_DOLLAR = "BTC/USDT:USDT", "EUR/USDT:USDT"
HOUR = 3600


@pytest.fixture(scope="module")
def real() -> RecordedCandles:
    """EUR/USD, from the network only where the checkout's cache is empty."""
    return load_sample(EURO, folder=CACHE)


def weekends(candles: RecordedCandles) -> list[int]:
    """Return the opens of the last candles before gaps of a day or more."""
    times: list[int] = candles.time[:-1][np.diff(candles.time) > 24 * HOUR].tolist()
    return times


def test_the_second_sample_is_a_year_of_hours_with_its_weekends(real: RecordedCandles) -> None:
    assert (len(real), real.price_decimals) == (6225, 5)
    assert (real.time[0], real.end) == (1_483_308_000, 1_514_584_800)
    assert len(weekends(real)) == 51
    assert 1.03 < real.low.min() < real.high.max() < 1.21


def test_it_is_closed_at_weekends_and_when_its_candles_are_over_and_open_in_a_shorter_pause(
    real: RecordedCandles,
) -> None:
    now = 0.0
    chart = HourlyCandles(real, now=lambda: now)

    def closed(at: float) -> bool:
        nonlocal now
        now = at
        return chart.closed

    last = weekends(real)[0]
    opens = int(real.time[np.searchsorted(real.time, last) + 1])
    moments = (last, last + HOUR - 1, last + HOUR, opens - 1, opens, real.end - 1, real.end)
    assert [closed(moment) for moment in moments] == [False, False, True, True, False, False, True]
    pauses = np.flatnonzero((np.diff(real.time) > HOUR) & (np.diff(real.time) < 5 * HOUR))
    assert not any(closed(int(real.time[index]) + HOUR + 1) for index in pauses)


def test_it_is_moved_to_end_with_the_first(real: RecordedCandles) -> None:
    markets = load_markets(SandboxSettings(symbols=("BTCUSDT", "EURUSDT"), cache_dir=CACHE), home=CACHE)
    assert list(markets) == ["BTCUSDT", "EURUSDT"]
    first, second = markets.values()
    assert first.end == second.end
    assert np.array_equal(np.diff(second.time), np.diff(real.time))
    assert np.array_equal(second.close, real.close)


def test_alone_it_keeps_its_times(real: RecordedCandles) -> None:
    alone = load_markets(SandboxSettings(symbols=("EURUSDT",), cache_dir=CACHE), home=CACHE)
    assert alone["EURUSDT"].fingerprint == real.fingerprint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"symbols": []}, "at least 1 item"),
        ({"symbols": ["BTCUSDT", "BTCUSDT"]}, "symbols names a market twice"),
        ({"symbols": ["ETH/USDT"]}, "String should match pattern"),
        ({"symbols": ["BTCUSDT", "ETHUSDT"]}, r"ETHUSDT, of which there is no sample: name a file .* ethusdt\.csv"),
        ({"candles": {"EURUSDT": "mine.csv"}}, "candles has a file for EURUSDT, which symbols does not name"),
        ({"candles": {"file": "mine.csv", "timezone": "Berlin"}}, "is no time zone of the tz database"),
        ({"candles": {"BTCUSDT": {"file": "mine.csv", "zone": "UTC"}}}, "Extra inputs are not permitted"),
        ({"funding_rate": 0.01}, "less than or equal to 0.005"),
        ({"requests_per_second": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_contradict_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SandboxSettings.model_validate(values)


def own(tmp_path: Path, **spans: tuple[int, int]) -> SandboxSettings:
    """Return settings with a file for each symbol, of so many hours from such an hour on."""
    for symbol, (first, count) in spans.items():
        candles = make_candles(count, seed=count)
        write_csv(replace(candles, time=candles.time + first * HOUR), tmp_path / f"{symbol}.csv")
    files = {symbol: Path(f"{symbol}.csv") for symbol in spans}
    return SandboxSettings(symbols=tuple(spans), candles=files, replay_days=2)


def test_every_symbol_may_have_a_file_of_its_own_and_each_keeps_its_times(tmp_path: Path) -> None:
    settings = own(tmp_path, ETHUSDT=(0, 200), SOLUSDT=(50, 300), BTCUSDT=(0, 180))
    markets = load_markets(settings, home=tmp_path)
    assert list(markets) == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    begin = int(markets["ETHUSDT"].time[0])
    assert (begin + 50 * HOUR, begin + 200 * HOUR) == (markets["SOLUSDT"].time[0], markets["SOLUSDT"].end)
    assert (begin, begin + 180 * HOUR) == (markets["BTCUSDT"].time[0], markets["BTCUSDT"].end)
    assert len({market.fingerprint for market in markets.values()}) == 3


@pytest.mark.parametrize("span", [(500, 100), (0, 100), (-300, 100)], ids=["later", "before the replay", "earlier"])
def test_files_with_no_hour_of_the_replay_in_common_are_refused(span: tuple[int, int], tmp_path: Path) -> None:
    settings = own(tmp_path, BTCUSDT=(0, 200), ETHUSDT=span)
    for look in (read_own_candles, load_markets):
        with pytest.raises(CandlesError) as raised:
            look(settings, home=tmp_path)
        assert re.fullmatch(
            r"ETHUSDT\.csv: its candles of ETHUSDT go from \S+ to \S+, and the replay, which BTCUSDT's set, from "
            r"2017-07-20T10:00:00Z to 2017-07-22T10:00:00Z: they have no hour in common; take a file of the same span, "
            r"or name another market first in sandbox\.symbols",
            str(raised.value),
        )


def test_a_file_beside_a_sample_of_other_years_is_refused(tmp_path: Path) -> None:
    write_csv(replace(make_candles(100), time=1_700_000_400 // HOUR * HOUR + HOUR * np.arange(100)), tmp_path / "e.csv")
    files = {"ETHUSDT": tmp_path / "e.csv"}
    settings = SandboxSettings(symbols=("BTCUSDT", "ETHUSDT"), candles=files, cache_dir=CACHE)
    assert list(read_own_candles(settings, home=tmp_path)) == ["ETHUSDT"]
    with pytest.raises(CandlesError, match="they have no hour in common"):
        load_markets(settings, home=tmp_path)


def test_a_file_that_cannot_be_read_is_refused_before_a_sample_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "fetch_sample", lambda _sample: pytest.fail("something was fetched"))
    settings = SandboxSettings(symbols=("BTCUSDT", "ETHUSDT"), candles={"ETHUSDT": Path("gone.csv")})
    with pytest.raises(CandlesError, match=r"gone\.csv: cannot be read"):
        load_markets(settings, home=tmp_path)


async def test_markets_of_several_files_are_served_to_their_common_end(
    tmp_path: Path, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    settings = own(tmp_path, ETHUSDT=(0, 100), SOLUSDT=(40, 100))
    async with serve(symbols=settings.symbols, candles=settings.candles, candles_per_second=1000) as handle:
        await http.post(f"{handle.url}/sandbox/resume")
        async with asyncio.timeout(WAIT_SECONDS):
            while not handle.exchange.replay.over:
                await asyncio.sleep(0.01)
        query = {"category": "linear", "symbol": "SOLUSDT", "interval": "60", "limit": "1"}
        async with http.get(f"{handle.url}/v5/market/kline", params=query) as answer:
            [last] = (await answer.json())["result"]["list"]
    assert int(last[0]) // 1000 == handle.exchange.replay.end - HOUR


async def test_ccxt_lists_both_markets_and_reads_both(
    serve: ServeExchange, rest_client: RestClient, candles: RecordedCandles, real: RecordedCandles
) -> None:
    async with serve(**BOTH) as handle:
        client = rest_client(handle)
        markets = await asyncio.to_thread(client.load_markets)
        assert {name: market["active"] for name, market in markets.items()} == {BITCOIN: True, EURO_DOLLAR: True}
        assert markets[EURO_DOLLAR]["precision"] == {"price": 0.00001, "amount": 1.0}
        tickers = await asyncio.to_thread(client.fetch_tickers)
        rows = await asyncio.to_thread(lambda: client.fetch_ohlcv(EURO_DOLLAR, "1h", limit=1000))
    assert set(tickers) == {BITCOIN, EURO_DOLLAR}
    shifted = real.time + candles.end - real.end
    closed = int(np.searchsorted(shifted, rows[0][0] // 1000))
    assert [row[4] for row in rows[:900]] == real.close[closed : closed + 900].tolist()
    assert [row[0] // 1000 for row in rows[:900]] == shifted[closed : closed + 900].tolist()


async def test_instruments_come_page_by_page(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve(**BOTH) as handle:
        found, cursor = [], ""
        for _ in range(2):
            query = {"category": "linear", "limit": "1", "cursor": cursor}
            async with http.get(f"{handle.url}/v5/market/instruments-info", params=query) as answer:
                result = (await answer.json())["result"]
            found += [entry["symbol"] for entry in result["list"]]
            cursor = result["nextPageCursor"]
    assert (found, cursor) == (["BTCUSDT", "EURUSDT"], "")


async def test_over_a_weekend_there_is_no_candle_and_no_update_and_the_market_trades_on(
    serve: ServeExchange, http: aiohttp.ClientSession, rest_client: RestClient, real: RecordedCandles, tmp_path: Path
) -> None:
    bitcoin = make_candles(14 * 24)
    shifted = real.time + bitcoin.end - real.end
    weekend = weekends(real)[-1] + bitcoin.end - real.end
    euro_topic, bitcoin_topic = "kline.60.EURUSDT", "kline.60.BTCUSDT"
    own = write_csv(bitcoin, tmp_path / "own.csv")
    async with (
        serve(**BOTH, candles=own, replay_days=9, candles_per_second=200) as handle,
        http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket,
    ):
        subscriber = Subscriber(socket)
        await subscriber.ask(op="subscribe", args=[euro_topic, bitcoin_topic])
        seen: dict[str, list[int]] = {euro_topic: [], bitcoin_topic: []}
        asked = False
        async with asyncio.timeout(WAIT_SECONDS):
            while not seen[euro_topic] or seen[euro_topic][-1] < weekend + 60 * HOUR:
                message = await subscriber.receive()
                start = message["data"][0]["start"] // 1000
                if message["topic"] == bitcoin_topic and start == weekend + 20 * HOUR and not asked:
                    asked = True
                    markets = await asyncio.to_thread(rest_client(handle).load_markets)
                    assert {symbol for symbol in markets if markets[symbol]["active"]} == {BITCOIN}
                if message["data"][0]["confirm"]:
                    seen[message["topic"]].append(start)
                elif message["topic"] == euro_topic:
                    assert start in shifted
    assert asked
    for topic, times in ((euro_topic, shifted), (bitcoin_topic, bitcoin.time)):
        expected = times[times >= seen[topic][0]]
        assert seen[topic] == expected[: len(seen[topic])].tolist()
    assert 48 * HOUR in np.diff(seen[euro_topic]) or 50 * HOUR in np.diff(seen[euro_topic])


async def test_ccxt_watches_two_markets_over_one_connection(serve: ServeExchange, pro_client: ProClient) -> None:
    async with serve(**BOTH, replay_days=1) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        seen: set[str] = set()
        while seen != {BITCOIN, EURO_DOLLAR}:
            seen |= set(await client.watch_ohlcv_for_symbols([[BITCOIN, "1h"], [EURO_DOLLAR, "1h"]]))
        assert handle.exchange.status()["connections"] == 1


async def test_with_both_the_position_is_the_first_markets_and_survives(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    async with serve(**BOTH, candles_per_second=1000) as handle:
        await http.post(f"{handle.url}/sandbox/resume")
        async with asyncio.timeout(WAIT_SECONDS):
            while not handle.exchange.replay.over:
                await asyncio.sleep(0.01)
    async with serve() as handle:
        assert handle.exchange.replay.now() == candles.end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Date,Open\n", "line 1 must read Time,Open,High,Low,Close,Volume"),
        (
            b"Time,Open,High,Low,Close,Volume\n01.01.2017 22:00:00.000,1,2\n",
            "line 2 has 3 columns where 6 are expected",
        ),
        (b"Time,Open,High,Low,Close,Volume\n2017-01-01,1,1,1,1,1\n", r"line 2 cannot be read \(time data '2017-01-01'"),
        (b"Time,Open,High,Low,Close,Volume\n01.01.2017 22:00:00.000,1,1,x,1,1\n", "line 2 cannot be read"),
    ],
)
def test_another_file_than_the_published_one_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(CandlesError, match=message):
        euro.parse(content)


def test_a_wheel_with_something_else_in_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(published: sample.Sample, folder: Path) -> None:
        with zipfile.ZipFile(folder / published.archive, "w") as archive:
            archive.writestr("else.csv", "else")

    monkeypatch.setattr(sample, "_download", download)
    with pytest.raises(CandlesError, match=r"has no gym_anytrading/.*; leave EURUSDT out of `sandbox\.symbols`"):
        sample.fetch_sample(EURO)
