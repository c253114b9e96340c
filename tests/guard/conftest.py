"""A guard with the settings as they are shipped, and one that is easily alarmed."""

from __future__ import annotations

import pytest
from nightdesk_guard import PerformanceGuard
from nightdesk_guard.settings import GuardSettings, GuardTier

DAY = 86_400
BREAK_EVEN = 0.38


@pytest.fixture(scope="session")
def guard() -> PerformanceGuard:
    return PerformanceGuard(GuardSettings(), break_even_win_rate=BREAK_EVEN)


@pytest.fixture(scope="session")
def nervous() -> PerformanceGuard:
    """Short window and cool-down, low limits: every state is a few trades away."""
    settings = GuardSettings(
        window_trades=5,
        cool_down_days=2,
        reduced=GuardTier(win_rate_standard_errors=0.5, losing_streak=3, drawdown_ratio=0.05),
        paused=GuardTier(win_rate_standard_errors=1.0, losing_streak=5, drawdown_ratio=0.10),
    )
    return PerformanceGuard(settings, break_even_win_rate=BREAK_EVEN)
