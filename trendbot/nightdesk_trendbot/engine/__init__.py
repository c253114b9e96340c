"""What becomes of an account at a candle's open and close. One engine for live trading and for backtests.

For other rooms: the `Rules` of entries and exits, and the `break_even_win_rate` that they need.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.engine.rules": ["Rules", "break_even_win_rate"],
        },
    )


__all__ = ["Rules", "break_even_win_rate"]
