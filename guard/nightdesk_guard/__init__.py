"""The guard decides, inside the bot: how large it may trade, whether it may trade, and when it must stop.

It fails closed. `PerformanceGuard` is a pure state machine; `KillSwitch` is a latch on disk.
"""

from nightdesk_guard.drill import drill
from nightdesk_guard.expectation import Evidence, Expected
from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
from nightdesk_guard.limits import GuardLimits, TradeResult
from nightdesk_guard.performance import GuardMeasures, GuardState, GuardStatus, Observation, PerformanceGuard, Resume
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

__all__ = [
    "AccountView",
    "Anchors",
    "Evidence",
    "Expected",
    "GuardLimits",
    "GuardMeasures",
    "GuardProfile",
    "GuardState",
    "GuardStatus",
    "KillLimits",
    "KillSwitch",
    "KillSwitchState",
    "Observation",
    "PerformanceGuard",
    "Resume",
    "ResumeFile",
    "TradeResult",
    "Tripwire",
    "drill",
]
