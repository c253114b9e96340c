"""One alert in the ledger: whether it holds, and how far it has come with each destination."""

from __future__ import annotations

from dataclasses import dataclass

from nightdesk_core.backoff import backoff_seconds

from nightdesk_alerts.alert import SentAlert, Status

EVENT_SECONDS = 900.0
"""An event told again within this time is the same one: as long as the rules show it."""

_FIRST_CHECK_SECONDS = 2.0
_CHECK_SECONDS = 15.0
_FORGET_SECONDS = 60.0
_FORGET_TOLD_SECONDS = 3600.0
_HOLD_SECONDS = 60.0
_LONGEST_HOLD_SECONDS = 900.0
_FIRST_LEFT_SECONDS = 30.0
_LONGEST_LEFT_SECONDS = 900.0


@dataclass
class Leg:
    """An alert's way to one direct channel. Times are ticks of the monotonic clock."""

    told: Status | None = None
    """What the channel was told last."""
    told_rank: int = 0
    """How grave that was: what has got graver since is told at once, what is less grave now at the next reminder."""
    told_at: float = 0.0
    told_wall: float = 0.0
    """The same moment as Unix time, which a restart does not change."""
    refused_at: float | None = None
    busy: bool = False
    attempts: int = 0
    left: tuple[str, ...] = ()
    """Those of several recipients who are yet to hear what the others were told last."""
    left_at: float = 0.0
    """When they are tried again."""

    def leave(self, left: tuple[str, ...], tick: float) -> None:
        """Have those who are left tried again, ever more rarely: as a mail server does that is refused for a while."""
        self.left = left
        self.left_at = tick + backoff_seconds(
            self.attempts - 1, first_seconds=_FIRST_LEFT_SECONDS, longest_seconds=_LONGEST_LEFT_SECONDS
        )


@dataclass
class Post:
    """An alert's way to one Alertmanager."""

    taken: bool = False
    taken_at: float | None = None
    posted_at: float = 0.0
    check_at: float = 0.0
    checks: int = 0
    ended: bool = False
    """Whether it was told that an alert without a rule has ended."""
    refused_at: float | None = None
    busy: bool = False
    attempts: int = 0


