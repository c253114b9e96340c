"""The sender's thread: it keeps the ledger, gives each destination its next job, and has the spool written."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loguru import logger

from nightdesk_alerts.alert import Key, SentAlert
from nightdesk_alerts.delivery.backoff import Backoff
from nightdesk_alerts.delivery.call_queue import CallQueue
from nightdesk_alerts.delivery.destinations import Destination, destinations
from nightdesk_alerts.delivery.lane import Lane
from nightdesk_alerts.delivery.ledger import Job, Ledger
from nightdesk_alerts.delivery.options import SenderOptions
from nightdesk_alerts.delivery.outcome import DeliveryOutcome, Later, Refused
from nightdesk_alerts.delivery.spool_writer import SpoolWriter
from nightdesk_alerts.moved_chats import FILE_NAME, MovedChats

_LONGEST_WAIT_SECONDS = 30.0
_TIDY_SECONDS = 1.0
_SHARE_FOR_DIRECT = 0.5
"""So much of the time to close is left to the direct channels where an Alertmanager hangs."""
_LONGEST_ALERTMANAGER_WAIT_SECONDS = 15.0
_LONGEST_DIRECT_WAIT_SECONDS = 300.0


class Road:
    """A destination with its lane and its backoff, and whether it is failing: each failure is logged once."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        longest = _LONGEST_ALERTMANAGER_WAIT_SECONDS if destination.alertmanager else _LONGEST_DIRECT_WAIT_SECONDS
        self.backoff = Backoff(longest_seconds=longest)
        self.lane: Lane[DeliveryOutcome] = Lane(destination.name, failed=lambda error: Later(type(error).__name__))
        self.problem = ""

    def log(self, outcome: DeliveryOutcome, name: str, wait_seconds: float = 0.0) -> None:
        """Log an attempt that failed, or the first that works again."""
        if isinstance(outcome, Refused):
            if self.problem != "refused":
                logger.error("alerts: {} refuses {} for good: {}", self.destination.name, name, outcome.problem)
            self.problem = "refused"
        elif isinstance(outcome, Later):
            level = "DEBUG" if self.problem else "WARNING"
            text = "alerts: {} does not take {} ({}); next attempt in {:.0f} s"
            logger.log(level, text, self.destination.name, name, outcome.problem, wait_seconds)
            self.problem = self.problem or "later"
        elif self.problem:
            logger.info("alerts: {} takes alerts again", self.destination.name)
            self.problem = ""


