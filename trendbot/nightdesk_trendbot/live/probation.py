"""What becomes of a model on probation: it stands it, it is taken back, or the bot pauses for want of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.journal import GuardTransition
from nightdesk_core.registry import Champion, ModelRegistry
from nightdesk_guard import Evidence, PerformanceGuard
from nightdesk_guard.probation import probation_share

from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.outbox import ROLLBACK, SETTLEMENT

_DAY_SECONDS = 86_400

Owed = tuple[tuple[str, Mapping[str, Any]], ...]


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
        if result.breach is not None:
            return self._take_back(result, result.breach, champion, guard)
        stood_before = before.model_version == result.state.model_version and has_stood(before, guard)
        if stood_before or _in_breach(result.state) or not has_stood(result.state, guard):
            return result, ()
        return result, ((SETTLEMENT, {"version": champion.version}),)

    def _take_back(
        self, result: StepResult, breach: Evidence, champion: Champion, guard: PerformanceGuard
    ) -> tuple[StepResult, Owed]:
        won = f"{breach.wins} of {breach.signals} signals won, e-value {breach.e_value:.1f}"
        reason = f"it broke its promise on probation: {won}"
        now, last = self.clock(), champion.rollback
        if last is not None and now - last.at < self.between_rollbacks_seconds:
            return _paused(result, guard, f"{reason}; {last.version} was taken back only lately"), ()
        trained_after = now - self.oldest_seconds
        if self.registry.predecessor(trained_after=trained_after) is None:
            return _paused(result, guard, f"{reason}; no intact champion before it is young enough"), ()
        return result, ((ROLLBACK, {"version": champion.version, "reason": reason, "trained_after": trained_after}),)


def has_stood(state: EngineState, guard: PerformanceGuard) -> bool:
    """Return whether the model in use has earned its full size."""
    days = (state.last_close - state.model_since) / _DAY_SECONDS
    return probation_share(guard.settings.probation, trades=state.model_trades, days=days) == 1.0


def _in_breach(state: EngineState) -> bool:
    found = state.evidence.get(state.model_version)
    return found is not None and found.breached


def _paused(result: StepResult, guard: PerformanceGuard, reason: str) -> StepResult:
    state = result.state
    held, moved = guard.hold(state.guard, time=state.last_close, reason=reason)
    if moved is None:
        return result
    before = result.transition
    if before is not None:
        moved = GuardTransition(moved.time, before.before, moved.after, f"{before.reason}; {moved.reason}")
    return replace(result, state=replace(state, guard=held), transition=moved)
