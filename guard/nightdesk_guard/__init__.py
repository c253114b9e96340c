"""The guard decides, inside the bot: how large it may trade, whether it may trade, and when it must stop.

It fails closed. `Guard` is all of it for any bot, in a few calls. Beneath it, `PerformanceGuard` is a pure state
machine, `KillSwitch` a latch on disk, and `Tripwire` what trips that.
"""

from nightdesk_guard.drill import drill
from nightdesk_guard.evidence import Evidence
from nightdesk_guard.expectation import Expected
from nightdesk_guard.guard import Guard
from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
from nightdesk_guard.limits import GuardLimits, TradeResult
from nightdesk_guard.own_trade import GuardError
from nightdesk_guard.performance import GuardMeasures, GuardState, GuardStatus, Observation, PerformanceGuard, Resume
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.reporting import Reporter
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

__all__ = [
    "AccountView",
    "Anchors",
    "Evidence",
    "Expected",
    "Guard",
    "GuardError",
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
    "Reporter",
    "Resume",
    "ResumeFile",
    "TradeResult",
    "Tripwire",
    "drill",
]
