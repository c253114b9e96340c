"""Two clocks. Wall time is a `WallClock`; market time is a candle's own and is passed as data.

In an accelerated replay every limit in wall time shrinks with the speed. `TimeScale` is the one place where it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

WallClock = Callable[[], float]
"""Returns the wall time in seconds since the Unix epoch."""

system_clock: WallClock = time.time


@dataclass(frozen=True)
class TimeScale:
    """How much faster than the wall the market runs: 1 at a real exchange, 18,000 in a replay of 5 hours a second."""

    speed: float = 1.0
    floor_seconds: float = 5.0
    """No limit shrinks below this: it is what a scrape and an evaluation every second can still tell apart."""

    def limit(self, seconds: float) -> float:
        """Return a wall-time limit of `seconds` as it holds at this speed."""
        if self.speed == 1.0:
            return seconds
        return min(seconds, max(seconds / self.speed, self.floor_seconds))

    def interval(self, seconds: float) -> float:
        """Return the wall time that `seconds` of market time take at this speed."""
        return seconds / self.speed


def utc(timestamp: float) -> datetime:
    """Return a Unix timestamp in seconds as an aware UTC time."""
    return datetime.fromtimestamp(timestamp, UTC)


def iso(timestamp: float) -> str:
    """Return a Unix timestamp in seconds as ISO 8601 in UTC to the second, such as `2019-10-17T09:00:00Z`."""
    return utc(timestamp).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> float:
    """Return the Unix timestamp in seconds of what `iso` wrote."""
    return datetime.fromisoformat(text).timestamp()
