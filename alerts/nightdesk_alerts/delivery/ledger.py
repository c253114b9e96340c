"""Which alerts there are, and what is to be done next for each. No thread, no clock, no socket: times are passed in.

`tick` is the monotonic clock, by which it waits; `wall` is Unix time, which alerts bear and the spool keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from loguru import logger

from nightdesk_alerts.alert import Key, Notification, SentAlert, Status
from nightdesk_alerts.delivery.entry import Entry, Leg, Post
from nightdesk_alerts.delivery.kept import KeptAlert, as_kept
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Kept, Later, Lost, Partly, Refused, Reported

CAPACITY = 256
_REFRESH_SHARE = 0.25


class Now(NamedTuple):
    """Both clocks at one moment."""

    tick: float
    wall: float


@dataclass(frozen=True)
class Job:
    """One thing to do at one destination: to post or check at an Alertmanager, to tell at a direct channel."""

    destination: str
    action: Literal["post", "check", "tell"]
    notification: Notification
    attempt: int
    entry: Entry
    way: Post | Leg


class Ledger:
    """At most `capacity` alerts. `count` is told what was lost, by name and reason."""

    def __init__(
        self,
        *,
        alertmanagers: Sequence[str],
        direct: Sequence[str],
        fallback_seconds: float,
        capacity: int = CAPACITY,
        count: Callable[..., None],
    ) -> None:
        self._alertmanagers = tuple(alertmanagers)
        self._direct = tuple(direct)
        self._fallback_seconds = fallback_seconds if alertmanagers else 0.0
        self._capacity = capacity
        self._count = count
        self._full = False
        """Whether something was lost since there last was room: a queue that stays full is logged once."""
        self._withdrawn: dict[Key, None] | None = {}
        """What the bot has withdrawn before it was known what a spool holds; `None` since that is known."""
        self.entries: dict[Key, Entry] = {}
        self.changes = 0
        """Grows with each change: as long as it stands, the spool needs no new look."""

    def take(self, alert: SentAlert, now: Now) -> None:
        """Take an alert; one that is known and still holds changes nothing but the words that are yet to go out.

        One that lasts takes the place of the same condition's with another severity, and of an event. An event is part
        of what lasts and holds, or did until a moment ago.
        """
        entry = self.entries.get(alert.key)
        others = list(self._of_other_severity(alert))
        if entry is None or entry.is_past(alert, now.tick):
            self.changes += 1
            successor = self._entry(alert, now.tick, due_at=now.tick)
            for other in others:
                successor.succeed(other, now.tick)
            if entry is None and not self._make_room(alert):
                return
            self.entries[alert.key] = successor
            logger.debug("alerts: {} ({}) is queued", alert.name, alert.labels["severity"])
            return
        if entry.alert.lasting and not alert.lasting:
            return
        before, reached = entry.alert, entry.reached
        if not entry.holds:
            self.changes += 1
            self._return(entry, now.tick)
            entry.alert = alert
        if not entry.confirmed:
            entry.confirmed = True
            self.changes += 1
            entry.due_at = now.tick
            entry.direct_at = now.tick + self._fallback_seconds
        for other in others:
            entry.succeed(other, now.tick)
            self.changes += 1
        entry.alert = entry.alert.again(alert)
        # The words of a reminder are no reason to write the spool.
        self.changes += entry.alert.ends_at != before.ends_at if reached else entry.alert != before

    def withdraw(self, condition: Key, now: Now) -> None:
        """The condition no longer holds: what has not gone out never will, and who was told directly hears of it."""
        if self._withdrawn is not None and len(self._withdrawn) < self._capacity:
            self._withdrawn[condition] = None
        for entry in self.entries.values():
            if entry.holds and entry.alert.condition == condition:
                entry.holds = False
                entry.confirmed = True
                entry.ended_at = now.tick
                self.changes += 1

    def _of_other_severity(self, alert: SentAlert) -> Iterator[Entry]:
        """Yield what lasts, or whose end is yet to be told, of a lasting alert's condition."""
        for entry in self.entries.values() if alert.lasting else ():
            if entry.alert.name != alert.name or entry.alert.key == alert.key or not entry.alert.lasting:
                continue
            if entry.alert.condition == alert.condition and (entry.holds or entry.told):
                yield entry

    def next_job(self, destination: str, now: Now) -> Job | None:
        """Return what is to be done at a destination that is ready, the gravest first; it counts as begun."""
        ready = [
            (entry.alert.rank, way.attempts, entry.since, key)
            for key, entry, way, due in self._ways(destination)
            if due is not None and due <= now.tick
        ]
        if not ready:
            return None
        entry = self.entries[min(ready)[-1]]
        self.changes += 1
        entry.alert = entry.alert.in_time(now.wall)
        if entry.holds and entry.alert.lasting and entry.confirmed:
            entry.alert = entry.alert.until(now.wall + entry.alert.lifetime_seconds)
        status: Status = "firing" if entry.holds else "resolved"
        way = entry.posts.get(destination) or entry.legs[destination]
        way.busy = True
        only = entry.left_of(way, now.tick) if isinstance(way, Leg) else ()
        if isinstance(way, Leg) and not only:
            way.left = ()
        notification = Notification(entry.alert, status, now.wall, only)
        if isinstance(way, Post) and way.taken and entry.holds:
            return Job(destination, "check", notification, 1, entry, way)
        way.attempts += 1
        return Job(destination, "post" if isinstance(way, Post) else "tell", notification, way.attempts, entry, way)

    def done(self, job: Job, outcome: DeliveryOutcome, now: Now) -> None:
        """Note how a job ended. One that failed is due again as soon as its destination is ready."""
        entry = job.entry
        self.changes += 1
        if isinstance(job.way, Leg):
            self._told(job.way, job, outcome, now)
        else:
            self._posted(entry, job.way, job, outcome, now.tick)

    def due_at(self, destination: str) -> float | None:
        """Return the tick at which there is something to do at a destination, `None` where there never is."""
        return min((due for _, _, _, due in self._ways(destination) if due is not None), default=None)

    def tidy(self, now: Now) -> None:
        """Drop what is out of date, and forget what is over."""
        for key, entry in list(self.entries.items()):
            waits = entry.holds and not entry.settled and not entry.busy
            if waits and now.wall >= entry.alert.ends_at and not (entry.alert.lasting and entry.confirmed):
                entry.expired = True
                entry.ended_at = now.tick
                self.changes += 1
                if not entry.reached:
                    logger.error("alerts: {} was not delivered in time and is dropped", entry.alert.name)
                    self._count("alerts_dropped", "expired")
            elif entry.told and not entry.confirmed and now.wall >= entry.alert.ends_at:
                entry.expired = True
                self.changes += 1
            forget_at = entry.forget_at()
            if forget_at is not None and now.tick >= forget_at:
                del self.entries[key]
                self.changes += 1

    def hasten(self, now: Now, *, whatever_is_on_its_way: bool) -> None:
        """Have the direct channels take over at once what no Alertmanager has taken so far: the bot is about to end.

        What is on its way to one may arrive, or hang: that is left to the caller's patience.
        """
        for entry in self.entries.values():
            failed = any(post.attempts and not post.busy for post in entry.posts.values())
            if entry.confirmed and (failed or whatever_is_on_its_way):
                entry.direct_at = min(entry.direct_at, now.tick)

    def unfinished(self) -> list[Entry]:
        """Return what is on its way, or waits to be, and would be late were the bot to end."""
        return [
            entry
            for entry in self.entries.values()
            if entry.busy or (entry.holds and entry.confirmed and not entry.out and not entry.settled)
        ]

    def saved(self, now: Now) -> list[dict[str, Any]]:
        """Return what the spool is to keep: what has not gone out, and who was told of what still holds."""
        return [
            as_kept(entry)
            for entry in self.entries.values()
            if not entry.expired
            and not entry.reported
            and (entry.told or (entry.holds and not entry.out and not entry.settled))
        ]

    def restore(self, saved: Sequence[Any], now: Now, *, settle_seconds: float) -> int:
        """Take what a spool kept, and return how many of its entries could not be read.

        What lasts waits for `settle_seconds` for the bot to send it again or to withdraw it. What is out of date is
        dropped, but for the end of what a person was told of: late news of it is still true. What the bot has sent or
        withdrawn meanwhile, where the spool opened late, stands as it is; who was told before is not told again, and
        hears of the end.
        """
        bad = 0
        self.changes += 1
        withdrawn, self._withdrawn = self._withdrawn or {}, None
        for value in saved[: self._capacity]:
            try:
                kept = KeptAlert.of(value, tick=now.tick, wall=now.wall)
            except ValueError:
                bad += 1
                continue
            alert, holds = kept.alert, kept.holds and kept.alert.condition not in withdrawn
            if alert.key in self.entries:
                self.entries[alert.key].recall(kept.legs)
                continue
            if now.wall >= alert.ends_at and (holds or not kept.legs):
                if not kept.legs:
                    logger.error("alerts: {} was not delivered before its end and is dropped", alert.name)
                    self._count("alerts_dropped", "expired")
                continue
            wait = settle_seconds if alert.lasting else 0.0
            entry = self._entry(alert, now.tick, due_at=now.tick + wait)
            entry.confirmed, entry.holds = not alert.lasting or not holds, holds
            entry.ended_at = now.tick
            entry.recall(kept.legs)
            self.entries[alert.key] = entry
        return bad

    def _entry(self, alert: SentAlert, tick: float, *, due_at: float) -> Entry:
        return Entry(
            alert=alert,
            since=tick,
            due_at=due_at,
            direct_at=due_at + self._fallback_seconds,
            posts={name: Post() for name in self._alertmanagers},
            legs={name: Leg() for name in self._direct},
        )

    def _return(self, entry: Entry, tick: float) -> None:
        """The condition holds again before it was forgotten."""
        if entry.reached:
            entry.returns += 1
        entry.holds = True
        entry.reported = entry.expired = False
        # Without resetting the fallback: a condition that flaps while no Alertmanager answers is told all the same.
        if entry.reached:
            entry.direct_at = tick + self._fallback_seconds
        entry.due_at = tick
        for post in entry.posts.values():
            post.taken = post.ended = False
            post.taken_at = post.refused_at = None
            post.attempts = post.checks = 0
        for leg in entry.legs.values():
            leg.refused_at = None
            leg.attempts = 0
            if leg.told == "resolved":
                leg.told = None

    def _make_room(self, alert: SentAlert) -> bool:
        """Return whether there is room, having let go of what is over or else of what matters least."""
        if len(self.entries) < self._capacity:
            self._full = False
            return True
        # Whoever was told of what lasts is still to hear of its end: what owes nobody anything goes first.
        over = [
            (entry.told and entry.alert.lasting, entry.since, key)
            for key, entry in self.entries.items()
            if self._is_over(entry)
        ]
        if over:
            del self.entries[min(over)[-1]]
            return True
        self._count("alerts_dropped", "queue_full")
        level = "DEBUG" if self._full else "ERROR"
        self._full = True
        least = [(-entry.alert.rank, entry.since, key) for key, entry in self.entries.items() if not entry.busy]
        if not least or -min(least)[0] < alert.rank:
            logger.log(level, "alerts: {} is dropped: {} graver ones are waiting", alert.name, self._capacity)
            return False
        dropped = self.entries.pop(min(least)[-1])
        logger.log(level, "alerts: {} is dropped for {}: the queue is full", dropped.alert.name, alert.name)
        return True

    @staticmethod
    def _is_over(entry: Entry) -> bool:
        return not entry.busy and (not entry.holds or entry.reached or entry.settled)

    def _ways(self, destination: str) -> Iterator[tuple[Key, Entry, Post | Leg, float | None]]:
        for key, entry in self.entries.items():
            if destination in entry.posts:
                post = entry.posts[destination]
                yield key, entry, post, entry.post_due(post)
            else:
                leg = entry.legs[destination]
                yield key, entry, leg, entry.leg_due(leg)

    def _told(self, leg: Leg, job: Job, outcome: DeliveryOutcome, now: Now) -> None:
        leg.busy = False
        if isinstance(outcome, Delivered | Partly):
            if not job.notification.only:
                leg.told, leg.told_at, leg.told_wall = job.notification.status, now.tick, now.wall
                leg.told_rank = job.notification.alert.rank
                self._count("alerts_sent", "direct")
            leg.refused_at = None
        elif isinstance(outcome, Refused):
            leg.refused_at = leg.refused_at if job.notification.only else now.tick
            self._count("alerts_dropped", "refused")
        if isinstance(outcome, Partly):
            leg.leave(outcome.left, now.tick)
        elif not isinstance(outcome, Later):
            leg.left, leg.attempts = (), 0

    def _posted(self, entry: Entry, post: Post, job: Job, outcome: DeliveryOutcome, tick: float) -> None:
        post.busy = False
        match outcome:
            case Delivered() if job.notification.status == "resolved":
                post.ended = True
            case Delivered():
                if all(each.taken_at is None for each in entry.posts.values()):
                    self._count("alerts_sent", "alertmanager")
                post.taken, post.taken_at, post.posted_at = True, tick, tick
                post.refused_at, post.attempts, post.checks = None, 0, 0
                entry.check_after(post, tick)
            case Reported():
                entry.reported = True
            case Kept():
                entry.check_after(post, tick)
                # So that its end stays ahead for as long as it holds.
                old = tick - post.posted_at > _REFRESH_SHARE * entry.alert.lifetime_seconds
                post.taken = not (old and entry.alert.lasting)
            case Lost() | Later():
                post.taken = False
                post.checks = 0
            case Refused():
                post.taken, post.refused_at, post.attempts = False, tick, 0
                self._count("alerts_dropped", "refused")
                if all(each.refused_at is not None for each in entry.posts.values()):
                    entry.direct_at = min(entry.direct_at, tick)
