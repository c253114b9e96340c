"""Two clocks of the market that must agree: at a real exchange, and in a replay that runs faster and stands still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime, TimeScale, WallTime
from nightdesk_trendbot.market.clock import MarketClock

from tests.trendbot.conftest import FIRST_HOUR, HOUR

SPEED = 3600.0


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self, now: float = FIRST_HOUR) -> None:
        self.now = now

    def __call__(self) -> WallTime:
        return WallTime(self.now)


def observed(clock: MarketClock, exchange_now: float) -> tuple[float, float]:
    """Return what both clocks tell, in seconds, where the exchange's tells so many."""
    earlier, later = clock.observe(MarketTime(exchange_now))
    return earlier.seconds, later.seconds


@pytest.mark.parametrize("off", [-30 * HOUR, -2.5, 0.0, 2.5, 30 * HOUR])
def test_at_a_real_exchange_both_clocks_are_told_and_how_far_the_exchange_s_is_off(off: float) -> None:
    wall = Wall()
    clock = MarketClock(TimeScale(), wall)
    assert clock.offset_seconds is None
    for _ in range(2):
        assert observed(clock, wall.now + off) == (wall.now + min(off, 0), wall.now + max(off, 0))
        assert clock.offset_seconds == pytest.approx(off)
        wall.now += 100


def test_at_a_real_exchange_no_candle_moves_our_own_clock() -> None:
    wall = Wall()
    clock = MarketClock(TimeScale(), wall)
    clock.begun(MarketTime(FIRST_HOUR + 500 * HOUR), HOUR)
    assert observed(clock, wall.now) == (wall.now, wall.now)
    assert clock.offset_seconds == 0.0


def test_in_a_replay_our_clock_begins_with_the_exchange_s_and_runs_at_its_speed() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    assert observed(clock, FIRST_HOUR) == (FIRST_HOUR, FIRST_HOUR)
    assert clock.offset_seconds == 0.0
    wall.now += 3
    assert observed(clock, FIRST_HOUR + 3 * HOUR) == (FIRST_HOUR + 3 * HOUR, FIRST_HOUR + 3 * HOUR)
    assert clock.offset_seconds == 0.0


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_in_a_replay_an_offset_is_told_in_seconds_of_the_wall(hours: int) -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.observe(MarketTime(FIRST_HOUR))
    wall.now += 2
    now = FIRST_HOUR + 2 * HOUR
    assert observed(clock, now + hours * HOUR) == (now + min(hours, 0) * HOUR, now + max(hours, 0) * HOUR)
    assert clock.offset_seconds == pytest.approx(hours)


def test_a_replay_that_was_paused_is_where_its_candles_are() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.observe(MarketTime(FIRST_HOUR))
    wall.now += 20
    # Ten of the twenty seconds it stood still: until a candle is seen, our clock is believed to be ahead.
    assert observed(clock, FIRST_HOUR + 10 * HOUR) == (FIRST_HOUR + 10 * HOUR, FIRST_HOUR + 20 * HOUR)
    clock.begun(MarketTime(FIRST_HOUR + 10 * HOUR), HOUR)
    assert observed(clock, FIRST_HOUR + 10 * HOUR) == (FIRST_HOUR + 10 * HOUR, FIRST_HOUR + 10 * HOUR)
    assert clock.offset_seconds == 0.0


def test_a_candle_that_has_begun_is_not_in_the_future_whatever_the_exchange_s_clock_said_first() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.observe(MarketTime(FIRST_HOUR - 30 * HOUR))
    clock.begun(MarketTime(FIRST_HOUR), HOUR)
    assert observed(clock, FIRST_HOUR + 60) == (FIRST_HOUR, FIRST_HOUR + 60)


def test_a_candle_is_an_anchor_before_the_exchange_was_asked() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.begun(MarketTime(FIRST_HOUR), HOUR)
    wall.now += 1
    assert observed(clock, FIRST_HOUR + 30 * HOUR) == (FIRST_HOUR + HOUR, FIRST_HOUR + 30 * HOUR)


@given(
    late=st.lists(st.floats(0, 1.9), min_size=1, max_size=30),
    exchange=st.lists(st.floats(-100, 100), min_size=30, max_size=30),
)
def test_candles_that_are_seen_a_little_late_do_not_shift_our_clock(late: list[float], exchange: list[float]) -> None:
    """Were it anchored anew by each of them, it would fall behind by what the last was late."""
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.observe(MarketTime(FIRST_HOUR))
    for hour, (delay, off) in enumerate(zip(late, exchange, strict=False), start=1):
        wall.now = 50.0 + hour + delay
        clock.begun(MarketTime(FIRST_HOUR + hour * HOUR), HOUR)
        now = FIRST_HOUR + (hour + delay) * HOUR
        earlier, later = observed(clock, now + off * HOUR)
        assert earlier == pytest.approx(now + min(off, 0) * HOUR)
        assert later == pytest.approx(now + max(off, 0) * HOUR)


def test_in_a_replay_that_stood_still_ours_was_off_and_the_exchange_s_is_not_held_against_it() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    clock.observe(MarketTime(FIRST_HOUR))
    wall.now += 30
    clock.observe(MarketTime(FIRST_HOUR + HOUR))  # it stood still for 29 of them
    assert clock.offset_seconds == pytest.approx(-29.0)
    clock.begun(MarketTime(FIRST_HOUR + HOUR), HOUR)
    assert clock.offset_seconds is None
    clock.observe(MarketTime(FIRST_HOUR + HOUR))
    assert clock.offset_seconds == 0.0


def test_how_long_ago_a_market_time_was_is_told_in_the_wall_s_seconds() -> None:
    wall = Wall(50.0)
    clock = MarketClock(TimeScale(SPEED), wall)
    assert clock.age(MarketTime(FIRST_HOUR)) == 0.0, "nothing is known yet"
    clock.observe(MarketTime(FIRST_HOUR + 10 * HOUR))
    assert clock.age(MarketTime(FIRST_HOUR)) == pytest.approx(10.0)
    assert clock.age(MarketTime(FIRST_HOUR + 11 * HOUR)) == 0.0
