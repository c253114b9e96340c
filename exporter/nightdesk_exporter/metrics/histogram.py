"""A histogram as the snapshot keeps it: how many observations fell between which bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Observations in base units. `counts` has one entry for each bound, and one for what lies above the last."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bucket's upper bound belongs to it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
