"""The market's clock and what it shows. Above all: nothing of the future."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import VALUE_COLUMNS, RecordedCandles
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.replay import Replay, replay_start

from tests.sandbox.conftest import FIRST_HOUR, make_candles

HOURS = 12
CANDLES = make_candles(HOURS, missing=(7,))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def market(
    candles: RecordedCandles = CANDLES, *, hours: float = 0.0, start: int = FIRST_HOUR
) -> tuple[HourlyCandles, Clock]:
    """Return the chart of a running market of one candle a second, `hours` after its start."""
    clock = Clock()
    replay = Replay(start=start, end=candles.end, candles_per_second=1, clock=clock)
    replay.run()
    clock.seconds += hours
    return HourlyCandles(candles, now=replay.now), clock


def seen(chart: HourlyCandles) -> tuple[list[Candle], Candle | None]:
    """Return everything that a market shows."""
    return [chart.candle(index) for index in range(chart.confirmed())], chart.forming()


def with_another_future(candles: RecordedCandles, after: float, shift: int) -> RecordedCandles:
    """Return candles of the same tick that differ in every number that is not known yet at the time `after`."""
    unknown_open = candles.time > after
    unclosed = candles.time + candles.interval_seconds > after
    columns = {name: getattr(candles, name).copy() for name in VALUE_COLUMNS}
    columns["open"][unknown_open] += shift
    for name in ("high", "low", "close", "volume"):
        columns[name][unclosed] += shift
    columns["high"][unclosed] += 2000
    return replace(candles, **{name: np.round(column, 3) for name, column in columns.items()})


@given(hour=st.integers(0, HOURS - 1), shift=st.integers(1, 500))
def test_at_a_candles_open_nothing_depends_on_what_comes(hour: int, shift: int) -> None:
    now = FIRST_HOUR + hour * 3600
    ours, _ = market(hours=hour)
    theirs, _ = market(with_another_future(CANDLES, now, shift), hours=hour)
    assert seen(ours) == seen(theirs)


@given(moment=st.floats(0, HOURS, allow_nan=False), shift=st.integers(1, 500))
def test_within_a_candle_nothing_depends_on_later_candles(moment: float, shift: int) -> None:
    ours, _ = market(hours=moment)
    end_of_hour = FIRST_HOUR + (int(moment) + 1) * 3600 - 0.5
    theirs, _ = market(with_another_future(CANDLES, end_of_hour + 0.5, shift), hours=moment)
    assert seen(ours) == seen(theirs)


@given(moment=st.floats(0, HOURS, allow_nan=False))
def test_all_that_is_confirmed_has_closed_and_all_that_closed_is_confirmed(moment: float) -> None:
    chart, _ = market(hours=moment)
    now = chart.reached(None)
    confirmed, forming = seen(chart)
    assert [candle.time for candle in confirmed] == [time for time in CANDLES.time.tolist() if time + 3600 <= now]
    assert all(candle.confirmed for candle in confirmed)
    assert forming is None or (forming.time <= now < forming.end and not forming.confirmed)


@given(hour=st.sampled_from([0, 3, 6, 8, 11]), fractions=st.lists(st.floats(0, 0.999), min_size=2, max_size=8))
def test_a_forming_candle_only_grows_and_stays_within_what_it_becomes(hour: int, fractions: list[float]) -> None:
    chart, clock = market(hours=hour)
    steps: list[Candle] = []
    for fraction in sorted(fractions):
        clock.seconds = hour + fraction
        step = chart.forming()
        assert step is not None
        steps.append(step)
    clock.seconds = hour + 1
    steps.append(chart.candle(chart.confirmed() - 1))
    for before, after in pairwise(steps):
        assert before.low <= min(before.open, before.close)
        assert max(before.open, before.close) <= before.high
        assert (before.time, before.open) == (after.time, after.open)
        assert after.low <= before.low
        assert before.high <= after.high
        assert before.volume <= after.volume


def test_at_its_open_a_candle_is_its_open_only() -> None:
    chart, _ = market(hours=3)
    forming = chart.forming()
    assert forming is not None
    assert {forming.open, forming.high, forming.low, forming.close} == {float(CANDLES.open[3])}
    assert forming.volume == 0


def test_the_path_reaches_both_extremes_and_ends_in_the_close() -> None:
    chart, clock = market(hours=3)
    clock.seconds = 3 + 2 / 3 + 1e-9
    forming = chart.forming()
    assert forming is not None
    assert (forming.high, forming.low) == (CANDLES.high[3], CANDLES.low[3])
    clock.seconds = 4 - 1e-6
    forming = chart.forming()
    assert forming is not None
    assert forming.close == pytest.approx(CANDLES.close[3], abs=0.01)


def test_the_order_of_the_extremes_does_not_tell_where_a_candle_closes() -> None:
    candles = make_candles(400)
    chart, _ = market(candles, hours=400)
    low_first = np.array([chart.update(index, 0.2).low < candles.open[index] for index in range(400)])
    rising = candles.close > candles.open
    assert 0.4 < low_first.mean() < 0.6
    assert 0.4 < (low_first == rising).mean() < 0.6


def test_an_hour_that_the_candles_lack_shows_no_candle() -> None:
    chart, clock = market(hours=7.5)
    assert chart.forming() is None
    assert chart.confirmed() == 7
    clock.seconds = 8.5
    forming = chart.forming()
    assert forming is not None
    assert forming.time == FIRST_HOUR + 8 * 3600
    assert chart.confirmed() == 7


def test_what_has_not_closed_cannot_be_had() -> None:
    chart, _ = market(hours=3.5)
    with pytest.raises(IndexError, match="candle 3 has not closed yet"):
        chart.candle(3)
    with pytest.raises(IndexError, match="candle 3 is not yet 60% old"):
        chart.update(3, 0.6)
    assert chart.confirmed(until=FIRST_HOUR + 100 * 3600) == 3
    assert chart.confirmed(until=FIRST_HOUR + 2 * 3600) == 2


def test_the_market_is_held_until_it_runs_and_stands_while_it_is_paused() -> None:
    clock = Clock()
    replay = Replay(start=FIRST_HOUR + 3600, end=CANDLES.end, candles_per_second=2, clock=clock)
    clock.seconds = 5
    assert (replay.state, replay.now()) == ("held", FIRST_HOUR + 3600)
    replay.run()
    clock.seconds += 1.5
    assert (replay.state, replay.now()) == ("running", FIRST_HOUR + 4 * 3600)
    assert replay.seconds_until(FIRST_HOUR + 6 * 3600) == 1
    replay.pause()
    clock.seconds += 10
    assert (replay.state, replay.now()) == ("paused", FIRST_HOUR + 4 * 3600)
    replay.run()
    replay.run()
    clock.seconds += 1
    assert replay.now() == FIRST_HOUR + 6 * 3600


def test_the_end_is_the_last_close_and_nothing_follows() -> None:
    clock = Clock()
    replay = Replay(start=FIRST_HOUR, end=CANDLES.end, candles_per_second=1, clock=clock)
    replay.run()
    chart = HourlyCandles(CANDLES, now=replay.now)
    clock.seconds = 1000
    assert (replay.state, replay.over, replay.now()) == ("over", True, CANDLES.end)
    assert chart.confirmed() == len(CANDLES)
    assert chart.forming() is None
    clock.seconds += 10
    assert replay.now() == CANDLES.end


def test_the_markets_time_never_goes_back_with_its_clock() -> None:
    chart, clock = market(hours=3)
    before = chart.reached(None)
    clock.seconds -= 1
    assert chart.reached(None) == before


@pytest.mark.parametrize(("days", "start"), [(0.25, 6), (0.26, 6), (100, 1)])
def test_a_replay_begins_on_the_hour_and_leaves_history(days: float, start: int) -> None:
    assert replay_start(CANDLES, days) == FIRST_HOUR + start * 3600
