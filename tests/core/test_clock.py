"""Wall-time limits shrink with the market's speed, in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import TimeScale, iso, utc


def test_at_a_real_exchange_every_limit_holds_as_it_is() -> None:
    scale = TimeScale()
    assert scale.limit(300) == 300
    assert scale.limit(2) == 2
    assert scale.interval(3600) == 3600


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(86_400 * 30, 144.0), (300.0, 5.0), (90_000.0, 5.0), (2.0, 2.0)],
)
def test_in_a_replay_a_limit_shrinks_to_the_floor_and_never_grows(seconds: float, expected: float) -> None:
    assert TimeScale(speed=18_000).limit(seconds) == expected


def test_an_interval_of_the_market_is_exact_at_any_speed() -> None:
    assert TimeScale(speed=18_000).interval(3600) == pytest.approx(0.2)


@given(speed=st.floats(1, 1e6), short=st.floats(0.1, 1e8), long=st.floats(0.1, 1e8))
def test_scaling_keeps_the_order_of_limits(speed: float, short: float, long: float) -> None:
    scale = TimeScale(speed=speed)
    short, long = sorted((short, long))
    assert scale.limit(short) <= scale.limit(long)
    assert scale.limit(long) <= long


def test_times_are_utc_to_the_second() -> None:
    assert iso(1_571_302_800.9) == "2019-10-17T09:00:00Z"
    assert utc(0).isoformat() == "1970-01-01T00:00:00+00:00"
