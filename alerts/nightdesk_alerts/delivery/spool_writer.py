"""Keeps the spool from a lane of its own, so that a disk that hangs delays no alert."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.clock import WallClock

from nightdesk_alerts.delivery.backoff import Backoff
from nightdesk_alerts.delivery.lane import Lane
from nightdesk_alerts.delivery.options import Unwritable
from nightdesk_alerts.delivery.spool import Spool, SpoolError, open_spool

_OPENING_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 30.0
_WRITE_SECONDS = 0.05
"""A burst of alerts is one write: each costs the disk two syncs."""
_NAME = "alert spool"


class SpoolWriter:
    """The spool as the sender's thread sees it. Without a path it keeps nothing.

    Where the file cannot be had it is tried again, ever more rarely, and alerts are kept in memory until then. `then`
    is handed, from another thread, what the sender's own is to call with the monotonic clock.
    """

    def __init__(
        self,
        path: Path | None,
        clock: WallClock,
        unwritable: Unwritable,
        then: Callable[[Callable[[float], None]], None],
    ) -> None:
        self._path = path
        self._unwritable = unwritable
        self._clock = clock
        self._then = then
        self._lane: Lane[bool] = Lane("spool", failed=_unexpected)
        self._backoff = Backoff(longest_seconds=_LONGEST_WAIT_SECONDS)
        self._spool: Spool | None = None
        self._asked: list[dict[str, Any]] = []
        self._opened = threading.Event()
        self._found: tuple[Spool, list[Any]] | None = None
        """What has opened and is not yet taken: nothing is written before what it holds is in the ledger."""
        self._problem = ""
        """Why the file could not be had last."""
        self._closed = False
        self._written_at = -_WRITE_SECONDS
        self.kept = True
        """Whether the disk holds what was last asked to be kept."""

    @property
    def writing(self) -> bool:
        """Whether the disk is at work."""
        return self._lane.busy

    @property
    def busy(self) -> bool:
        """Whether the disk is at work, or is about to be: one that failed is not waited for."""
        return self._lane.busy or (self._spool is not None and not self.kept and self._backoff.failures == 0)

    def open(self) -> list[Any] | None:
        """Return what the spool holds; `None` where it cannot be had, or not within five seconds: then see `late`."""
        if self._path is None:
            return []
        self._begin(self._path)
        if not self._opened.wait(_OPENING_SECONDS):
            logger.error("alerts: {} does not open; alerts are kept in memory until it does", self._path)
            self._unwritable(_NAME, "it does not open")
        return self._take()

    def late(self, tick: float) -> list[Any] | None:
        """Return what the spool holds, once, as soon as it could be had; `None` before and after.

        It is tried again here, once that is due.
        """
        waits = self._path is not None and self._spool is None and self._found is None and not self._lane.busy
        if waits and self._path is not None and tick >= self._backoff.ready_at:
            self._begin(self._path)
        return self._take()

    def _begin(self, path: Path) -> None:
        def job() -> bool:
            try:
                self._found = found = open_spool(path, self._clock)
            except SpoolError as error:
                if not self._problem:
                    logger.error("alerts: {}; alerts are kept in memory until it can be had", error)
                self._problem = str(error)
                return False
            if self._closed:
                found[0].close()
            return True

        def done(opened: bool) -> None:  # noqa: FBT001 - a lane's result
            self._opened.set()
            self._then(lambda tick: self._tried(tick, opened=opened))

        self._lane.start(job, done)

    def _tried(self, tick: float, *, opened: bool) -> None:
        self._lane.busy = False
        if opened:
            self._backoff.succeeded()
            if self._problem:
                logger.info("alerts: {} can be used again", self._path)
            self._problem = ""
        else:
            self._backoff.failed(tick)
        self._unwritable(_NAME, self._problem)

    def _take(self) -> list[Any] | None:
        if not self._opened.is_set() or self._found is None:
            return None
        (self._spool, saved), self._found = self._found, None
        self._asked = list(saved)
        return saved

    def set_aside(self, bad: int) -> None:
        """Keep a copy of a file of which some entries could not be read."""
        if self._spool is not None:
            self._spool.set_aside(f"{bad} of its alerts cannot be read")

    def save(self, alerts: list[dict[str, Any]], tick: float) -> bool:
        """Have `alerts` kept, unless they are already; return whether that has begun."""
        if self._spool is None:
            self.kept = not alerts
            return True
        if self._lane.busy:
            return False
        if alerts == self._asked and self.kept:
            return True
        if tick < max(self._written_at + _WRITE_SECONDS, self._backoff.ready_at):
            self.kept = False
            return False
        spool = self._spool
        self._written_at = tick
        self._asked, self.kept = alerts, False
        self._lane.start(
            lambda: spool.save(alerts), lambda saved: self._then(lambda now: self._done(now, spool, saved=saved))
        )
        return True

    def due_at(self) -> float | None:
        """Return the tick at which a write that failed, or came too soon after another, is made, or the file tried."""
        if self._lane.busy or self._path is None:
            return None
        if self._spool is None:
            return self._backoff.ready_at
        return None if self.kept else max(self._backoff.ready_at, self._written_at + _WRITE_SECONDS)

    def close(self) -> None:
        """Let another bot have the file."""
        self._closed = True
        self._lane.close()
        spool = self._spool if self._found is None else self._found[0]
        if spool is not None and not (self._lane.busy and spool is self._spool):
            spool.close()

    def _done(self, tick: float, spool: Spool, *, saved: bool) -> None:
        self._lane.busy = False
        self.kept = saved
        self._unwritable(_NAME, spool.problem)
        if saved:
            self._backoff.succeeded()
        else:
            self._backoff.failed(tick)


def _unexpected(error: Exception) -> bool:
    logger.error("alerts: the spool failed ({})", type(error).__name__)
    return False
