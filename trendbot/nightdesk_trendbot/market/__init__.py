"""The exchange: its REST and its stream, the feed of confirmed candles, funding, prices and the market's clock.

For other rooms: `open_exchange`, with a `SilentListener` where nobody counts its requests, and `REQUEST_FAILURES`.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.market.exchange import REQUEST_FAILURES, open_exchange
    from nightdesk_trendbot.market.listener import SilentListener
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.market.exchange": ["REQUEST_FAILURES", "open_exchange"],
            "nightdesk_trendbot.market.listener": ["SilentListener"],
        },
    )


__all__ = ["REQUEST_FAILURES", "SilentListener", "open_exchange"]
