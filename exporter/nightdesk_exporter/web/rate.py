"""How often a client may ask: a token bucket for each address."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """`burst` requests at once, and one more every `interval_seconds`."""

    interval_seconds: float
    burst: int


DEFAULT_RATE = Rate(interval_seconds=0.01, burst=200)
"""For each address: far above any number of Prometheus servers, far below what would burden the bot."""

_MOST_ADDRESSES = 1_024


class TokenBuckets:
    """A bucket for each key; those that were used last are kept."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, rate: Rate, *, now: float) -> bool:
        """Return whether there is a token in the key's bucket at monotonic time `now`, and take it."""
        tokens, at = self._buckets.pop(key, (float(rate.burst), now))
        if rate.interval_seconds > 0:
            tokens = min(float(rate.burst), tokens + (now - at) / rate.interval_seconds)
        allowed = tokens >= 1 or rate.interval_seconds == 0
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed
