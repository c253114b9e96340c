"""What is found wrong with candles, each with its rows and times, and that real markets are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.recordings.sample import BITCOIN, EURO, Sample, load_sample
from nightdesk_trendbot.candle_store.alignment import check_alignment
from nightdesk_trendbot.candle_store.quality import Finding, check_coverage, check_rates, check_rows, check_series, gaps
from nightdesk_trendbot.signals.candles import Candles

from tests.trendbot.conftest import DAY, FIRST_HOUR, HOUR, make_candles
from tests.trendbot.fake_market import candles_at

GOOD = make_candles(400, seed=3)
CACHE = Path(__file__).resolve().parents[3] / "var" / "cache"


def spoilt(column: str, row: int, value: float) -> Callable[[Candles], Candles]:
    """Return what puts a value into one cell."""

    def spoil(candles: Candles) -> Candles:
        changed = getattr(candles, column).copy()
        changed[row] = value
        return replace(candles, **{column: changed})

    return spoil


WHEN = "2017-07-14T05:00:00Z"
BAD: dict[str, tuple[Callable[[Candles], Candles], str, str]] = {
    "a price that is NaN": (
        spoilt("close", 5, np.nan),
        "price",
        f"candle 5 ({WHEN}) holds a price that is not positive",
    ),
    "a price that is infinite": (
        spoilt("high", 5, np.inf),
        "price",
        f"candle 5 ({WHEN}) holds a price that is not positive",
    ),
    "a price of 0": (spoilt("low", 5, 0.0), "price", f"candle 5 ({WHEN}) holds a price that is not positive"),
    "a high below its close": (
        spoilt("high", 5, float(GOOD.low[5])),
        "range",
        f"candle 5 ({WHEN}) has its open or close outside high and low",
    ),
    "a low above its open": (
        spoilt("low", 5, float(GOOD.high[5])),
        "range",
        f"candle 5 ({WHEN}) has its open or close outside high and low",
    ),
    "a negative volume": (spoilt("volume", 5, -1.0), "volume", f"candle 5 ({WHEN}) has a negative volume"),
    "a volume that is NaN": (spoilt("volume", 5, np.nan), "volume", f"candle 5 ({WHEN}) has a negative volume"),
    "a row twice": (
        spoilt("time", 5, int(GOOD.time[4])),
        "order",
        "candle 5 (2017-07-14T04:00:00Z) does not come after the row before it",
    ),
    "a time between the hours": (
        spoilt("time", 5, int(GOOD.time[5]) + 1800),
        "time",
        "candle 5 (2017-07-14T05:30:00Z) does not open at a multiple of 3600 s",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_that_cannot_be_true_stops_and_is_named(what: str) -> None:
    spoil, kind, message = BAD[what]
    (finding,) = check_rows(spoil(GOOD))
    assert (finding.kind, finding.stops, finding.message, finding.rows) == (kind, True, message, (5,))


def test_of_several_bad_rows_the_first_is_named_and_all_are_counted() -> None:
    (finding,) = check_rows(spoilt("close", 9, -1.0)(spoilt("close", 7, np.nan)(GOOD)))
    assert finding.message == "candle 7 (2017-07-14T07:00:00Z) holds a price that is not positive, and 1 more"
    assert finding.to_json() == {
        "kind": "price",
        "stops": True,
        "message": finding.message,
        "count": 2,
        "rows": [7, 9],
        "times": ["2017-07-14T07:00:00Z", "2017-07-14T09:00:00Z"],
    }


@given(
    st.dictionaries(
        st.integers(0, 99),
        st.tuples(st.sampled_from(["open", "high", "low", "close", "volume"]), st.sampled_from([np.nan, np.inf, -1.0])),
    )
)
def test_exactly_the_rows_that_cannot_be_true_are_found(wrong: dict[int, tuple[str, float]]) -> None:
    candles = GOOD.slice(0, 100)
    for row, (column, value) in wrong.items():
        candles = spoilt(column, row, value)(candles)
    assert {row for finding in check_rows(candles) for row in finding.rows} == set(wrong)


@given(st.sets(st.integers(1, 98)))
def test_gaps_are_what_is_missing(missing: set[int]) -> None:
    kept = np.setdiff1d(np.arange(100), sorted(missing))
    found = gaps(GOOD.time[kept], HOUR)
    assert {int(time) for span in found for time in range(*span, HOUR)} == {int(GOOD.time[row]) for row in missing}


def test_good_candles_are_good() -> None:
    for count in (1, 2, 3, 400):
        candles = GOOD.slice(0, count)
        assert [*check_rows(candles), *check_series(candles), *check_alignment({"A": candles, "B": candles})] == []
    assert check_coverage(GOOD, days=16) == []


def test_missing_candles_and_a_short_history_warn() -> None:
    (finding,) = check_series(make_candles(400, seed=3, missing=(40, 41, 70)))
    assert (finding.kind, finding.stops) == ("gap", False)
    assert finding.message == (
        "3 of 400 candles are missing at the exchange, the longest gap being of 2 from 2017-07-15T16:00:00Z on"
    )
    assert finding.times == (FIRST_HOUR + 40 * HOUR, FIRST_HOUR + 70 * HOUR)
    assert [found.message for found in check_coverage(GOOD, days=30)] == [
        "the exchange has 17 of the 30 days asked for"
    ]


def bar_at(candles: Candles, row: int, factor: float, *, bars: int = 1) -> Candles:
    """Return the candles with some bars at another price; what comes after is as it was."""
    part = slice(row, row + bars)
    changed = {}
    for name in ("open", "high", "low", "close"):
        column = getattr(candles, name).copy()
        column[part] *= factor
        changed[name] = column
    return replace(candles, **changed)


@pytest.mark.parametrize("factor", [10.0, 0.1, 2.0])
def test_a_bar_at_which_the_price_jumps_and_returns_stops(factor: float) -> None:
    (finding,) = check_series(bar_at(GOOD, 200, factor))[:1]
    assert (finding.kind, finding.stops, finding.rows) == ("spike", True, (200,))
    change = factor * GOOD.close[200] / GOOD.close[199] - 1
    assert finding.message == f"candle 200 (2017-07-22T08:00:00Z) jumps by {change:+.0%} and back"


def crashed(change: float, *, recovered: float = 0.0) -> Candles:
    """Return candles that fall from one hour to the next, and recover a share of it in the one after that."""
    after = bar_at(GOOD, 200, 1 + change, bars=200)
    return bar_at(after, 201, (1 + change * (1 - recovered)) / (1 + change), bars=199)


@pytest.mark.parametrize("candles", [crashed(-0.5), crashed(-0.9), crashed(1.5), crashed(-0.4, recovered=0.4)])
def test_a_market_that_falls_and_stays_there_is_a_market(candles: Candles) -> None:
    assert [finding for finding in check_series(candles) if finding.stops] == []


def test_a_flash_crash_that_is_over_within_a_bar_is_a_market_up_to_where_nobody_has_seen_one() -> None:
    assert [finding.kind for finding in check_series(bar_at(GOOD, 200, 0.7))] == ["wick"]


def test_in_a_wild_market_a_wild_bar_is_no_spike() -> None:
    quiet = make_candles(400, seed=3)
    close = 9000 * np.exp(np.where(np.arange(400) % 2, 0.03, -0.03))
    wild = replace(quiet, open=close, close=close, high=close * 1.01, low=close * 0.99)
    assert [finding.kind for finding in check_series(bar_at(wild, 200, 2.0))] == ["wick"]
    assert [finding.kind for finding in check_series(bar_at(quiet, 200, 2.0))] == ["spike", "wick"]


def test_a_price_far_beyond_both_neighbours_warns_since_real_crashes_look_so() -> None:
    low = GOOD.low.copy()
    low[120] *= 0.3
    (finding,) = check_series(replace(GOOD, low=low))
    assert (finding.kind, finding.stops, finding.rows) == ("wick", False, (120,))


def test_a_day_without_volume_warns_and_less_does_not() -> None:
    volume = GOOD.volume.copy()
    volume[50:73] = 0
    assert check_series(replace(GOOD, volume=volume)) == []
    volume[100:130] = 0
    (finding,) = check_series(replace(GOOD, volume=volume))
    assert (finding.kind, finding.stops, finding.rows) == ("idle", False, (100,))
    assert finding.message.endswith("begins a stretch without any volume, the longest of 30 hours")


def test_hours_that_are_told_twice_betray_a_stretch_in_another_zone() -> None:
    """Rows 100 to 199 bear the time of a clock five hours behind: what it says from 195 on, UTC says again."""
    source = np.concatenate([np.arange(100), np.arange(105, 205), np.arange(200, 395)])
    columns = [column[source] for column in GOOD.columns()[1:]]
    (finding,) = check_series(candles_at(GOOD.time[:395], columns))
    assert (finding.kind, finding.stops, finding.rows) == ("shift", True, (200,))
    assert finding.message.endswith("begins 5 that are those of 5 h before once more: a stretch is shifted by hours")


def test_a_few_bars_that_are_those_of_many_hours_before_are_a_coincidence() -> None:
    source = np.arange(400)
    source[210:213] = np.arange(200, 203)
    assert check_series(candles_at(GOOD.time, [column[source] for column in GOOD.columns()[1:]])) == []


def test_bars_in_which_nothing_moves_may_look_alike() -> None:
    still = GOOD.slice(0, 1)
    columns = [np.full(200, column[0]) for column in still.columns()[1:]]
    flat = np.full(200, 100.0)
    assert check_series(Candles(GOOD.time[:200], flat, flat, flat, flat, columns[4], interval_seconds=HOUR)) == []


def sample(which: Sample) -> Candles:
    found = load_sample(which, folder=CACHE)
    return candles_at(found.time, (found.open, found.high, found.low, found.close, found.volume))


@pytest.mark.parametrize("which", [BITCOIN, EURO], ids=lambda which: which.cache_name)
def test_real_markets_stop_nothing(which: Sample) -> None:
    """Bitcoin's two wildest years, its crashes and its exchange's failures among them."""
    candles = sample(which)
    assert check_rows(candles) == []
    assert {finding.kind for finding in check_series(candles)} <= {"gap"}


def test_the_sample_as_it_was_published_is_stopped_for_its_hours_in_eastern_time() -> None:
    """The repaired sample with its times as they were: four hours behind from a September on, then five."""
    candles = sample(BITCOIN)
    eastern, standard, end = (1_506_110_400, 1_509_843_600, 1_510_459_200)  # 2017-09-22 20:00, 11-05 01:00, 11-12 04:00
    time = candles.time
    behind = np.where((time - 4 * HOUR >= eastern) & (time - 4 * HOUR < standard), 4, 0)
    behind = np.where((time - 5 * HOUR >= standard) & (time - 5 * HOUR < end), 5, behind)
    told = time - behind * HOUR
    twice = np.flatnonzero((behind > 0) & (time >= end))  # which the file has in UTC as well
    order = np.argsort(np.concatenate([told, time[twice]]), kind="stable")
    columns = [np.concatenate([column, column[twice]])[order] for column in candles.columns()[1:]]
    published = candles_at(np.concatenate([told, time[twice]])[order], columns)
    assert check_rows(published) == []
    (finding,) = [finding for finding in check_series(published) if finding.stops]
    assert finding.message == (
        "candle 3209 (2017-11-12T04:00:00Z) begins 5 that are those of 5 h before once more: "
        "a stretch is shifted by hours"
    )


def pair(*, alike: float, seed: int = 7, count: int = 4000) -> dict[str, Candles]:
    """Return two markets whose hourly returns have so much in common."""
    source = np.random.default_rng(seed)
    common, ours, theirs = (source.standard_t(4, count) * 0.004 for _ in range(3))
    found = {}
    for symbol, own in (("A", ours), ("B", theirs)):
        close = 100 * np.exp(np.cumsum(np.sqrt(alike) * common + np.sqrt(1 - alike) * own))
        found[symbol] = Candles(
            FIRST_HOUR + HOUR * np.arange(count), close, close * 1.001, close * 0.999, close, np.ones(count), HOUR
        )
    return found


def shifted(candles: Candles, hours: int, start: int, stop: int) -> Candles:
    """Return the candles with the rows [start, stop) as they were so many hours before."""
    source = np.arange(len(candles))
    source[start:stop] -= hours
    return candles_at(candles.time, [column[source] for column in candles.columns()[1:]])


@pytest.mark.parametrize("hours", [-5, -1, 2, 9])
def test_a_stretch_shifted_against_another_symbol_stops_and_both_are_named(hours: int) -> None:
    markets = pair(alike=0.8)
    markets["B"] = shifted(markets["B"], hours, 1000, 2000)
    (finding,) = check_alignment(markets)
    assert (finding.kind, finding.stops) == ("shift", True)
    later = f"A goes as B does {abs(hours)} h {'later' if hours > 0 else 'earlier'} (correlation 0."
    assert later in finding.message
    week = FIRST_HOUR + 6 * 7 * DAY
    assert week <= finding.times[0] <= week + 7 * DAY
    assert {times <= FIRST_HOUR + 2000 * HOUR for times in finding.times} == {True}


def test_four_hour_candles_are_held_against_each_other_as_well_and_days_cannot_be() -> None:
    markets = {
        symbol: replace(candles, time=FIRST_HOUR + (candles.time - FIRST_HOUR) * 4, interval_seconds=4 * HOUR)
        for symbol, candles in pair(alike=0.8).items()
    }
    assert check_alignment(markets) == []
    markets["B"] = replace(markets["B"], close=np.roll(markets["B"].close, 2))
    (finding,) = check_alignment(markets)
    assert finding.message.startswith("in the 28 days from 2017-07-")
    assert " A goes as B does 8 h later " in finding.message
    days = {
        symbol: replace(candles, time=candles.time * 6, interval_seconds=DAY) for symbol, candles in markets.items()
    }
    assert check_alignment(days) == []


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.9])
def test_markets_in_step_and_markets_with_nothing_in_common_are_left_in_peace(alike: float) -> None:
    assert check_alignment(pair(alike=alike)) == []


def test_two_real_markets_of_other_years_are_left_in_peace() -> None:
    markets: dict[str, Any] = {"BTC": sample(BITCOIN), "EUR": sample(EURO)}
    euro = markets["EUR"]
    markets["EUR"] = replace(euro, time=euro.time + markets["BTC"].time[-1] - euro.time[-1])
    assert check_alignment(markets) == []


def test_a_rate_of_funding_that_nobody_settles_stops() -> None:
    assert check_rates({0: 0.001, 28_800: -0.03}) == []
    (finding,) = check_rates({0: 0.001, 28_800: 0.5, 57_600: float("nan")})
    assert finding == Finding(
        "funding", True, "the funding of 1970-01-01T08:00:00Z is 0.5, and 1 more", (0, 1), (28_800, 57_600)
    )


def test_candles_longer_than_a_settlement_s_interval_are_charged_all_of_it() -> None:
    rates = {hour * 3600: 0.001 * (hour + 1) for hour in range(0, 48, 8)}

    def charged(count: int, interval: int) -> dict[int, float]:
        one = np.ones(count)
        candles = Candles(interval * np.arange(count), one, one, one, one, one, interval).with_funding(rates)
        return {int(at): float(rate) for at, rate in zip(candles.time, candles.funding, strict=True) if rate}

    assert charged(48, HOUR) == charged(12, 4 * HOUR) == rates
    assert charged(2, DAY) == pytest.approx({0: 0.001 * (1 + 9 + 17), DAY: 0.001 * (25 + 33 + 41)})


@pytest.mark.parametrize("hours", range(0, 7 * 24, 5))
def test_a_week_that_has_only_begun_says_nothing(hours: int) -> None:
    """The best of 29 lags over a handful of hours is chance, and stopped one healthy run in five."""
    for seed in range(4):
        markets = {
            symbol: make_candles(3 * 168 + hours + 1, seed=10 * seed + number) for number, symbol in enumerate("AB")
        }
        assert check_alignment(markets) == []
