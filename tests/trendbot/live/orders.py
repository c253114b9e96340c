"""What an operator orders of a bot that holds a position in the second symbol, and how the bot stands."""

from __future__ import annotations

from nightdesk_core.clock import MarketTime
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.close_orders import CloseOrder, CloseOrders
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.live.stored_market import restored

from tests.trendbot.replay import OTHER


def state_of(parts: LiveParts) -> EngineState:
    found = restored(parts.journal, parts.tuning.trendbot)
    assert found is not None
    return found


def order_close(parts: LiveParts) -> CloseOrder:
    """Order the close of the second symbol's position, a little below its last price."""
    book = state_of(parts).books[OTHER]
    assert book.account.side != 0
    entered, price = MarketTime(book.account.entry_time), round(book.mark * 0.99, 2)
    return CloseOrders(parts.state_dir).give(OTHER, entry_time=entered, price=price, reason="delisted", actor="ann")
