"""One orchestration of the guard for every bot: its policy over a store, a clock and an account.

`Guard` is it for a bot that tells of its trades one by one; the reference bot's engine takes the policy's steps itself,
and hands them in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.models.requests import RetrainRequests

from nightdesk_guard import notices
from nightdesk_guard.evidence import Evidence
from nightdesk_guard.expectation import Expected
from nightdesk_guard.kill_switch import KillSwitchState
from nightdesk_guard.limits import GuardLimits
from nightdesk_guard.notices import Handler, Notice, Teller
from nightdesk_guard.performance import GuardStatus, PerformanceGuard, Resume
from nightdesk_guard.policy import GuardMemory, GuardStep, ModelInUse
from nightdesk_guard.reporting import (
    NOTHING_MEASURED,
    LiveMeasures,
    Reporter,
    report_delivered,
    report_guard,
    report_shadow,
)
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.store import GuardStore, SwitchSeen
from nightdesk_guard.tripwire import AccountView, KillLimits
from nightdesk_guard.watch import KillSwitchParts, KillSwitchWatch

_PEAK_STEP = 0.001
"""A peak that rises by less is not worth a write to the disk."""


@dataclass(frozen=True, kw_only=True)
class GuardParts:
    """What the guard of one bot is made of."""

    state_dir: Path
    """The bot's own; latch, audit log and retrain requests lie there."""
    performance: PerformanceGuard
    kill_limits: KillLimits
    store: GuardStore
    account: Callable[[], AccountView] | None = None
    """Returns the account as it stands; whatever it raises trips the kill switch. `None` where it will be shown."""
    requests: RetrainRequests
    audit: AuditLog
    reporter: Reporter | None = None
    measures: Callable[[GuardMemory, Expected], LiveMeasures] | None = None
    """Returns what the bot has measured of its live trading, for the reporter."""
    handlers: Mapping[str, Handler] | None = None
    """Who tells notices of kinds that are the bot's own."""
    retry_seconds: float = 60.0
    """How long after a failure a notice is told again, at the earliest."""
    tests_itself: bool = True
    """Whether a look at the kill switch tries it once a day; else the bot calls `self_test`."""
    clock: WallClock = system_clock


