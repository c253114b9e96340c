"""How many REST calls a client may make in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Count(NamedTuple):
    """Whether a call is allowed, how many are left after it, and in how many seconds there are new ones."""

    allowed: bool
    left: int
    reset_seconds: float


class RequestLimit:
    """Counts each client's calls in every second, whichever venue they go to."""

    def __init__(self, per_second: int, *, clock: Callable[[], float]) -> None:
        self.per_second = per_second
        self._clock = clock
        self._second = 0
        self._calls: dict[str, int] = {}

    def count(self, client: str) -> Count:
        """Count a call of a client."""
        now = self._clock()
        if int(now) != self._second:
            self._second = int(now)
            self._calls.clear()
        calls = self._calls[client] = self._calls.get(client, 0) + 1
        # As long as calls are left, new ones are there now.
        reset_seconds = 0.0 if calls <= self.per_second else self._second + 1 - now
        return Count(calls <= self.per_second, max(self.per_second - calls, 0), reset_seconds)
