"""Performance guard and kill switch for any bot, in a few calls. What it must remember it keeps on disk.

Guard fails closed: a call that makes no sense raises. It then counts for nothing, and nothing may be entered until a
call has succeeded. What the disk does not take counts all the same, is kept in memory until it can be written, and
nothing may be entered meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time as walltime
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Self, TypeVar, Unpack

from loguru import logger
from nightdesk_core.age import age_seconds
from nightdesk_core.audit import AuditLog
from nightdesk_core.cash_flows import CashFlow, CashFlowError
from nightdesk_core.clock import MarketTime, WallTime, wall_clock
from nightdesk_core.files.permissions import group_of, make_folder, tighten
from nightdesk_core.forks import tell_of_forks
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_core.numbers import Number

from nightdesk_guard.audit_watch import AuditWatch
from nightdesk_guard.lost_state import LostState, signs_of_life
from nightdesk_guard.own_trade import FORKED, GuardError, OwnTrade, ShadowTradeTold, TradeTold, moment, number, text
from nightdesk_guard.performance import GuardStatus, PerformanceGuard
from nightdesk_guard.policy import Close, ModelInUse, step
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.reporting import NamedReporter, Reporter
from nightdesk_guard.rescaling import rescaled, shown
from nightdesk_guard.runtime import GuardParts, GuardRuntime
from nightdesk_guard.settings import GuardSettings
from nightdesk_guard.store import Remembered, SmallStore, SwitchSeen
from nightdesk_guard.tripwire import AccountView, KillLimits

T = TypeVar("T")
_CALL_SECONDS = 10.0
"""How long a call waits for one of another thread."""
Block = Literal["blocked_kill_switch", "blocked_guard", "blocked_stale", "blocked_disk"]
"""Why the bot may not enter, as the exporter's `signal` takes it for an outcome."""


