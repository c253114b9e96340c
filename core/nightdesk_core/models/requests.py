"""Requests for a retrain: durable, at least once, and done exactly when a verdict in the audit log lists them.

A request never skips the gate: it only brings the next run of the job forward. What was asked lies in one file of the
state folder; what was answered is in the audit log alone, so that no crash can come between a verdict and its record.
The file is rid of answered requests when the next one is stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nightdesk_core.age import age_seconds
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallClock, WallTime, from_iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.durable import copy_aside, locked, write_json_atomic
from nightdesk_core.files.reader import InputError, MissingInputError
from nightdesk_core.files.stored import StoredError
from nightdesk_core.units import DAY_SECONDS

Cause = Literal["guard", "expectation", "model_age", "manual"]
"""Who asks: the performance guard, live results that fall short of the backtest, the model's age, a person."""

MERGE_SECONDS = 7.0 * DAY_SECONDS
"""For so long after a verdict the same automatic cause asks for nothing new. Wall time."""

FILE_NAME = "retrain_requests.json"
_LOCK_SECONDS = 10.0


class RetrainRequestError(NightdeskError):
    """A request cannot be made like this; the message says what is wrong with it."""


@dataclass(frozen=True)
class _Event:
    """One thing that asked for a retrain, as it is stored."""

    key: str
    cause: Cause
    reason: str
    actor: str
    at: float
    requested_at: WallTime


@dataclass(frozen=True)
class RetrainRequest:
    """All that one cause asks for and no verdict has answered yet."""

    cause: Cause
    keys: tuple[str, ...]
    """The idempotency key of each event that asked, oldest first."""
    reason: str
    """Of the first event."""
    newest_reason: str
    actor: str
    """Who asked first."""
    requested_at: WallTime
    """Of the first event."""

    @property
    def key(self) -> str:
        """The key of the first event, by which people name the request."""
        return self.keys[0]

    @property
    def count(self) -> int:
        """How many different events asked."""
        return len(self.keys)


class RetrainRequests:
    """The requests of one bot, in its state folder. Bot, schedule, job and command line share them under one lock.

    A file that is damaged is never dropped: its content is kept beside it, the audit log says so, and one request takes
    its place, because something was asked for.
    """

    def __init__(
        self,
        state_dir: Path | str,
        audit: AuditLog,
        *,
        merge_seconds: float = MERGE_SECONDS,
        clock: WallClock = system_clock,
    ) -> None:
        """`merge_seconds` is `MERGE_SECONDS` as it holds at the market's speed, see `TimeScale.limit`."""
        self.path = Path(state_dir) / FILE_NAME
        self._audit = audit
        self._merge_seconds = merge_seconds
        self._clock = clock

    def add(self, cause: Cause, reason: str, actor: str, *, at: float) -> RetrainRequest | None:
        """Ask for a retrain and return the pending request that this event is part of, once it is on disk.

        `at` is when the cause came about, in Unix seconds of whatever clock the caller reckons by: with the cause it is
        the event's identity, so an event that is told again, after a crash for instance, asks for nothing more. Events
        of one cause are one request until a verdict answers them. Returns `None` where nothing is to be done: a verdict
        has answered this very event or, unless a person asks, one of the same cause within the merge window.

        Raises `RetrainRequestError` for a request that cannot be, `AuditError` where the audit log is broken, `OSError`
        and `LockTimeoutError`. It is recorded in the audit log once it is stored; where only that fails, it holds.
        """
        event = _event(cause, reason, actor, at=at, now=self._clock())
        with self._events() as events:
            answered = self._answered()
            if event.key in answered or self._is_answered_lately(cause, answered):
                return None
            pending = [known for known in events if known.key not in answered]
            is_new = event.key not in [known.key for known in pending]
            if is_new:
                pending.append(event)
                self._store(pending)
        request = next(found for found in _by_cause(pending) if found.cause == cause)
        if is_new:
            details = {"key": event.key, "cause": cause, "reason": event.reason, "at": event.at, "request": request.key}
            self._audit.append("retrain_requested", details, actor=actor)
        return request

    def pending(self) -> list[RetrainRequest]:
        """Return what no verdict has answered yet, the longest waiting first.

        Raises `AuditError` where the audit log cannot say what was answered, `OSError` and `LockTimeoutError`.
        """
        if not os.path.lexists(self.path):
            return []
        with self._events() as events:
            answered = self._answered() if events else {}
        return _by_cause([event for event in events if event.key not in answered])

    @contextmanager
    def _events(self) -> Iterator[list[_Event]]:
        """Hold the lock and yield what is stored."""
        with locked(self.path.with_suffix(".lock"), timeout_seconds=_LOCK_SECONDS):
            try:
                events = list(stored.read(tuple[_Event, ...], self.path))
            except MissingInputError:
                events = []
            except InputError as error:
                events = self._replace_damaged(error)
            yield events

    def _replace_damaged(self, error: InputError) -> list[_Event]:
        now = self._clock()
        # The copy first: killed between the two, the next reader finds the damage and does it all again.
        aside = copy_aside(self.path, now=now)
        reason = f"{FILE_NAME} was damaged, so what it asked for is unknown; it is kept as {aside.name}"
        events = [_event("manual", reason, "nightdesk", at=now.seconds, now=now)]
        self._store(events)
        self._audit.append(
            "retrain_requests_damaged", {"kept_as": aside.name, "error": error.reason}, actor="nightdesk"
        )
        return events

    def _store(self, events: list[_Event]) -> None:
        write_json_atomic(self.path, [stored.plain(event) for event in events])

    def _answered(self) -> dict[str, WallTime]:
        """Return when each event was answered, by its key, as the audit log says."""
        return {
            key: WallTime(from_iso(entry.time))
            for entry in self._audit.entries()
            if entry.event == "verdict"
            for key in entry.details.get("requests", ())
        }

    def _is_answered_lately(self, cause: Cause, answered: dict[str, WallTime]) -> bool:
        now = self._clock()
        return cause != "manual" and any(
            key.startswith(f"{cause}-") and age_seconds(at, now=now) < self._merge_seconds
            for key, at in answered.items()
        )


def _event(cause: Cause, reason: str, actor: str, *, at: float, now: WallTime) -> _Event:
    if not reason.strip():
        raise RetrainRequestError("a retrain request needs a reason")
    digest = hashlib.sha256(f"{cause} {float(at)!r}".encode()).hexdigest()[:12]
    event = _Event(f"{cause}-{digest}", cause, reason.strip(), actor, float(at), now)
    try:
        return stored.from_plain(_Event, vars(event) | {"requested_at": now.seconds}, source="the request")
    except StoredError as error:
        raise RetrainRequestError(f"a retrain request cannot be made: {error.reason}") from None


def _by_cause(events: list[_Event]) -> list[RetrainRequest]:
    by_cause: dict[Cause, list[_Event]] = {}
    for event in events:
        by_cause.setdefault(event.cause, []).append(event)
    return [
        RetrainRequest(
            cause=cause,
            keys=tuple(event.key for event in same),
            reason=same[0].reason,
            newest_reason=same[-1].reason,
            actor=same[0].actor,
            requested_at=same[0].requested_at,
        )
        for cause, same in by_cause.items()
    ]
