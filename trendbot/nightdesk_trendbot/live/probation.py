"""What becomes of a model on probation: it stands it, it is taken back, or the bot pauses for want of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nightdesk_core.age import age_seconds
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import Evidence, PerformanceGuard, probation_share
from nightdesk_guard.notices import Notice
from nightdesk_guard.policy import held

from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.rotation import ROLLBACK, SETTLEMENT

Owed = tuple[Notice, ...]


@dataclass(frozen=True)
class Probation:
    """Judges a champion on probation. Seconds are wall time."""

    registry: ModelRegistry
    oldest_seconds: float
    """No earlier champion that was trained longer ago comes back."""
    between_rollbacks_seconds: float
    """In less, no second champion is taken back: then it is not the models."""
    clock: WallClock = system_clock

    def judge(
        self, before: EngineState, result: StepResult, champion: Champion, guard: PerformanceGuard
    ) -> tuple[StepResult, Owed]:
        """Return a step's result with what its trades mean for the champion, and what is to be done about it, once."""
        if champion.standing != "probation":
            return result, ()
        if result.guard.breach is not None:
            return self._take_back(result, result.guard.breach, champion, guard)
        same_model = before.guard.model_version == result.state.guard.model_version
        stood_before = same_model and has_stood(before, guard)
        if stood_before or _in_breach(result.state) or not has_stood(result.state, guard):
            return result, ()
        return result, (Notice(SETTLEMENT, {"version": champion.version}),)

    def _take_back(
        self, result: StepResult, breach: Evidence, champion: Champion, guard: PerformanceGuard
    ) -> tuple[StepResult, Owed]:
        won = f"{breach.wins} of {breach.signals} signals won, e-value {breach.e_value:.1f}"
        reason = f"it broke its promise on probation: {won}"
        now, last = self.clock(), champion.rollback
        if last is not None and age_seconds(last.at, now=now) < self.between_rollbacks_seconds:
            return _paused(result, guard, f"{reason}; {last.version} was taken back only lately"), ()
        trained_after = now - self.oldest_seconds
        if self.registry.predecessor(trained_after=trained_after) is None:
            return _paused(result, guard, f"{reason}; no intact champion before it is young enough"), ()
        content = {"version": champion.version, "reason": reason, "trained_after": trained_after.seconds}
        return result, (Notice(ROLLBACK, content),)


def has_stood(state: EngineState, guard: PerformanceGuard) -> bool:
    """Return whether the model in use has earned its full size."""
    memory = state.guard
    days = (state.last_close - memory.model_since) / DAY_SECONDS
    return probation_share(guard.settings.probation, trades=memory.model_trades, days=days) == 1.0


def _in_breach(state: EngineState) -> bool:
    found = state.guard.evidence.get(state.guard.model_version)
    return found is not None and found.breached


def _paused(result: StepResult, guard: PerformanceGuard, reason: str) -> StepResult:
    step = held(guard, result.guard, reason=reason)
    return replace(result, state=replace(result.state, guard=step.memory), guard=step)
