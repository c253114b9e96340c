"""The guard's policy, a pure step at each candle's close: what the trades mean for the bot, its model and its shadow.

`Guard` and the reference bot take this step live, and the backtest takes it, too: there is no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.journal.journal import GuardTransition

from nightdesk_guard.evidence import Evidence, SignalTrade, weighed
from nightdesk_guard.expectation import Expected
from nightdesk_guard.limits import GuardLimits, TradeResult
from nightdesk_guard.performance import GuardState, GuardStatus, Observation, PerformanceGuard, Resume
from nightdesk_guard.profile import GuardProfile


@dataclass(frozen=True)
class GuardMemory:
    """What the policy goes on from. It is stored in one transaction with the trades that changed it."""

    performance: GuardState = field(default_factory=GuardState)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """By model version: what live trading has shown of it. Of the last few models, the one in use last."""
    model_since: CandleTime = MarketTime(0)
    """The first close that the model in use was in use at."""
    model_trades: int = 0
    """Trades that it has closed with money."""

    @property
    def status(self) -> GuardStatus:
        """How the bot may trade."""
        return self.performance.status

    @property
    def model_version(self) -> str:
        """The model that was in use at the last close; empty before the first, and for a bot without models."""
        return self.performance.model_version

    @property
    def holds_back(self) -> bool:
        """Whether the bot trades less than it would, and follows in the shadow what it would trade."""
        return self.status is not GuardStatus.NORMAL


@dataclass(frozen=True)
class ModelInUse:
    """The model that decides; an empty version is none."""

    version: str = ""
    profile: GuardProfile | None = None
    """What its hold-out says of it."""

    @property
    def calibrated(self) -> GuardLimits | None:
        """The guard's limits that its hold-out calls for, where there are any."""
        return None if self.profile is None else self.profile.calibrated

    @property
    def expected(self) -> Expected | None:
        """What its hold-out promised, where it is known."""
        return None if self.profile is None or not self.version else self.profile.expected


@dataclass(frozen=True)
class Close:
    """What happened until a candle's close."""

    time: MarketTime
    equity: float
    """Marked to market there."""
    trades: Sequence[SignalTrade] = ()
    """Those that closed since the step before, oldest first."""
    shadow_equity: float | None = None
    """The shadow account's, `None` where there is none."""
    shadow_trades: Sequence[SignalTrade] = ()


@dataclass(frozen=True)
class GuardStep:
    """What the policy makes of a close."""

    time: MarketTime
    """The close."""
    memory: GuardMemory
    moved: GuardTransition | None = None
    """The guard's move, where it made one."""
    breach: Evidence | None = None
    """Where the trades have shown that the model is worse than its hold-out promised; once for each model."""
    shadow_trades: int = 0
    """How many of the shadow's trades closed."""


def step(
    guard: PerformanceGuard, memory: GuardMemory, close: Close, *, model: ModelInUse, resume: Resume | None
) -> GuardStep:
    """Return what a close means; `resume` is the last one that an operator gave, taken already or not."""
    seen = Observation(
        time=close.time,
        equity=close.equity,
        closed=_results(close.trades),
        shadow_equity=close.shadow_equity,
        shadow_closed=_results(close.shadow_trades),
        model_version=model.version,
        calibrated=model.calibrated,
        resume=resume,
    )
    performance, moved = guard.advance(memory.performance, seen)
    if performance.model_version != memory.model_version:
        memory = replace(memory, model_since=close.time, model_trades=0)
    own = sum(trade.model_version == performance.model_version for trade in close.trades)
    memory = replace(memory, performance=performance, model_trades=memory.model_trades + own)
    breach = None
    if model.expected is not None:
        evidence, breach = weighed(
            memory.evidence,
            model.expected,
            model.version,
            close.trades,
            close.shadow_trades,
            size_multiplier=guard.settings.reduced_size_multiplier,
        )
        memory = replace(memory, evidence=evidence)
    return GuardStep(close.time, memory, moved, breach, len(close.shadow_trades))


def held(guard: PerformanceGuard, taken: GuardStep, *, reason: str) -> GuardStep:
    """Return the step that ends PAUSED for a reason that is not the guard's own; the same one where it does already."""
    performance, moved = guard.hold(taken.memory.performance, time=taken.time, reason=reason)
    if moved is None:
        return taken
    if taken.moved is not None:
        moved = replace(moved, before=taken.moved.before, reason=f"{taken.moved.reason}; {moved.reason}")
    return replace(taken, memory=replace(taken.memory, performance=performance), moved=moved)


def _results(trades: Sequence[SignalTrade]) -> tuple[TradeResult, ...]:
    return tuple(TradeResult(trade.won, trade.r) for trade in trades)
