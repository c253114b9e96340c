"""What the market says at a candle's close: candles, indicators, regimes, and the signals that they give.

For other rooms: `TIMEFRAME_SECONDS`, the lengths of candles, and `Outcome`, what may become of a candle's signal.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS
    from nightdesk_trendbot.signals.signal import Outcome
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.signals.candles": ["TIMEFRAME_SECONDS"],
            "nightdesk_trendbot.signals.signal": ["Outcome"],
        },
    )


__all__ = ["TIMEFRAME_SECONDS", "Outcome"]