class Guard(GuardRuntime):
    """The guard of one bot: a context manager that is shown trades and equity, and asked before every entry.

    What is asked of it (`blocked`, `status`, `size_multiplier` …) waits for no other thread. What it is told is durable
    when the call returns; calls of several threads follow each other, each waits 10 s at most. In asyncio `a_trade`,
    `a_equity` and the like do the same in a thread of the guard's own, in order. With a journal, which belongs to the
    thread that made it, only `wait` may run in another.
    """

    def __init__(
        self,
        state_dir: Path | str,
        *,
        break_even_win_rate: Number,
        settings: GuardSettings | None = None,
        kill_limits: KillLimits | None = None,
        model_version: str = "",
        profile: GuardProfile | None = None,
        journal: Journal | None = None,
        reporter: Reporter | None = None,
        clock: Callable[[], float | WallTime] = walltime.time,
    ) -> None:
        """`state_dir` is the bot's own; latch, audit log and retrain requests lie there, and the guard's memory.

        `break_even_win_rate` is the share of trades that must win to pay their costs. `kill_limits` are those of the
        settings, where they are left out; `model_version` and `profile` are as in `use_model`. With a `journal` the
        memory lies in there instead, and a trade told in a transaction of it is committed with that, or not at all.

        `clock` returns the wall time in seconds since the Unix epoch.

        Raises `GuardError` or `DamagedJournalError` where what it remembers cannot be read: the bot must not trade.
        """
        state_dir, win_rate = Path(state_dir), number(break_even_win_rate, "break_even_win_rate")
        if not 0 < win_rate < 1:
            raise GuardError(f"break_even_win_rate is {break_even_win_rate}; it lies between 0 and 1")
        settings = GuardSettings() if settings is None else settings
        make_folder(state_dir)
        if changed := tighten(state_dir, group=group_of(state_dir)):
            logger.warning("{} files and folders in {} were open to other users; now none is", changed, state_dir)
        self._state_dir = state_dir
        self._journal = journal
        self._small = SmallStore(state_dir, journal)
        self._stale_seconds = settings.entries.stale_seconds
        self._shown_at = WallTime(-math.inf)
        self._entered: ExitStack | None = None
        self._calls = threading.RLock()
        self._worker: ThreadPoolExecutor | None = None
        self._thread = None if journal is None else threading.get_ident()
        """The one that a journal belongs to."""
        self._succeeded = False
        self._forked = self._said_forked = False
        self._held_before: set[str] = set()
        """What was ever reported to be in memory only."""
        now = wall_clock(clock)
        audit = AuditLog(state_dir / "audit.jsonl", clock=now)
        self._audit_watch = AuditWatch(audit, reporter, clock=now)
        super().__init__(
            GuardParts(
                state_dir=state_dir,
                performance=PerformanceGuard(settings, break_even_win_rate=win_rate),
                kill_limits=KillLimits.of(settings.kill_switch) if kill_limits is None else kill_limits,
                store=self._small,
                requests=RetrainRequests(state_dir, audit, clock=now),
                audit=audit,
                reporter=reporter,
                clock=now,
            )
        )
        self.use_model(model_version, profile)

    def __enter__(self) -> Self:
        """Take up what is remembered. Raises `LockTimeoutError` where another bot guards itself in this folder."""
        with ExitStack() as stack:
            stack.enter_context(self.present(self._name()))
            self._small.load()
            self._begin()
            self.recall()
            self._watch.look()
            self.report()
            self._audit_watch.look()
            self._entered = stack.pop_all()
        tell_of_forks(self)
        return self

    def _name(self) -> str:
        """Return what the command line lists the bot by: as its exporter has it, its journal, or else its folders."""
        if isinstance(self._reporter, NamedReporter):
            return self._reporter.name
        if self._journal is not None:
            return self._journal.path.stem
        folder = self._state_dir.resolve()
        return (folder.parent if folder.name == "state" else folder).name or str(folder)

    def _begin(self) -> None:
        """Have a new bot remember that it has begun; keep one out of the market that has lived and forgotten it."""
        lost = LostState(self._state_dir, clock=self._clock)
        known = lost.known()
        if known is not None and known.accepted:
            lost.forget()
        if self._small.is_new:
            if signs := list(signs_of_life(self._state_dir, self._parts.audit)):
                lost.find(f"the guard's memory is missing, though {'; '.join(signs)}")
                logger.critical("{}; `nightdesk resume --lost-state` lets the bot begin anew", lost.pending)
            self._small.begin()

    def forked(self) -> None:
        """In a child of the bot's process, block all entries and refuse what would replace what the bot remembers."""
        if self._entered is not None:
            self._forked, self._calls = True, threading.RLock()
            self._watch.forked()
            self._small.forked()

    def __exit__(self, *ended: object) -> None:
        if self._worker is not None and not self._forked:
            self._worker.shutdown()
        self._worker = None
        if self._entered is not None:
            self._entered.close()
        self._entered, self._succeeded = None, False

    def use_model(self, version: str, profile: GuardProfile | None = None) -> None:
        """Trade by another model from now on; an empty version is none.

        `profile` is what its hold-out says of it (`guard.json` of its bundle): the guard's limits are then calibrated,
        and its trades are held against what was promised. Where they fall short of that, a retrain is asked for once.
        """
        self.model = ModelInUse(version, profile)

    @property
    def blocked(self) -> Block | None:
        """Why the bot may not enter at this moment, `None` where it may."""
        if self._watch.glance().active:
            return "blocked_kill_switch"
        if self._forked:
            if not self._said_forked:
                self._said_forked = True
                logger.error("guard: {}", FORKED)
            return "blocked_guard"
        if not self._is_fresh:
            return "blocked_stale"
        if not self._succeeded or self.status is GuardStatus.PAUSED:
            return "blocked_guard"
        return "blocked_disk" if self._cannot_keep() else None

    @property
    def trades_in_the_shadow(self) -> bool:
        """Whether the bot should follow, without money, the trades that it would make were it not held back."""
        return self.memory.holds_back and not self._watch.glance().active

    @property
    def must_close(self) -> bool:
        """Whether the kill switch wants open positions closed. Never at stale prices: show the equity first."""
        return not self._forked and self._watch.wants_positions_closed(can_close=self._is_fresh)

    def trade(
        self,
        *,
        profit: Number,
        risk: Number,
        fees: Number = 0.0,
        slippage: Number = 0.0,
        entered: GuardStatus | None = None,
        model_version: str | None = None,
    ) -> None:
        """A trade was closed: its net profit, and what its stop would have cost (its notional, without a stop).

        `fees` and `slippage` are parts of what it cost, for live against expected. `entered` is how the guard stood
        when it was entered, `model_version` the model that decided it: as it is now, where they are left out.
        """
        with self._changing() as known:
            status = known.memory.status if entered is None else GuardStatus(entered)
            trade = self._own_trade(profit, risk, fees, slippage, model_version=model_version, guard=status)
            with self._small.transaction():
                self._small.change(closed=(*known.closed, trade))

    def shadow_trade(
        self,
        *,
        profit: Number,
        risk: Number,
        fees: Number = 0.0,
        slippage: Number = 0.0,
        model_version: str | None = None,
    ) -> None:
        """A trade that moved no money would have been closed; it counts only while the bot `trades_in_the_shadow`."""
        with self._changing() as known:
            normal = GuardStatus.NORMAL
            trade = self._own_trade(profit, risk, fees, slippage, model_version=model_version, guard=normal)
            if known.shadow_equity is not None and not self._watch.look().active:
                with self._small.transaction():
                    self._small.change(
                        shadow_equity=known.shadow_equity + trade.profit, shadow_closed=(*known.shadow_closed, trade)
                    )

    def equity(
        self, equity: Number, *, leverage: Number, time: Number | None = None, at: float | datetime | None = None
    ) -> GuardStatus:
        """Show the account, marked to market; here the guard moves. Return how the bot may trade.

        `leverage` is the notional of all open positions over the equity, 0 where none is open; `time` is the market's,
        the wall's where it is left out; `at` is when it was so by the wall's clock, now where it is left out. One from
        before the newest that is known moves nothing. Call it at every candle, and with a position open more often than
        the kill switch lets its price age (30 minutes). Not within a transaction of the journal.
        """
        with self._changing() as known:
            self._needs_own_transaction("equity")
            try:
                now, geared = number(equity, "equity", least=0.0), number(leverage, "leverage", least=0.0)
            except GuardError as error:
                self.trip(f"the kill switch could not be evaluated ({error})")
                self._watch.look()
                raise
            shown_at = moment(at, now=self._clock())
            if at is not None and shown_at < self._shown_at <= self._clock():
                return known.memory.status
            market = MarketTime(number(shown_at.seconds if time is None else time, "time", least=0.0))
            known, anchors = rescaled(known, self._watch.anchors, known.account.expecting(now))
            self._watch.rescale(anchors, known.account.equity)
            now = known.account.reckoned(now)
            self._shown_at = shown_at
            self._watch.show(AccountView(now, geared, market, shown_at if geared > 0 else None))
            shadow_equity = now if known.shadow_equity is None else known.shadow_equity
            close = Close(MarketTime(market.whole_seconds), now, known.closed, known.shadow_equity, known.shadow_closed)
            taken = step(self.performance, known.memory, close, model=self.model, resume=self.last_resume())
            with self.take(taken):
                kept = shadow_equity if taken.memory.holds_back else None
                account = shown(known, shown_at, now, anchors=self._watch.anchors, memory=taken.memory)
                self._small.change(closed=(), shadow_closed=(), shadow_equity=kept, account=account)
        with self._alone():
            self.report(shadow_trades=taken.shadow_trades)
            self.tell()
            self._audit_watch.look()
        return taken.memory.status

    def cash_flow(
        self, amount: Number, *, currency: str = "", at: float | datetime | None = None, flow_id: str = ""
    ) -> None:
        """Money was paid into the account, or out of it where `amount` is negative; no profit, no loss.

        `amount` is in the account's currency: convert what was paid in another. `at` is when it happened by the wall's
        clock, now where it is left out. By a `flow_id`, such as the exchange's, it counts once, though told again.

        It scales peaks, the day's start and the shadow by the newest equity that was shown before that moment, so that
        each ratio stays. What the price did between that equity and the next counts as after the flow: show the equity
        just before to have it exact. Told late it is put where it belongs, among the last 100 equities; but what it has
        tripped until then stays tripped. An account that was emptied keeps its ratios until there is money in it again.
        Not within a transaction of the journal. Raises `GuardError`, also for more than can have been there.
        """
        with self._changing() as known:
            self._needs_own_transaction("cash_flow")
            flow = CashFlow(number(amount, "amount"), moment(at, now=self._clock()), text(flow_id, "flow_id"))
            currency = text(currency, "currency") or known.currency
            if known.currency and currency != known.currency:
                raise GuardError(
                    f"a cash flow in {currency}, after one in {known.currency}: convert it into the account's currency"
                )
            try:
                account = known.account if known.account.knows(flow) else known.account.paid(flow)
            except CashFlowError as error:
                raise GuardError(str(error)) from error
            after, anchors = rescaled(replace(known, currency=currency), self._watch.anchors, account)
            with self._small.transaction():
                self._small.change(**vars(after))
                seen = SwitchSeen(anchors, self._watch.last)
                self._small.keep_seen(seen)
            self._kept = seen
            self._watch.rescale(anchors, account.equity)

    def wait(self, seconds: Number, *, sleep: Callable[[float], None] = walltime.sleep) -> bool:
        """Sleep until the next candle, in seconds; no longer than until the kill switch asks for something new.

        Returns whether it is active. It is heard within a second; what `must_close` has said is nothing new. The
        reporter knows until when the bot waits, a day at most: one that waits is healthy, one that hangs then is found.
        """
        return self._watch.wait(number(seconds, "seconds"), sleep=sleep)

    def _needs_own_transaction(self, call: str) -> None:
        if self._small.in_transaction:
            raise GuardError(f"{call}() has a transaction of its own: call it outside of the journal's")

    async def a_trade(self, **trade: Unpack[TradeTold]) -> None:
        """Tell of a trade as `trade` does, in a thread of the guard's own; it is durable when this returns."""
        await self._in_worker(lambda: self.trade(**trade))

    async def a_shadow_trade(self, **trade: Unpack[ShadowTradeTold]) -> None:
        """Tell of a shadow trade as `shadow_trade` does, in a thread of the guard's own."""
        await self._in_worker(lambda: self.shadow_trade(**trade))

    async def a_equity(
        self, equity: Number, *, leverage: Number, time: Number | None = None, at: float | datetime | None = None
    ) -> GuardStatus:
        """Show the account as `equity` does, in a thread of the guard's own."""
        return await self._in_worker(lambda: self.equity(equity, leverage=leverage, time=time, at=at))

    async def a_cash_flow(
        self, amount: Number, *, currency: str = "", at: float | datetime | None = None, flow_id: str = ""
    ) -> None:
        """Tell of a deposit or a withdrawal as `cash_flow` does, in a thread of the guard's own."""
        await self._in_worker(lambda: self.cash_flow(amount, currency=currency, at=at, flow_id=flow_id))

    async def a_wait(self, seconds: Number) -> bool:
        """Wait as `wait` does, while other tasks go on."""
        return await asyncio.to_thread(self.wait, seconds)

    async def _in_worker(self, call: Callable[[], T]) -> T:
        """Carry out a call after those before it. One that is cancelled is carried out all the same."""
        if self._entered is None:
            return call()  # says what is wrong
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nightdesk-guard")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._worker, call))

    @property
    def _is_fresh(self) -> bool:
        """Whether the account was shown lately. A clock that was set back tells nothing, so then it was not."""
        return age_seconds(self._shown_at, now=self._clock()) <= self._stale_seconds

    def _cannot_keep(self) -> bool:
        """Return whether anything that the guard must keep is in memory only, and report what."""
        if self._thread in (None, threading.get_ident()) and self._calls.acquire(blocking=False):
            try:
                if not self._small.in_transaction:
                    self.write_again()
            finally:
                self._calls.release()
        held = self.held_in_memory
        if self._reporter is not None:
            for what in self._held_before | held.keys():
                self._reporter.unwritable(what, held.get(what, ""))
        self._held_before = self._held_before | held.keys()
        return bool(held)

    def _own_trade(
        self,
        profit: Number,
        risk: Number,
        fees: Number,
        slippage: Number,
        *,
        model_version: str | None,
        guard: GuardStatus,
    ) -> OwnTrade:
        version = self.model.version if model_version is None else model_version
        return OwnTrade.of(profit, risk, fees, slippage, model_version=version, guard=guard)

    @contextmanager
    def _changing(self) -> Iterator[Remembered]:
        """Yield what is remembered. Once the block has failed, nothing may be entered until one succeeds."""
        try:
            if self._forked:
                raise GuardError(FORKED)
            if self._entered is None:
                raise GuardError("the guard works inside its with block only")
            with self._alone():
                yield self._small.known
                self._succeeded = True
        except BaseException:
            self._succeeded = False
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads' calls out. Raises `GuardError` where that takes too long, or a journal forbids it."""
        if self._thread not in (None, threading.get_ident()):
            raise GuardError("the guard keeps its memory in a journal: call it from the thread that both were made in")
        if not self._calls.acquire(timeout=_CALL_SECONDS):
            raise GuardError(f"another thread has been in a call of the guard for {_CALL_SECONDS:g} s; tell it again")
        try:
            yield
        finally:
            self._calls.release()
