"""The live bot: its loop, what it keeps in the journal, its safety, and what it reports to the exporter.

For other rooms, to run it: `LiveBot`, its `LiveParts`, the `Tuning` that may change while it runs, `Probation` and
`Rotation` of its champion. To look at what it left, which loads no numbers but for `restored`: `guard_memory` and
`restored` read its journal, `DecisionLog` at `log_path` holds a `DecisionRecord` for each candle. An operator's
words to it: `CloseOrders`, of which `close_outcomes` says what became.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.live.bot import LiveBot
    from nightdesk_trendbot.live.close_orders import CloseOrders, close_outcomes
    from nightdesk_trendbot.live.decision_log import DecisionLog, DecisionRecord, log_path
    from nightdesk_trendbot.live.parts import LiveParts, Tuning
    from nightdesk_trendbot.live.probation import Probation
    from nightdesk_trendbot.live.rotation import Rotation
    from nightdesk_trendbot.live.stored_guard import guard_memory
    from nightdesk_trendbot.live.stored_market import restored
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.live.bot": ["LiveBot"],
            "nightdesk_trendbot.live.close_orders": ["CloseOrders", "close_outcomes"],
            "nightdesk_trendbot.live.decision_log": ["DecisionLog", "DecisionRecord", "log_path"],
            "nightdesk_trendbot.live.parts": ["LiveParts", "Tuning"],
            "nightdesk_trendbot.live.probation": ["Probation"],
            "nightdesk_trendbot.live.rotation": ["Rotation"],
            "nightdesk_trendbot.live.stored_guard": ["guard_memory"],
            "nightdesk_trendbot.live.stored_market": ["restored"],
        },
    )


__all__ = [
    "CloseOrders",
    "DecisionLog",
    "DecisionRecord",
    "LiveBot",
    "LiveParts",
    "Probation",
    "Rotation",
    "Tuning",
    "close_outcomes",
    "guard_memory",
    "log_path",
    "restored",
]
