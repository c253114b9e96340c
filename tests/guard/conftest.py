"""A guard with the settings as they are shipped, one that is easily alarmed, and a bot that is guarded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_guard import GuardLimits, GuardState, GuardStatus, Observation, PerformanceGuard, Resume, TradeResult
from nightdesk_guard.settings import GuardSettings, GuardTier, RecoverySettings

DAY = 86_400
BREAK_EVEN = 0.38
NORMAL, REDUCED, PAUSED = GuardStatus.NORMAL, GuardStatus.REDUCED, GuardStatus.PAUSED
NERVOUS = GuardSettings(
    window_trades=5,
    cool_down_days=2,
    reduced=GuardTier(win_rate_standard_errors=0.5, losing_streak=3, drawdown_ratio=0.05),
    paused=GuardTier(win_rate_standard_errors=1.0, losing_streak=5, drawdown_ratio=0.10),
    recovery=RecoverySettings(trades=3, wins_in_a_row=2),
)
"""Short window and cool-down, low limits: every state is a few trades away."""


@pytest.fixture(scope="session")
def guard() -> PerformanceGuard:
    return PerformanceGuard(GuardSettings(), break_even_win_rate=BREAK_EVEN)


@pytest.fixture(scope="session")
def nervous() -> PerformanceGuard:
    return PerformanceGuard(NERVOUS, break_even_win_rate=BREAK_EVEN)


def results(outcomes: Sequence[bool]) -> tuple[TradeResult, ...]:
    """Return trades that won two R or lost one."""
    return tuple(TradeResult(won, 2.0 if won else -1.0) for won in outcomes)


class Bot:
    """A guard, its state, the bot's equity and its shadow's: one step is one candle."""

    def __init__(self, guard: PerformanceGuard, *, equity: float = 1000.0) -> None:
        self.guard = guard
        self.equity = equity
        self.shadow_equity: float | None = None
        self.time = 0
        self.state = GuardState(peak_equity=equity, equity=equity)
        self.transitions: list[GuardTransition] = []
        self.calibrated: GuardLimits | None = None
        self.model_version = ""
        self.resume: Resume | None = None

    def step(
        self, *closed: bool, change: float = 0.0, hours: float = 24, shadow: Sequence[bool] = ()
    ) -> GuardTransition | None:
        """Let time pass, add to the equity, close trades and shadow trades; return the transition.

        A shadow trade earns 1% of the shadow's equity, or loses half of that.
        """
        self.time += int(hours * 3600)
        self.equity += change
        for won in shadow:
            assert self.shadow_equity is not None, "there is no shadow while the guard is NORMAL"
            self.shadow_equity *= 1.01 if won else 0.995
        self.state, moved = self.guard.advance(
            self.state,
            Observation(
                time=MarketTime(self.time),
                equity=self.equity,
                closed=results(closed),
                shadow_equity=self.shadow_equity,
                shadow_closed=results(shadow),
                model_version=self.model_version,
                calibrated=self.calibrated,
                resume=self.resume,
            ),
        )
        if self.state.status is NORMAL:
            self.shadow_equity = None
        elif self.shadow_equity is None:
            self.shadow_equity = self.equity
        if moved is not None:
            self.transitions.append(moved)
        return moved
