"""Exponential backoff: how long to wait before what failed is tried again."""

from __future__ import annotations

from collections.abc import Callable

_MOST_DOUBLINGS = 30


def backoff_seconds(
    failures: int, *, first_seconds: float, longest_seconds: float, jitter: Callable[[], float] | None = None
) -> float:
    """Return the wait after so many earlier failures (0: this was the first): doubling each time, up to the longest.

    `jitter` returns random numbers between 0 and 1; with it the wait lies between the half and the whole of that, so
    that many who failed together do not come again together.
    """
    wait = min(first_seconds * 2.0 ** min(failures, _MOST_DOUBLINGS), longest_seconds)
    return wait if jitter is None else wait * (0.5 + jitter() / 2)
