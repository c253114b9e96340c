"""How long ago a stamp was: never less than nothing, and of one in the future nobody knows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.age import TOLERANCE_SECONDS, age_seconds, is_ahead, newest
from nightdesk_core.clock import WallTime

NOW = WallTime(1_700_000_000.0)
offsets = st.floats(-1e9, 1e9)


@given(offsets)
def test_an_age_is_known_and_not_negative_or_lies_beyond_any_limit(offset: float) -> None:
    age = age_seconds(NOW + offset, now=NOW)
    ahead = is_ahead(NOW + offset, now=NOW)
    assert age == (math.inf if ahead else pytest.approx(max(0.0, -offset), abs=1e-3))
    assert ahead == ((NOW + offset) - NOW > TOLERANCE_SECONDS)


@given(st.lists(offsets, min_size=1))
def test_the_newest_of_several_stamps_is_the_youngest_whose_age_is_known(found: list[float]) -> None:
    stamps = [NOW + offset for offset in found]
    age = age_seconds(newest(stamps, now=NOW), now=NOW)
    assert age == min(age_seconds(stamp, now=NOW) for stamp in stamps)


def test_where_all_lie_in_the_future_the_nearest_is_the_newest() -> None:
    assert newest([NOW + 1e9, NOW + 1e6], now=NOW) == NOW + 1e6