@dataclass
class Entry:
    """One alert and its ways. `due_at` is when it goes out first, `direct_at` when the direct channels take over."""

    alert: SentAlert
    since: float
    due_at: float
    direct_at: float
    posts: dict[str, Post]
    legs: dict[str, Leg]
    holds: bool = True
    confirmed: bool = True
    """False for one from the spool of which the bot has not spoken since its start."""
    reported: bool = False
    """Whether Prometheus has reported it to Alertmanager, and sees to it from here on."""
    ended_at: float = 0.0
    returns: int = 0
    """How often it came back after it had ended: the news of its end is held back for longer each time."""
    expired: bool = False

    @property
    def covered(self) -> bool:
        """Whether an Alertmanager has it and answers."""
        return self.reported or any(post.taken for post in self.posts.values())

    @property
    def told(self) -> bool:
        """Whether some channel was last told that it fires."""
        return any(leg.told == "firing" for leg in self.legs.values())

    @property
    def out(self) -> bool:
        """Whether somebody knows now how grave it is: a person, or an Alertmanager that answers."""
        return self.covered or any(self._knows(leg) for leg in self.legs.values())

    @property
    def reached(self) -> bool:
        """Whether anybody has ever taken it."""
        taken = any(post.taken_at is not None for post in self.posts.values())
        return taken or self.reported or any(leg.told for leg in self.legs.values())

    @property
    def busy(self) -> bool:
        """Whether it is on its way to anybody right now."""
        return any(post.busy for post in self.posts.values()) or any(leg.busy for leg in self.legs.values())

    @property
    def hold_seconds(self) -> float:
        """How long the news of its end waits, so that a condition that flaps is one message."""
        return backoff_seconds(self.returns, first_seconds=_HOLD_SECONDS, longest_seconds=_LONGEST_HOLD_SECONDS)

    def post_due(self, post: Post) -> float | None:
        """Return when an Alertmanager is to be told or asked of it next, `None` where never."""
        if post.busy or self.reported or self.expired:
            return None
        if not self.holds:
            # Of an alert with a rule Prometheus tells the end: ours would contradict it.
            return self.ended_at if post.taken and not post.ended and not self.alert.ours else None
        if post.refused_at is not None:
            return post.refused_at + self.alert.repeat_seconds if self.alert.lasting else None
        return post.check_at if post.taken else self.due_at

    def check_after(self, post: Post, tick: float) -> None:
        """Have an Alertmanager that has the alert asked again, soon at first, whether Prometheus reported it."""
        post.check_at = tick + backoff_seconds(
            post.checks, first_seconds=_FIRST_CHECK_SECONDS, longest_seconds=_CHECK_SECONDS
        )
        post.checks += 1

    def leg_due(self, leg: Leg) -> float | None:
        """Return when a direct channel is to be told of it next, `None` where never."""
        if leg.busy or self.reported or self.expired:
            return None
        if not self.holds:
            return self._end_due(leg)
        if self.covered:
            return None
        due = max(self.direct_at, self._after_alertmanager())
        if self._knows(leg):
            again = self.reminder_at(leg)
            dues = [*([] if again is None else [again]), *([leg.left_at] if leg.left else [])]
            return max(due, min(dues)) if dues else None
        if leg.refused_at is not None:
            return max(due, leg.refused_at + self.alert.repeat_seconds) if self.alert.lasting else None
        return due

    def reminder_at(self, leg: Leg) -> float | None:
        """Return when all whom a direct channel has told are to be told again, `None` where never."""
        return leg.told_at + self.alert.repeat_seconds if self.alert.lasting and self.confirmed else None

    def left_of(self, leg: Leg, tick: float) -> tuple[str, ...]:
        """Return who alone is to be told now, where the others have heard of just that; nobody where all are to be."""
        if not self.holds:
            return leg.left if leg.told == "resolved" else ()
        again = self.reminder_at(leg)
        return leg.left if self._knows(leg) and (again is None or tick < again) else ()

    def is_past(self, alert: SentAlert, tick: float) -> bool:
        """Return whether an alert of the same labels is another one."""
        if alert.lasting:
            return not self.alert.lasting
        if self.alert.lasting:
            return not self.holds and not self.told
        return self.reached and tick - self.since >= EVENT_SECONDS

    def succeed(self, other: Entry, tick: float) -> None:
        """Take the place of an entry of the same condition, whose severity was another: it ends without a word.

        Who was told of that one hears of the end from this one.
        """
        other.holds, other.confirmed, other.ended_at = False, True, tick
        self.legs, other.legs = other.legs, {name: Leg() for name in other.legs}
        self.returns = max(self.returns, other.returns)

    def recall(self, legs: dict[str, Leg]) -> None:
        """Learn whom an earlier run has told, but for those whom this one has told, or is telling, itself."""
        for name, leg in legs.items():
            own = self.legs.get(name)
            if own is not None and own.told is None and not own.busy:
                self.legs[name] = leg

    def _knows(self, leg: Leg) -> bool:
        return leg.told == "firing" and leg.told_rank <= self.alert.rank

    def _end_due(self, leg: Leg) -> float | None:
        if leg.told == "resolved" and leg.left:
            return leg.left_at
        if leg.told != "firing" or not self.alert.lasting:
            return None
        ended = self.ended_at + self.hold_seconds
        return ended if leg.refused_at is None else max(ended, leg.refused_at + self.alert.repeat_seconds)

    def _after_alertmanager(self) -> float:
        """Return when a person whom an Alertmanager told, that is now gone, is to be reminded."""
        taken = [post.taken_at for post in self.posts.values() if post.taken_at is not None]
        return max(taken) + self.alert.repeat_seconds if taken else 0.0

    def forget_at(self) -> float | None:
        """Return when nothing more is to be known of it, `None` while there is."""
        if self.busy or (self.told and self.alert.lasting and not self.reported and not self.expired):
            return None
        if not self.holds or self.expired:
            told_at = [leg.told_at + _FORGET_TOLD_SECONDS for leg in self.legs.values() if leg.told]
            return max([self.ended_at + _FORGET_SECONDS, *told_at])
        if not self.alert.lasting and (self.covered or self.settled):
            return self.since + EVENT_SECONDS
        return None

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do about it now, unless something changes."""
        if self.reported or self.expired:
            return True
        ways: list[float | None] = [self.post_due(post) for post in self.posts.values()]
        ways += [self.leg_due(leg) for leg in self.legs.values()]
        return not self.busy and all(due is None for due in ways)
