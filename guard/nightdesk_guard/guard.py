"""Performance guard and kill switch for any bot, in a few calls. What it must remember it keeps on disk.

Guard fails closed: a call that makes no sense raises, and so does one whose outcome cannot be written. It then counts
for nothing, and nothing may be entered until a call has succeeded.
"""

from __future__ import annotations

import sqlite3
import time as walltime
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.files import locked
from nightdesk_core.journal import Journal
from nightdesk_core.requests import RetrainRequests

from nightdesk_guard import notices
from nightdesk_guard.evidence import Evidence, weighed
from nightdesk_guard.memory import Memory, Remembered
from nightdesk_guard.own_trade import GuardError, OwnTrade, number
from nightdesk_guard.performance import GuardStatus, Observation, PerformanceGuard
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.reporting import Reporter, report_delivered, report_guard, report_shadow
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.settings import GuardSettings
from nightdesk_guard.tripwire import KillLimits
from nightdesk_guard.watch import Watch

Block = Literal["blocked_kill_switch", "blocked_guard", "blocked_stale"]
"""Why the bot may not enter, as the exporter's `signal` takes it for an outcome."""


class Guard:
    """The guard of one bot: a context manager that is shown trades and equity, and asked before every entry.

    All of it belongs to one thread, that of the journal where there is one, but for `wait`, which may run in another:
    `await asyncio.to_thread(guard.wait, 60)`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        break_even_win_rate: float,
        settings: GuardSettings | None = None,
        kill_limits: KillLimits | None = None,
        model_version: str = "",
        profile: GuardProfile | None = None,
        journal: Journal | None = None,
        reporter: Reporter | None = None,
        clock: WallClock = system_clock,
    ) -> None:
        """`state_dir` is the bot's own; latch, audit log and retrain requests lie there, and the guard's memory.

        `break_even_win_rate` is the share of trades that must win to pay their costs. `kill_limits` are those of the
        settings, where they are left out; `model_version` and `profile` are as in `use_model`. With a `journal` the
        memory lies in there instead, and a trade told in a transaction of it is committed with that, or not at all.

        Raises `GuardError` or `DamagedJournalError` where what it remembers cannot be read: the bot must not trade.
        """
        if not 0 < break_even_win_rate < 1:
            raise GuardError(f"break_even_win_rate is {break_even_win_rate}; it lies between 0 and 1")
        settings = GuardSettings() if settings is None else settings
        self._machine = PerformanceGuard(settings, break_even_win_rate=break_even_win_rate)
        self._reporter = reporter
        self._clock = clock
        self._journal = journal
        self._state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self._memory = Memory(state_dir, journal)
        self._resumes = ResumeFile(state_dir, clock=clock)
        audit = AuditLog(state_dir / "audit.jsonl", clock=clock)
        self._teller = notices.Teller(audit, RetrainRequests(state_dir, audit, clock=clock), clock=clock)
        self._watch = Watch(
            state_dir,
            KillLimits.of(settings.kill_switch) if kill_limits is None else kill_limits,
            positions=settings.kill_switch.positions,
            stale_seconds=settings.entries.stale_seconds,
            reporter=reporter,
            clock=clock,
        )
        self._entered: ExitStack | None = None
        self._succeeded = False
        self.use_model(model_version, profile)

    def __enter__(self) -> Self:
        """Take up what is remembered. Raises `LockTimeoutError` where another bot guards itself in this folder."""
        with ExitStack() as stack:
            stack.enter_context(locked(self._state_dir / "guard.lock", timeout_seconds=0))
            known = self._memory.load()
            self._watch.recall(known.anchors, known.switch)
            self._watch.look()
            self._report(known)
            self._entered = stack.pop_all()
        return self

    def __exit__(self, *ended: object) -> None:
        if self._entered is not None:
            self._entered.close()
        self._entered, self._succeeded = None, False

    def use_model(self, version: str, profile: GuardProfile | None = None) -> None:
        """Trade by another model from now on; an empty version is none.

        `profile` is what its hold-out says of it (`guard.json` of its bundle): the guard's limits are then calibrated,
        and its trades are held against what was promised. Where they fall short of that, a retrain is asked for once.
        """
        self._model_version = version
        self._calibrated = None if profile is None else profile.calibrated
        self._expected = None if profile is None or not version else profile.expected

    @property
    def status(self) -> GuardStatus:
        """How the bot may trade."""
        return self._memory.known.guard.status

    @property
    def evidence(self) -> Evidence | None:
        """What live trading has shown of the model in use, `None` before its first trade and without its profile."""
        return self._memory.known.evidence.get(self._model_version)

    @property
    def blocked(self) -> Block | None:
        """Why the bot may not enter at this moment, `None` where it may."""
        if self._watch.look().active:
            return "blocked_kill_switch"
        if not self._watch.is_fresh:
            return "blocked_stale"
        return "blocked_guard" if not self._succeeded or self.status is GuardStatus.PAUSED else None

    @property
    def size_multiplier(self) -> float:
        """What the size of an entry is multiplied by."""
        return self._machine.size_multiplier(self.status)

    @property
    def threshold_increase(self) -> float:
        """What is added to the model's threshold for an entry."""
        return self._machine.threshold_increase(self.status)

    @property
    def trades_in_the_shadow(self) -> bool:
        """Whether the bot should follow, without money, the trades that it would make were it not held back."""
        return self.status is not GuardStatus.NORMAL and not self._watch.look().active

    @property
    def must_close(self) -> bool:
        """Whether the kill switch wants open positions closed. Never at stale prices: show the equity first."""
        return self._watch.must_close()

    def trade(
        self,
        *,
        profit: float,
        risk: float,
        fees: float = 0.0,
        slippage: float = 0.0,
        entered: GuardStatus | None = None,
        model_version: str | None = None,
    ) -> None:
        """A trade was closed: its net profit, and what its stop would have cost (its notional, without a stop).

        `fees` and `slippage` are parts of what it cost, for live against expected. `entered` is how the guard stood
        when it was entered, `model_version` the model that decided it: as it is now, where they are left out.
        """
        with self._changing() as known:
            status = known.guard.status if entered is None else GuardStatus(entered)
            version = self._model_version if model_version is None else model_version
            trade = OwnTrade.of(profit, risk, fees, slippage, model_version=version, guard=status)
            self._memory.keep(replace(known, closed=(*known.closed, trade)))

    def shadow_trade(
        self,
        *,
        profit: float,
        risk: float,
        fees: float = 0.0,
        slippage: float = 0.0,
        model_version: str | None = None,
    ) -> None:
        """A trade that moved no money would have been closed; it counts only while the bot `trades_in_the_shadow`."""
        with self._changing() as known:
            version = self._model_version if model_version is None else model_version
            trade = OwnTrade.of(profit, risk, fees, slippage, model_version=version, guard=GuardStatus.NORMAL)
            if known.shadow_equity is not None and not self._watch.look().active:
                equity, closed = known.shadow_equity + trade.profit, (*known.shadow_closed, trade)
                self._memory.keep(replace(known, shadow_equity=equity, shadow_closed=closed))

    def equity(self, equity: float, *, leverage: float, time: float | None = None) -> GuardStatus:
        """Show the account, marked to market just now; here the guard moves. Return how the bot may trade.

        `leverage` is the notional of all open positions over the equity, 0 where none is open; `time` is the market's,
        the wall's where it is left out. Call it at every candle, and with a position open more often than the kill
        switch lets its price age (30 minutes). Not within a transaction of the journal.
        """
        with self._changing() as known:
            if self._journal is not None and self._journal.in_transaction:
                raise GuardError("equity() has a transaction of its own: call it outside of the journal's")
            try:
                now, geared = number(equity, "equity", least=0.0), number(leverage, "leverage", least=0.0)
            except GuardError as error:
                self._watch.trip(f"the kill switch could not be evaluated ({error})")
                raise
            at = number(self._clock() if time is None else time, "time", least=0.0)
            known, shadow_trades = self._advance(known, now, market_time=at, leverage=geared)
        self._report(known, shadow_trades=shadow_trades)
        self._tell(known)
        return known.guard.status

    def wait(self, seconds: float, *, sleep: Callable[[float], None] = walltime.sleep) -> bool:
        """Sleep until the next candle, in seconds; no longer than until the kill switch asks for something new.

        Returns whether it is active. It is heard within a second; what `must_close` has said is nothing new.
        """
        return self._watch.wait(seconds, sleep=sleep)

    @contextmanager
    def _changing(self) -> Iterator[Remembered]:
        """Yield what is remembered. Once the block has failed, nothing may be entered until one succeeds."""
        self._succeeded = False
        if self._entered is None:
            raise GuardError("the guard works inside its with block only")
        yield self._memory.known
        self._succeeded = True

    def _advance(
        self, known: Remembered, equity: float, *, market_time: float, leverage: float
    ) -> tuple[Remembered, int]:
        """Move the guard, durably; return what it then remembers, and how many shadow trades moved it."""
        switch = self._watch.show(equity, leverage=leverage, market_time=market_time)
        seen = Observation(
            time=int(market_time),
            equity=equity,
            closed=tuple(trade.result for trade in known.closed),
            shadow_equity=known.shadow_equity,
            shadow_closed=tuple(trade.result for trade in known.shadow_closed),
            model_version=self._model_version,
            calibrated=self._calibrated,
            resume=self._resumes.last(),
        )
        guard, moved = self._machine.advance(known.guard, seen)
        evidence, breach = self._weighed(known)
        shadow_equity = equity if known.shadow_equity is None else known.shadow_equity
        owed = [*known.owed, *notices.of_activation(switch, known.switch)]
        if moved is not None:
            if self._reporter is None:
                logger.warning("guard: {} to {}: {}", moved.before, moved.after, moved.reason)
            owed += notices.of_transition(moved)
        if breach is not None:
            owed += notices.of_breach(breach, int(market_time))
        after = Remembered(
            guard=guard,
            moved=known.moved if moved is None else moved,
            anchors=self._watch.anchors,
            switch=switch,
            shadow_equity=None if guard.status is GuardStatus.NORMAL else shadow_equity,
            evidence=evidence,
            owed=tuple(owed),
        )
        self._memory.keep(after, moved)
        return after, len(known.shadow_closed)

    def _weighed(self, known: Remembered) -> tuple[dict[str, Evidence], Evidence | None]:
        if self._expected is None:
            return dict(known.evidence), None
        return weighed(
            known.evidence,
            self._expected,
            self._model_version,
            known.closed,
            known.shadow_closed,
            size_multiplier=self._machine.settings.reduced_size_multiplier,
        )

    def _report(self, known: Remembered, *, shadow_trades: int = 0) -> None:
        if self._reporter is None:
            return
        limits, reason = self._machine.limits(self._calibrated), "" if known.moved is None else known.moved.reason
        report_guard(self._reporter, self._machine, known.guard, limits, reason=reason)
        held = known.shadow_equity is not None
        report_shadow(self._reporter, known.guard, trades_closed=shadow_trades, held_back=held)
        if self._expected is not None:
            found = known.evidence.get(self._model_version, Evidence(self._model_version))
            report_delivered(self._reporter, self._expected, found)

    def _tell(self, known: Remembered) -> None:
        """Tell audit log and retrain job what they are owed. Told again where only the memory of that fails."""
        left = self._teller.tell(known.owed)
        if left != known.owed:
            try:
                self._memory.keep(replace(known, owed=left))
            except (OSError, sqlite3.Error) as error:
                logger.error("that {} notices were told could not be kept: {}", len(known.owed) - len(left), error)
