"""The guard decides, inside the bot: how large it may trade, whether it may trade, and when it must stop.

It fails closed. `Guard` is all of it for any bot, in a few calls: `GuardRuntime` over a small store. Beneath it,
`policy` is the pure step that every bot and every backtest takes at a candle's close, `PerformanceGuard` its state
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
from nightdesk_guard.policy import Close, GuardMemory, GuardStep, ModelInUse
from nightdesk_guard.profile import GuardProfile
from nightdesk_guard.reporting import LiveMeasures, Reporter
from nightdesk_guard.resume import ResumeFile
from nightdesk_guard.runtime import GuardParts, GuardRuntime
from nightdesk_guard.store import GuardStore, SwitchSeen
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

__all__ = [
    "AccountView",
    "Anchors",
    "Close",
    "Evidence",
    "Expected",
    "Guard",
    "GuardError",
    "GuardLimits",
    "GuardMeasures",
    "GuardMemory",
    "GuardParts",
    "GuardProfile",
    "GuardRuntime",
    "GuardState",
    "GuardStatus",
    "GuardStep",
    "GuardStore",
    "KillLimits",
    "KillSwitch",
    "KillSwitchState",
    "LiveMeasures",
    "ModelInUse",
    "Observation",
    "PerformanceGuard",
    "Reporter",
    "Resume",
    "ResumeFile",
    "SwitchSeen",
    "TradeResult",
    "Tripwire",
    "drill",
]
