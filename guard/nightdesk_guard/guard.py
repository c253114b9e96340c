"""Performance guard and kill switch for any bot, in a few calls. It keeps what it must remember on disk.

Guard fails closed: a call that makes no sense raises, and an account that it cannot see stops all entries.
"""

from __future__ import annotations

import math
import time as walltime
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal import GuardTransition, Journal
from nightdesk_core.requests import RetrainRequests

from nightdesk_guard.drill import drill
from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
from nightdesk_guard.limits import TradeResult
from nightdesk_guard.memory import GuardError, Memory
from nightdesk_guard.performance import GuardState, GuardStatus, Observation, PerformanceGuard, retrain_reason
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.settings import GuardSettings
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

_ACTOR = "bot"
_POLL_SECONDS = 0.5
_SAVE_SECONDS = 1.0
"""So often at most is a mere change of the equity written to the disk."""
_DAY_SECONDS = 86_400.0

Block = Literal["blocked_kill_switch", "blocked_guard", "blocked_stale"]
"""Why the bot may not enter, as the exporter's `signal` takes it for an outcome."""


class Reporter(Protocol):
    """Whoever is told how the guard stands; the exporter's `BotExporter` is one."""

    def guard(
        self,
        state: str,
        *,
        reason: str = "",
        size_multiplier: float | None = None,
        values: Mapping[str, float | None] | None = None,
        limits: Mapping[tuple[str, ...], float] | None = None,
    ) -> None:
        """How the guard stands."""

    def kill_switch(self, *, active: bool, reason: str = "", activations: int | None = None) -> None:
        """Whether the kill switch is active."""

    def kill_switch_tested(self) -> None:
        """The kill switch was tried and found to work."""

    def shadow(self, *, trades_closed: int, win_ratio: float | None, drawdown_ratio: float | None) -> None:
        """What the bot does in the shadow."""


