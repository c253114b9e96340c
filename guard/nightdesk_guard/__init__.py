"""The guard decides, inside the bot: how large it may trade, whether it may trade, and when it must stop.

It fails closed. `Guard` is all of it for any bot, in a few calls: `GuardRuntime` over a small store. Beneath it,
`policy` is the pure step that every bot and every backtest takes at a candle's close, `PerformanceGuard` its state
machine, `KillSwitch` a latch on disk, and `Tripwire` what trips that. Each name is loaded when it is first asked for.

For any bot: `Guard`, its `GuardError`, and `ResumeFile`, by which an operator lets it climb.
For a bot with a store of its own: `GuardRuntime`, its `GuardParts`, a `GuardStore`, of which `SmallStore` is the
simplest, what that keeps (`SwitchSeen`), and whom the guard reports to: `Reporter`, `LiveMeasures`.
The policy's words: `Close`, `ModelInUse`, `GuardStep`, `GuardMemory`, `Resume`.
The performance guard: `PerformanceGuard`, `Observation`, `TradeResult`, `GuardState`, `GuardStatus`, `GuardMeasures`,
`GuardLimits`, and `documented_limits`, those that the settings write down.
The kill switch: `KillSwitch`, `KillSwitchState`, `Tripwire`, `KillLimits`, `AccountView`, `Anchors`, and `drill`, its
self-test.
Whether a guard lives in a state folder, and what it has seen of the kill switch: `LastSeen`, `last_seen`,
`last_beat`, `is_present`.
A state that was lost: `LostState`, its `Loss`, and `signs_of_life`.
What a hold-out promised: `GuardProfile`, `Expected`, the `Evidence` against it, and `breach_probability`.
A new model's probation: `probation_share`, `signals_on_probation`.

Public submodules:
    calibration: the limits that a hold-out calls for; it loads numpy, and is for a job
    expectation: live against expected, as ratios
    notices: what the guard owes others, for a bot that owes more than that
    policy: the pure step itself, for an engine
    profile: the file in a model's bundle that holds a `GuardProfile`, and what it says; it loads pydantic
    settings: what `guard` may say; it loads pydantic
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_guard.evidence import Evidence, breach_probability
    from nightdesk_guard.expectation import Expected
    from nightdesk_guard.guard import Guard
    from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
    from nightdesk_guard.limits import GuardLimits, TradeResult, documented_limits
    from nightdesk_guard.lost_state import Loss, LostState, signs_of_life
    from nightdesk_guard.own_trade import GuardError
    from nightdesk_guard.performance import (
        GuardMeasures,
        GuardState,
        GuardStatus,
        Observation,
        PerformanceGuard,
        Resume,
    )
    from nightdesk_guard.policy import Close, GuardMemory, GuardStep, ModelInUse
    from nightdesk_guard.presence import LastSeen, is_present, last_beat, last_seen
    from nightdesk_guard.probation import probation_share, signals_on_probation
    from nightdesk_guard.profile import GuardProfile
    from nightdesk_guard.reporting import LiveMeasures, Reporter
    from nightdesk_guard.resume import ResumeFile
    from nightdesk_guard.runtime import GuardParts, GuardRuntime
    from nightdesk_guard.self_test import drill
    from nightdesk_guard.store import GuardStore, SmallStore, SwitchSeen
    from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_guard.evidence": ["Evidence", "breach_probability"],
            "nightdesk_guard.expectation": ["Expected"],
            "nightdesk_guard.guard": ["Guard"],
            "nightdesk_guard.kill_switch": ["KillSwitch", "KillSwitchState"],
            "nightdesk_guard.limits": ["GuardLimits", "TradeResult", "documented_limits"],
            "nightdesk_guard.lost_state": ["Loss", "LostState", "signs_of_life"],
            "nightdesk_guard.own_trade": ["GuardError"],
            "nightdesk_guard.performance": [
                "GuardMeasures",
                "GuardState",
                "GuardStatus",
                "Observation",
                "PerformanceGuard",
                "Resume",
            ],
            "nightdesk_guard.policy": ["Close", "GuardMemory", "GuardStep", "ModelInUse"],
            "nightdesk_guard.presence": ["LastSeen", "is_present", "last_beat", "last_seen"],
            "nightdesk_guard.probation": ["probation_share", "signals_on_probation"],
            "nightdesk_guard.profile": ["GuardProfile"],
            "nightdesk_guard.reporting": ["LiveMeasures", "Reporter"],
            "nightdesk_guard.resume": ["ResumeFile"],
            "nightdesk_guard.runtime": ["GuardParts", "GuardRuntime"],
            "nightdesk_guard.self_test": ["drill"],
            "nightdesk_guard.store": ["GuardStore", "SmallStore", "SwitchSeen"],
            "nightdesk_guard.tripwire": ["AccountView", "Anchors", "KillLimits", "Tripwire"],
        },
    )


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
    "LastSeen",
    "LiveMeasures",
    "Loss",
    "LostState",
    "ModelInUse",
    "Observation",
    "PerformanceGuard",
    "Reporter",
    "Resume",
    "ResumeFile",
    "SmallStore",
    "SwitchSeen",
    "TradeResult",
    "Tripwire",
    "breach_probability",
    "documented_limits",
    "drill",
    "is_present",
    "last_beat",
    "last_seen",
    "probation_share",
    "signals_on_probation",
    "signs_of_life",
]
