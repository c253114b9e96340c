"""How soon a destination is tried again: at once while it works, ever more rarely while it does not."""

from __future__ import annotations

import random
from collections.abc import Callable

from nightdesk_core.backoff import backoff_seconds

LONGEST_RETRY_AFTER_SECONDS = 900.0


class Backoff:
    """The waits of one destination. A wait that the other side asked for is kept, up to 15 minutes.

    `jitter` returns numbers between 0 and 1, so that many bots do not come again at the same moment.
    """

    def __init__(
        self, *, first_seconds: float = 1.0, longest_seconds: float = 300.0, jitter: Callable[[], float] = random.random
    ) -> None:
        self._first = first_seconds
        self._longest = longest_seconds
        self._jitter = jitter
        self.failures = 0
        self.ready_at = 0.0

    def succeeded(self) -> None:
        """The destination answered."""
        self.failures = 0
        self.ready_at = 0.0

    def failed(self, tick: float, *, after_seconds: float | None = None) -> float:
        """The destination failed; return after how many seconds it is tried again."""
        wait = backoff_seconds(
            self.failures, first_seconds=self._first, longest_seconds=self._longest, jitter=self._jitter
        )
        if after_seconds is not None:
            wait = max(wait, min(after_seconds, LONGEST_RETRY_AFTER_SECONDS))
        self.failures += 1
        self.ready_at = tick + wait
        return wait