class Guard:
    """The guard of one bot: a context manager that is shown trades and equity, and asked before every entry."""

    def __init__(
        self,
        state_dir: Path,
        *,
        break_even_win_rate: float,
        settings: GuardSettings | None = None,
        kill_limits: KillLimits | None = None,
        profile: GuardProfile | None = None,
        model_version: str = "",
        journal: Journal | None = None,
        reporter: Reporter | None = None,
        clock: WallClock = system_clock,
    ) -> None:
        """`state_dir` is the bot's own; latch, audit log and retrain requests lie there, and the guard's memory.

        `break_even_win_rate` is the share of trades that must win to pay their costs. `profile` is what the hold-out of
        the model in use says of it (`guard.json` of its bundle): its limits are then calibrated. With a `journal` the
        memory lies in there instead, and what is called within its transaction is committed with it.

        Raises `GuardError` where what it remembers cannot be read: the bot must then not trade.
        """
        if not 0 < break_even_win_rate < 1:
            raise GuardError(f"break_even_win_rate is {break_even_win_rate}; it lies between 0 and 1")
        self._settings = GuardSettings() if settings is None else settings
        self._machine = PerformanceGuard(self._settings, break_even_win_rate=break_even_win_rate)
        self._profile = profile
        self._model_version = model_version
        self._reporter = reporter
        self._clock = clock
        self._state_dir = state_dir
        self._memory = Memory(state_dir, journal)
        self._saved_at = -math.inf
        self._resumes = ResumeFile(state_dir, clock=clock)
        self._audit = AuditLog(state_dir / "audit.jsonl")
        self._requests = RetrainRequests(state_dir, self._audit, clock=clock)
        self._view: AccountView | None = None
        self._seen_at = clock()
        self._closed: list[TradeResult] = []
        self._shadow_closed: list[TradeResult] = []
        self._shadow_equity: float | None = None
        self._owed: list[dict[str, Any]] = []
        self._drilled_at = -math.inf
        self.state = GuardState()
        state_dir.mkdir(parents=True, exist_ok=True)
        last = self._restore()
        self.switch = KillSwitch(state_dir, clock=clock)
        self._tripwire = Tripwire(
            self.switch,
            KillLimits() if kill_limits is None else kill_limits,
            positions=self._settings.kill_switch.positions,
            anchors=self._anchors,
            clock=clock,
        )
        self._tripwire.remember(last)
        self._last_switch = last

    def __enter__(self) -> Self:
        self._look()
        self._report_guard()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()

    @property
    def status(self) -> GuardStatus:
        """How the bot may trade."""
        return self.state.status

    @property
    def blocked(self) -> Block | None:
        """Why the bot may not enter at this moment, `None` where it may."""
        if self._look().active:
            return "blocked_kill_switch"
        if self._clock() - self._seen_at > self._settings.entries.stale_seconds or self._view is None:
            return "blocked_stale"
        return "blocked_guard" if self.status is GuardStatus.PAUSED else None

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
        return self.status is not GuardStatus.NORMAL and not self._look().active

    @property
    def must_close(self) -> bool:
        """Whether the kill switch wants open positions closed, at prices that the bot trusts."""
        switch = self._look()
        return switch.active and switch.positions == "close"

    def trade(self, *, profit: float, risk: float) -> None:
        """A trade was closed: its net profit, and what its stop would have cost (its notional, without a stop)."""
        self._closed.append(_result(profit, risk))
        self._save()

    def shadow_trade(self, *, profit: float, risk: float) -> None:
        """A trade that moved no money would have been closed; it counts while the guard holds the bot back."""
        result = _result(profit, risk)
        if self._shadow_equity is None:
            return
        self._shadow_closed.append(result)
        self._shadow_equity += profit
        self._save()

    def equity(
        self, equity: float, *, leverage: float = 0.0, time: float | None = None, in_position: bool = False
    ) -> GuardStatus:
        """Show the account, marked to market just now: at every candle, or oftener. Returns how the bot may trade.

        `leverage` is the notional of the open positions over equity, `time` the market's (the wall's where it is left
        out), `in_position` whether a position is open whose price can go stale. Here the guard moves.
        """
        if not math.isfinite(equity) or equity < 0:
            self._tripwire.trip(f"equity is {equity}", positions="keep")
            raise GuardError(f"equity is {equity}: pass the account's, marked to market")
        now = self._clock()
        market_time = now if time is None else time
        self._seen_at = now
        self._view = AccountView(equity, leverage, market_time, now if in_position else None)
        self._advance(equity, market_time)
        self._look()
        self._settle_debts()
        return self.status

    def wait(self, seconds: float, *, sleep: Callable[[float], None] = walltime.sleep) -> bool:
        """Sleep until the next candle, but no longer than until the kill switch is active; return whether it is.

        An active switch whose positions are closed already needs no hurry: then this sleeps to the end.
        """
        active = self._look().active
        ends = self._clock() + seconds
        while (left := ends - self._clock()) > 0:
            sleep(min(left, _POLL_SECONDS))
            if self._look().active and not active:
                return True
        return active

    def _advance(self, equity: float, market_time: float) -> None:
        seen = Observation(
            time=int(market_time),
            equity=equity,
            closed=tuple(self._closed),
            shadow_equity=self._shadow_equity,
            shadow_closed=tuple(self._shadow_closed),
            model_version=self._model_version,
            calibrated=None if self._profile is None else self._profile.calibrated,
            resume=self._resumes.last(),
        )
        self.state, moved = self._machine.advance(self.state, seen)
        shadow_trades = len(self._shadow_closed)
        self._closed, self._shadow_closed = [], []
        if self.status is GuardStatus.NORMAL:
            self._shadow_equity = None
        elif self._shadow_equity is None:
            self._shadow_equity = equity
        if moved is not None:
            self._owed += _debts(moved)
        if moved is not None or seen.closed or seen.shadow_closed or self._clock() - self._saved_at >= _SAVE_SECONDS:
            self._save()
        self._report_guard(moved, shadow_trades)

    def _look(self) -> KillSwitchState:
        """Return the kill switch, tripped first where the account calls for it; told and drilled as is due."""
        if self._view is None:
            switch = self._tripwire.state()
        else:
            view = self._view
            switch = self._tripwire.look(lambda: view)
        if switch != self._last_switch:
            if switch.active and switch.actor in ("guard", "file"):
                self._owed.append({"event": "kill_switch_activated", "details": asdict(switch)})
            self._last_switch = switch
            self._save()
        if self._reporter is not None:
            self._reporter.kill_switch(active=switch.active, reason=switch.reason, activations=switch.activations)
        if self._clock() - self._drilled_at >= _DAY_SECONDS:
            self._drilled_at = self._clock()
            switch = self._drill(switch)
        return switch

    def _drill(self, switch: KillSwitchState) -> KillSwitchState:
        failed = drill(self._state_dir, self._tripwire.limits, clock=self._clock)
        if failed:
            return self._tripwire.trip(f"self-test: {failed}", positions="keep")
        if self._reporter is not None:
            self._reporter.kill_switch_tested()
        return switch

    def _report_guard(self, moved: GuardTransition | None = None, shadow_trades: int = 0) -> None:
        if moved is not None:
            logger.warning("guard: {} to {}: {}", moved.before, moved.after, moved.reason)
        if self._reporter is None:
            return
        limits = self._machine.limits(None if self._profile is None else self._profile.calibrated)
        self._reporter.guard(
            self.status.value,
            reason="" if moved is None else moved.reason,
            size_multiplier=self.size_multiplier,
            values=asdict(self._machine.measures(self.state)),
            limits=limits.by_rule_and_tier(),
        )
        evidence, held = self.state.shadow, self._shadow_equity is not None
        self._reporter.shadow(
            trades_closed=shadow_trades,
            win_ratio=sum(evidence.wins) / len(evidence.wins) if held and evidence.wins else None,
            drawdown_ratio=evidence.drawdown if held else None,
        )

    def _settle_debts(self) -> None:
        """Tell audit log and retrain job what they are owed; what cannot be told now is told at the next call."""
        while self._owed:
            debt = self._owed[0]
            try:
                if "cause" in debt:
                    self._requests.add(debt["cause"], debt["reason"], _ACTOR, at=debt["at"])
                else:
                    self._audit.append(debt["event"], debt["details"], actor=_ACTOR)
            except (NightdeskError, OSError) as error:
                logger.error("{} could not be recorded and will be tried again: {}", debt, error)
                return
            self._owed = self._owed[1:]
            self._save()

    def _save(self) -> None:
        self._saved_at = self._clock()
        self._memory.save(
            {
                "guard": self.state.to_json(),
                "anchors": self._tripwire.anchors.to_json(),
                "switch": asdict(self._last_switch),
                "closed": [asdict(result) for result in self._closed],
                "shadow_closed": [asdict(result) for result in self._shadow_closed],
                "shadow_equity": self._shadow_equity,
                "owed": self._owed,
            }
        )

    def _restore(self) -> KillSwitchState:
        """Take up what was remembered, and return the kill switch as it was last seen."""
        self._anchors: Anchors | None = None
        stored = self._memory.load()
        if stored is None:
            return KillSwitchState(active=False)
        try:
            self.state = GuardState.from_json(stored["guard"])
            self._anchors = Anchors.from_json(stored["anchors"])
            self._closed = [TradeResult(**result) for result in stored["closed"]]
            self._shadow_closed = [TradeResult(**result) for result in stored["shadow_closed"]]
            self._shadow_equity = stored["shadow_equity"]
            self._owed = list(stored["owed"])
            return KillSwitchState(**stored["switch"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._memory.damaged(repr(error)) from error


def _result(profit: float, risk: float) -> TradeResult:
    if not math.isfinite(profit):
        raise GuardError(f"profit is {profit}: pass the trade's net profit")
    if not (math.isfinite(risk) and risk > 0):
        raise GuardError(f"risk is {risk}: pass what the stop would have cost, or the trade's notional")
    return TradeResult(profit > 0, profit / risk)


def _debts(moved: GuardTransition) -> list[dict[str, Any]]:
    """Return what a move of the guard owes others: a line in the audit log, and where it got worse a retrain."""
    told: list[dict[str, Any]] = [{"event": "guard_transition", "details": asdict(moved)}]
    if reason := retrain_reason(moved):
        told.append({"cause": "guard", "reason": reason, "at": float(moved.time)})
    return told
