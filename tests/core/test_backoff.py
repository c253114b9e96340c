"""Exponential backoff: it doubles, it has a cap, and jitter only ever shortens it."""

from __future__ import annotations

import random

import pytest
from nightdesk_core.backoff import backoff_seconds


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.5), (1, 1.0), (3, 4.0), (10, 30.0), (10_000, 30.0)])
def test_waits_double_up_to_the_longest(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures, first_seconds=0.5, longest_seconds=30.0) == seconds


def test_a_longest_wait_of_nothing_is_none_at_all() -> None:
    assert backoff_seconds(5, first_seconds=0.5, longest_seconds=0.0, jitter=random.random) == 0.0


def test_jitter_takes_at_most_the_half_and_differs() -> None:
    source = random.Random(1)
    waits = [backoff_seconds(3, first_seconds=0.5, longest_seconds=30.0, jitter=source.random) for _ in range(50)]
    assert 2.0 <= min(waits) < max(waits) <= 4.0
    assert backoff_seconds(3, first_seconds=0.5, longest_seconds=30.0, jitter=lambda: 0.0) == 2.0
    assert backoff_seconds(3, first_seconds=0.5, longest_seconds=30.0, jitter=lambda: 1.0) == 4.0
