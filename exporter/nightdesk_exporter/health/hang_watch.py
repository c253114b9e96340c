"""Ends a process whose loop hangs, for whoever restarts only what has exited, as Docker does. Only where it is wished.

A process is ended on nothing but time in which it could have run: a laptop that slept, or a clock that was set, makes a
heartbeat look old at once, and the loop gets its whole limit all the same.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable

HUNG_EXIT_CODE = 75
"""What a process ends with whose loop hung: the system's `EX_TEMPFAIL`, by which a restart may help."""

_LOOK_SECONDS = 1.0
_FAREWELL_SECONDS = 15.0
"""For last alerts and the last status. What hangs may hold a lock that they need."""


class Patience:
    """For how long a loop has not turned, counted in looks."""

    def __init__(self) -> None:
        self._heartbeat: float | None = None
        self._candle: float | None = None
        self._waited = 0.0
        self._worked: float | None = None

    def is_over(
        self, elapsed_seconds: float, *, heartbeat: float | None, candle: float | None, limit_seconds: float
    ) -> bool:
        """Return whether the loop has had its time, and as long again for a candle that came after its last turn.

        Of `elapsed_seconds` since the last look no more counts than two looks take. `heartbeat` and `candle` are when
        the last ones came. Only the first candle after a turn counts as worked on: another thread may bring more.
        """
        step = min(elapsed_seconds, 2 * _LOOK_SECONDS)
        if heartbeat != self._heartbeat:
            self._heartbeat, self._candle, self._waited, self._worked = heartbeat, candle, 0.0, None
            return False
        self._waited += step
        if self._worked is not None:
            self._worked += step
        elif candle != self._candle:
            self._worked = 0.0
        return self._waited > limit_seconds and (self._worked is None or self._worked > limit_seconds)


class HangWatch:
    """Looks every second. Once `is_hung` says why, `farewell` is called with it, and then `end` with the exit code."""

    def __init__(
        self, is_hung: Callable[[float], str], *, farewell: Callable[[str], None], end: Callable[[int], object]
    ) -> None:
        """`is_hung` is told the seconds since it was asked last; `end` does not return."""
        self._is_hung = is_hung
        self._farewell = farewell
        self._end = end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-hang-watch", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more: the bot ends by itself. Does not wait."""
        self._stopped.set()

    def _run(self) -> None:
        looked_at = time.monotonic()
        while not self._stopped.wait(_LOOK_SECONDS):
            now = time.monotonic()
            cause, looked_at = self._is_hung(now - looked_at), now
            if cause:
                last = threading.Thread(target=self._farewell, args=(cause,), name="nightdesk-farewell", daemon=True)
                last.start()
                last.join(_FAREWELL_SECONDS)
                self._end(HUNG_EXIT_CODE)
                return


def where_it_hangs() -> str:
    """Return the main thread's stack: where a loop stands still, as a rule."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return "".join(traceback.format_stack(frame)).rstrip()
