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
from nightdesk_alerts.delivery.spool import Spool, open_spool

_OPENING_SECONDS = 5.0
_WRITE_SECONDS = 0.05
"""A burst of alerts is one write: each costs the disk two syncs."""


class SpoolWriter:
    """The spool as the sender's thread sees it. Without a path it keeps nothing."""

    def __init__(self, path: Path | None, clock: WallClock, unwritable: Unwritable) -> None:
        self._path = path
        self._unwritable = unwritable
        self._clock = clock
        self._lane: Lane[bool] = Lane("spool", failed=_unexpected)
        self._backoff = Backoff(longest_seconds=30.0)
        self._spool: Spool | None = None
        self._asked: list[dict[str, Any]] = []
        self._opened = threading.Event()
        self._found: tuple[Spool | None, list[Any]] | None = None
        """What has opened and is not yet taken: nothing is written before what it holds is in the ledger."""
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

    def open(self) -> list[Any]:
        """Return what the spool holds; nothing where the disk does not answer for five seconds: then see `late`."""
        if self._path is None:
            return []
        path = self._path

        def job() -> bool:
            self._found = open_spool(path, self._clock)
            return True

        def done(_opened: bool) -> None:  # noqa: FBT001 - a lane's result
            self._lane.busy = False
            self._opened.set()

        self._lane.start(job, done)
        if not self._opened.wait(_OPENING_SECONDS):
            logger.error("alerts: {} does not open; alerts are kept in memory until it does", path)
        return self.late()

    def late(self) -> list[Any]:
        """Return what the spool holds, once, as soon as it has opened; nothing before and after."""
        if not self._opened.is_set() or self._found is None:
            return []
        (self._spool, saved), self._found = self._found, None
        self._asked = list(saved)
        return saved

    def set_aside(self, bad: int) -> None:
        """Keep a copy of a file of which some entries could not be read."""
        if self._spool is not None:
            self._spool.set_aside(f"{bad} of its alerts cannot be read")

    def save(
        self, alerts: list[dict[str, Any]], tick: float, *, then: Callable[[Callable[[float], None]], None]
    ) -> bool:
        """Have `alerts` kept, unless they are already; return whether that has begun.

        `then` is handed what the sender's thread is to call.
        """
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
        self._lane.start(lambda: spool.save(alerts), lambda saved: then(lambda now: self._done(now, saved=saved)))
        return True

    def due_at(self) -> float | None:
        """Return the tick at which a write that failed, or came too soon after another, is made."""
        if self.kept or self._lane.busy or self._spool is None:
            return None
        return max(self._backoff.ready_at, self._written_at + _WRITE_SECONDS)

    def close(self) -> None:
        """Let another bot have the file."""
        spool = self._spool
        self._lane.close()
        if spool is not None and not self._lane.busy:
            spool.close()

    def _done(self, tick: float, *, saved: bool) -> None:
        self._lane.busy = False
        self.kept = saved
        self._unwritable("alert spool", "" if self._spool is None else self._spool.problem)
        if saved:
            self._backoff.succeeded()
        else:
            self._backoff.failed(tick)


def _unexpected(error: Exception) -> bool:
    logger.error("alerts: the spool failed ({})", type(error).__name__)
    return False
