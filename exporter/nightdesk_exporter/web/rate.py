"""How often a client may ask without having shown who it is: a token bucket for each connection."""

from __future__ import annotations

from dataclasses import dataclass

SCRAPER_SECONDS = 1.0
"""The shortest usual interval of scrapes: who asks no more often is served, whatever the rate."""


@dataclass(frozen=True)
class Rate:
    """`burst` requests at once, and one more every `interval_seconds`."""

    interval_seconds: float
    burst: int


DEFAULT_RATE = Rate(interval_seconds=0.01, burst=200)
"""For each connection: far above any Prometheus server, far below what would burden the bot."""


class TokenBucket:
    """The requests that a connection has left; full at first."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._at = float("-inf")

    def take(self, rate: Rate, *, now: float) -> bool:
        """Return whether there is a token at monotonic time `now`, and take it."""
        if rate.interval_seconds == 0:
            return True
        self._spent = max(0.0, self._spent - (now - self._at) / min(rate.interval_seconds, SCRAPER_SECONDS))
        self._at = now
        allowed = self._spent <= rate.burst - 1
        self._spent += allowed
        return allowed
