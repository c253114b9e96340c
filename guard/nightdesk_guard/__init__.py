"""The guard decides, inside the bot: how large it may trade, whether it may trade, and when it must stop.

It fails closed. `PerformanceGuard` is a pure state machine; `KillSwitch` is a latch on disk.
"""

from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
from nightdesk_guard.limits import GuardLimits, TradeResult
from nightdesk_guard.performance import GuardMeasures, GuardState, GuardStatus, Observation, PerformanceGuard, Resume

__all__ = [
    "GuardLimits",
    "GuardMeasures",
    "GuardState",
    "GuardStatus",
    "KillSwitch",
    "KillSwitchState",
    "Observation",
    "PerformanceGuard",
    "Resume",
    "TradeResult",
]
