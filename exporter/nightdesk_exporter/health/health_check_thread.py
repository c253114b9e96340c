"""The thread that checks the health and writes the status file while the bot's loop trades.

It does so at the configured interval, and at once when something changed; the loop only sets an event. In between it
asks twice a second whether a limit has passed: that costs a comparison, and neither a clock that is set nor a
machine that slept makes it miss the moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_JOIN_SECONDS = 5.0
_AGAIN_SECONDS = 5.0
"""How soon a turn that failed is tried again, at most."""
_LOOK_SECONDS = 0.5
"""How often it is asked whether a limit has passed; and how often, at most, wakes without end have a turn."""


class HealthCheckThread:
    """Calls `turn` every `interval_seconds`, whenever it is woken, and a last time when it is stopped.

    `turn` is told whether it is a regular one, and returns whether it succeeded; one that did not is tried again soon.
    `look` is called in between, twice a second.
    """

    def __init__(self, turn: Callable[[bool], bool], *, look: Callable[[], None], interval_seconds: float) -> None:
        self._turn = turn
        self._look = look
        self._interval = interval_seconds
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-health", daemon=True)

    @property
    def is_stopped(self) -> bool:
        """Whether the bot has ended, or is about to."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Take the first turn, and go on."""
        self._thread.start()

    def wake(self) -> None:
        """Have it take a turn now. Wakes that come together are one turn."""
        self._woken.set()

    def stop(self) -> None:
        """Take the last turn, and end."""
        self._stopped.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def forked(self) -> None:
        """Take no turn in a child: its parent does. Who held the events' locks at the fork will not release them."""
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._stopped.set()

    def _run(self) -> None:
        regular_at = time.monotonic()
        while not self._stopped.is_set():
            begun = time.monotonic()
            regular = begun >= regular_at
            if regular:
                regular_at = begun + self._interval
            self._woken.clear()
            if not self._turn(regular):
                regular_at = min(regular_at, begun + _AGAIN_SECONDS)
            if self._woken_before(regular_at):
                self._stopped.wait(max(0.0, begun + _LOOK_SECONDS - time.monotonic()))
        self._turn(False)

    def _woken_before(self, end: float) -> bool:
        """Look until it is time for a turn. Return whether a wake is why."""
        while (left := end - time.monotonic()) > 0:
            if self._woken.wait(min(left, _LOOK_SECONDS)):
                return True
            self._look()
        return False