class GuardRuntime:
    """Looks after the kill switch, keeps the policy's steps, reports them, and tells others what they are owed.

    All of it belongs to one thread, that of the store; but for `wait` and `self_test`, which may run in another.
    """

    def __init__(self, parts: GuardParts) -> None:
        """Raises what the store raises where what it remembers cannot be read: the bot must not trade."""
        self._parts = parts
        self.performance = parts.performance
        self.model = ModelInUse()
        """The model in use."""
        self._store = parts.store
        self._reporter = parts.reporter
        self._clock = parts.clock
        self._resumes = ResumeFile(parts.state_dir, clock=parts.clock)
        self._teller = Teller(
            parts.audit,
            parts.requests,
            more=parts.handlers,
            retry_seconds=parts.retry_seconds,
            clock=parts.clock,
        )
        self._watch = KillSwitchWatch(
            KillSwitchParts(
                state_dir=parts.state_dir,
                limits=parts.kill_limits,
                positions=parts.performance.settings.kill_switch.positions,
                account=parts.account,
                reporter=parts.reporter,
                clock=parts.clock,
                tests_itself=parts.tests_itself,
            )
        )
        self._limits: GuardLimits | None = None
        """Those that were last reported."""
        self.recall()

    def present(self, name: str) -> AbstractContextManager[None]:
        """Be the guard of the state folder for the block, where `nightdesk kill` finds it by the bot's name.

        Raises `LockTimeoutError` where another bot guards itself in this folder.
        """
        return self._watch.presence.here(name)

    def recall(self) -> None:
        """Take up what the store remembers."""
        self._kept = self._store.seen()
        self._watch.recall(self._kept.anchors, self._kept.switch)

    def adopt(self, performance: PerformanceGuard, kill_limits: KillLimits) -> None:
        """Go on with other settings."""
        self.performance = performance
        self._watch.adopt(kill_limits, performance.settings.kill_switch.positions)

    @property
    def memory(self) -> GuardMemory:
        """What the policy goes on from."""
        return self._store.memory()

    @property
    def status(self) -> GuardStatus:
        """How the bot may trade."""
        return self.memory.status

    @property
    def evidence(self) -> Evidence | None:
        """What live trading has shown of the model in use, `None` before its first trade and without its profile."""
        return self.memory.evidence.get(self.model.version)

    @property
    def size_multiplier(self) -> float:
        """What the size of an entry is multiplied by."""
        return self.performance.size_multiplier(self.status)

    @property
    def threshold_increase(self) -> float:
        """What is added to the model's threshold for an entry."""
        return self.performance.threshold_increase(self.status)

    @property
    def is_killed(self) -> bool:
        """Whether the kill switch is active at this moment."""
        return self._watch.is_active

    def look(self) -> tuple[KillSwitchState, bool]:
        """Return how the kill switch stands, and whether it was moved since the last look; durably.

        Also a switch that was activated and lifted between two looks has moved. Not within a transaction of the store.
        """
        switch = self._watch.look()
        moved = switch != self._kept.switch
        if moved or self._anchors_moved():
            with self._store.transaction():
                seen = self._keep_seen(switch)
            self._kept = seen
        return switch, moved

    @contextmanager
    def take(self, step: GuardStep, *, owed: Sequence[Notice] = ()) -> Iterator[None]:
        """Keep a step in one transaction with what the block keeps, the bot's own trades for instance, or nothing.

        `owed` are notices of the bot's own that go with it.
        """
        with self._store.transaction():
            yield
            seen = self._keep_seen(self._watch.last)
            self._store.keep_step(step)
            self._store.owe([*notices.of_step(step), *owed])
        self._kept = seen
        if step.moved is not None and self._reporter is None:
            logger.warning("guard: {} to {}: {}", step.moved.before, step.moved.after, step.moved.reason)
        if step.breach is not None:
            found = step.breach
            logger.warning(
                "{} wins less than its hold-out promised: e-value {:.1f}", found.model_version, found.e_value
            )

    def last_resume(self) -> Resume | None:
        """Return the last word of an operator that the guard may climb a step, `None` where there is none."""
        return self._resumes.last()

    def report(self, *, shadow_trades: int = 0) -> None:
        """Report guard, shadow, and live against expected; so many shadow trades have closed since the last report."""
        memory, model, moved = self.memory, self.model, self._store.last_move()
        limits = self.performance.limits(model.calibrated)
        if limits != self._limits:
            note = "no model's hold-out calls for others" if model.profile is None else model.profile.note
            logger.info("the guard goes by {} limits{}", limits.source, f": {note}" if note else "")
            self._limits = limits
        if self._reporter is None:
            return
        reason = "" if moved is None else moved.reason
        report_guard(self._reporter, self.performance, memory.performance, limits, reason=reason)
        report_shadow(self._reporter, memory.performance, trades_closed=shadow_trades)
        if model.expected is not None:
            found = memory.evidence.get(model.version, Evidence(model.version))
            measure = self._parts.measures
            measured = NOTHING_MEASURED if measure is None else measure(memory, model.expected)
            report_delivered(self._reporter, model.expected, found, measured)

    def tell(self) -> None:
        """Tell others what they are owed, oldest first, as far as that goes now. It is told at least once."""
        if not self._store.write_again():
            return  # what is not kept yet is not told yet, or a bot that is killed now would tell it twice
        owed = self._store.owed()
        count = next((index for index, notice in enumerate(owed) if not self._teller.tell(notice)), len(owed))
        if count:
            with self._store.transaction():
                self._store.told(count)

    async def tell_in_background(self) -> None:
        """Tell others what they are owed, in a thread of its own: a lock that they keep for long delays nobody."""
        if not self._store.write_again():
            return
        for notice in self._store.owed():
            if not await asyncio.to_thread(self._teller.tell, notice):
                return
            with self._store.transaction():
                self._store.told(1)

    @property
    def held_in_memory(self) -> dict[str, str]:
        """What cannot be written at present, by the reason. Nothing may be entered while there is anything."""
        found = {
            "guard's memory": self._store.unwritten,
            "audit log": self._teller.unwritable,
            "kill switch": self._watch.unwritable,
        }
        return {what: why for what, why in found.items() if why is not None}

    def write_again(self) -> None:
        """Write what is in memory only, where the disk takes it now."""
        self._store.write_again()

    def trip(self, reason: str) -> None:
        """Trip the kill switch: all entries stop, and positions stay as they are."""
        self._watch.trip(reason)

    def self_test(self, acts: Callable[[], str]) -> bool:
        """Try the kill switch, and trip it where it would not work; `acts` says what of the bot would not obey it.

        Returns whether it could be tried: on a disk that takes nothing it cannot, which is no reason to trip it.
        """
        return self._watch.self_test(acts)

    def _keep_seen(self, switch: KillSwitchState) -> SwitchSeen:
        """Keep how the switch was seen, within a transaction, with what its activation owes."""
        seen = SwitchSeen(self._watch.anchors, switch)
        if seen != self._kept:
            self._store.keep_seen(seen)
            self._store.owe(notices.of_activation(switch, self._kept.switch))
        return seen

    def _anchors_moved(self) -> bool:
        """Return whether the anchors moved enough to be written: not with every tick that sets a new peak."""
        now, before = self._watch.anchors, self._kept.anchors
        return replace(now, peak=before.peak) != before or now.peak > before.peak * (1 + _PEAK_STEP)