class DeliveryWorker:
    """Runs on the sender's thread; everything in it is that thread's own."""

    def __init__(self, options: SenderOptions, calls: CallQueue[DeliveryWorker]) -> None:
        self._options = options
        self._calls = calls
        moved = MovedChats(None if options.spool is None else options.spool.with_name(FILE_NAME))
        places = destinations(options.alerting, options.timeout_seconds, moved)
        self._roads = {found.name: Road(found) for found in places}
        self.ledger = Ledger(
            alertmanagers=[name for name, road in self._roads.items() if road.destination.alertmanager],
            direct=[name for name, road in self._roads.items() if not road.destination.alertmanager],
            fallback_seconds=options.fallback_seconds,
            capacity=options.capacity,
            count=self.count,
        )
        self._spool_writer = SpoolWriter(options.spool, options.clock, options.unwritable, self._kept)
        self._closing_at: float | None = None
        self._count_failed = False
        self._turned_away = 0
        self._tidied_at = 0.0
        self._kept_changes = 0

    def run(self) -> None:
        """Work until the sender closes. What is wrong in here is logged, and never ends it."""
        self._restore(self._spool_writer.open())
        while True:
            try:
                if self._step():
                    break
            except Exception as error:  # noqa: BLE001 - the top of a job: the thread outlives what is wrong in it
                place = _place(error)
                logger.error("alerts: {} in {}: this should not happen", type(error).__name__, place)
                time.sleep(0.2)
        self._finish()

    def _restore(self, saved: list[Any] | None) -> None:
        if saved is None:
            return
        bad = self.ledger.restore(saved, self._options.now(), settle_seconds=self._options.settle_seconds)
        if bad:
            self._spool_writer.set_aside(bad)

    def take(self, alert: SentAlert) -> None:
        """Take an alert from the bot."""
        self.ledger.take(alert, self._options.now())

    def withdraw(self, condition: Key) -> None:
        """Take from the bot that a condition no longer holds."""
        self.ledger.withdraw(condition, self._options.now())

    def count(self, name: str, *labels: str) -> None:
        """Count for the metrics. A counter that fails costs no alert; it is said once."""
        try:
            self._options.count(name, *labels)
        except Exception as error:  # noqa: BLE001 - somebody else's code, in the middle of the ledger's
            if not self._count_failed:
                logger.error("alerts: count({!r}) raised {}", name, type(error).__name__)
            self._count_failed = True

    def close(self) -> None:
        """Finish what is on its way, for a moment."""
        self._closing_at = self._options.monotonic() + self._options.close_seconds

    def _step(self) -> bool:
        """Wait for something to do and do it; return whether it was the last."""
        now = self._options.now()
        self._restore(self._spool_writer.late(now.tick))
        calls = iter(self._calls.wait(self._next(now.tick) - now.tick))
        try:
            for call in calls:
                call(self)
        finally:
            for call in calls:  # one that went wrong costs those behind it nothing
                self._calls.put(call)
        for _ in range(self._calls.turned_away - self._turned_away):
            self._turned_away += 1
            self.count("alerts_dropped", "queue_full")
        now = self._options.now()
        if now.tick >= self._tidied_at + _TIDY_SECONDS:
            self.ledger.tidy(now)
            self._tidied_at = now.tick
        if self._closing_at is not None:
            left = self._closing_at - now.tick
            self.ledger.hasten(now, whatever_is_on_its_way=left <= _SHARE_FOR_DIRECT * self._options.close_seconds)
        for road in self._roads.values():
            self._dispatch(road)
        changes = self.ledger.changes
        if (changes != self._kept_changes or not self._spool_writer.kept) and self._spool_writer.save(
            self.ledger.saved(now), now.tick
        ):
            self._kept_changes = changes
        if self._closing_at is None:
            return False
        busy = self._spool_writer.busy or any(road.lane.busy for road in self._roads.values())
        return now.tick >= self._closing_at or not (busy or self.ledger.unfinished())

    def _next(self, tick: float) -> float:
        """Return the tick by which there is something to do, unless something comes before."""
        longest = tick + (_LONGEST_WAIT_SECONDS if self._closing_at is None else 0.05)
        dues = [longest]
        write_at = self._spool_writer.due_at()
        if write_at is not None:
            dues.append(write_at)
        elif self.ledger.changes != self._kept_changes and not self._spool_writer.writing:
            dues.append(tick)
        for name, road in self._roads.items():
            if road.lane.busy:
                continue
            due = road.backoff.ready_at if road.backoff.ready_at > tick else self.ledger.due_at(name)
            if due is not None:
                dues.append(due)
        return min(dues)

    def _dispatch(self, road: Road) -> None:
        now = self._options.now()
        if road.lane.busy or now.tick < road.backoff.ready_at:
            return
        job = self.ledger.next_job(road.destination.name, now)
        if job is None:
            return
        if job.attempt > 1:
            self.count("alerts_retried")
        deliver = road.destination.deliver
        road.lane.start(
            lambda: deliver(job.action, job.notification),
            lambda outcome: self._calls.put(lambda worker: worker.done(road, job, outcome)),
        )

    def done(self, road: Road, job: Job, outcome: DeliveryOutcome) -> None:
        """Take from a lane how its job ended."""
        road.lane.busy = False
        now = self._options.now()
        wait = 0.0
        if isinstance(outcome, Later):
            wait = road.backoff.failed(now.tick, after_seconds=outcome.after_seconds)
        else:
            road.backoff.succeeded()
        road.log(outcome, job.notification.alert.name, wait)
        self.ledger.done(job, outcome, now)

    def _kept(self, done: Callable[[float], None]) -> None:
        """Have what the disk's lane reports happen on this thread."""
        self._calls.put(lambda worker: done(worker.tick))

    @property
    def tick(self) -> float:
        """The monotonic clock."""
        return self._options.monotonic()

    def _finish(self) -> None:
        lost = [] if self._spool_writer.kept else [entry for entry in self.ledger.unfinished() if not entry.out]
        for entry in lost:
            logger.error("alerts: {} was neither delivered nor kept on disk", entry.alert.name)
            self.count("alerts_dropped", "unsaved")
        for road in self._roads.values():
            road.lane.close()
        self._spool_writer.close()


def _place(error: Exception) -> str:
    """Return where something went wrong. Not the traceback: some sinks write variables into it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
