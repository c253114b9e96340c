"""A bot whose engine takes the policy's steps itself, over the journal's store, as the reference bot does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_guard import (
    AccountView,
    Close,
    GuardMemory,
    GuardParts,
    GuardRuntime,
    KillLimits,
    KillSwitch,
    ModelInUse,
    PerformanceGuard,
    ResumeFile,
)
from nightdesk_guard.own_trade import OwnTrade
from nightdesk_guard.policy import step
from nightdesk_trendbot.live.guard_store import JournalGuardStore

from tests.guard.conftest import BREAK_EVEN, DAY, NERVOUS
from tests.guard.histories import PROFILE, Act
from tests.guard.own_bot import START, Told

_KEY = "the engine's state"


class EngineLife:
    """Lives a history of `tests.guard.histories` with what an engine has: its own trades, its own shadow, a journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder / "mine.sqlite")
        self._audit = AuditLog(folder / "audit.jsonl", clock=self._clock)
        self.switch = KillSwitch(folder, clock=self._clock)
        self.told = Told()
        self.now, self.money = START, 1000.0
        self._model = ModelInUse()
        self._closed: tuple[OwnTrade, ...] = ()
        self._shadow_closed: tuple[OwnTrade, ...] = ()
        self._shadow_equity: float | None = None
        self.guard = self._started()

    def _clock(self) -> WallTime:
        return WallTime(self.now)

    def _started(self) -> GuardRuntime:
        kept = self._journal.load(_KEY)
        memory = GuardMemory() if kept is None else stored.from_plain(GuardMemory, kept, source="journal")
        return GuardRuntime(
            GuardParts(
                state_dir=self._folder,
                performance=PerformanceGuard(NERVOUS, break_even_win_rate=BREAK_EVEN),
                kill_limits=KillLimits(floor_drawdown=0.25, daily_loss=0.08, leverage=3.0),
                store=JournalGuardStore(self._journal, memory),
                requests=RetrainRequests(self._folder, self._audit, clock=self._clock),
                audit=self._audit,
                reporter=self.told,
                clock=self._clock,
            )
        )

    def close(self) -> None:
        self._journal.close()

    def do(self, act: Act) -> None:
        kind, *given = act
        handler = getattr(self, f"_{kind}", None)
        if handler is not None:
            handler(*given)
        self.guard._watch.look()

    def _own(self, profit: float, risk: float, fees: float, slippage: float, guard: Any) -> OwnTrade:
        return OwnTrade.of(profit, risk, fees, slippage, model_version=self._model.version, guard=guard)

    def _trade(self, profit: float, risk: float, fees: float) -> None:
        self.money += profit
        self._closed += (self._own(profit, risk, fees, fees / 2, self.guard.status),)

    def _shadow_trade(self, profit: float, risk: float, fees: float) -> None:
        if self._shadow_equity is not None and not self.guard._watch.look().active:
            self._shadow_equity += profit
            self._shadow_closed += (self._own(profit, risk, fees, 0.0, "normal"),)

    def _equity(self, drift: float, leverage: float, hours: float) -> None:
        self.now += hours / 24 * DAY
        self.money *= drift
        self.guard._watch.show(
            AccountView(self.money, leverage, MarketTime(self.now), self._clock() if leverage > 0 else None)
        )
        close = Close(MarketTime(int(self.now)), self.money, self._closed, self._shadow_equity, self._shadow_closed)
        memory = self.guard.memory
        taken = step(self.guard.performance, memory, close, model=self._model, resume=self.guard.last_resume())
        with self.guard.take(taken):
            self._journal.save(_KEY, stored.plain(taken.memory))
        started = self.money if self._shadow_equity is None else self._shadow_equity
        self._shadow_equity = started if taken.memory.holds_back else None
        self._closed = self._shadow_closed = ()
        asyncio.run(self.guard.tell_in_background())

    def _pass(self, hours: float) -> None:
        self.now += hours / 24 * DAY

    def _use_model(self, version: str) -> None:
        self._model = self.guard.model = ModelInUse(version, PROFILE)

    def _restart(self) -> None:
        self.guard = self._started()
        self.guard.model = self._model

    def _kill(self, positions: Any) -> None:
        self.switch.activate("a person says so", actor="cli", positions=positions)

    def _kill_file(self) -> None:
        self.switch.kill_file.write_text("a file says so")

    def _lose_latch(self) -> None:
        self.switch.path.unlink(missing_ok=True)

    def _resume(self) -> None:
        ResumeFile(self._folder, clock=self._clock).give("a person has looked", actor="cli")

    def _lift(self) -> None:
        if self.switch.state().active:
            self.switch.resume("a person has looked", actor="cli")

    def told_to_others(self) -> list[list[Any]]:
        """Return every transition, kill and request that the audit log has."""
        return [[entry.event, entry.details] for entry in self._audit.entries()]
