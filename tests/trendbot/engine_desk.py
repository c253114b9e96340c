"""An engine and its state, moved by one call a candle, with numbers that are easy to reckon with."""

from __future__ import annotations

from nightdesk_core.clock import MarketTime
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard import ModelInUse, PerformanceGuard
from nightdesk_trendbot.engine.broker import Account
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import Book, new_state
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar
from nightdesk_trendbot.signals.regime import Regime
from nightdesk_trendbot.signals.signal import Outcome, Permission, Signal

from tests.trendbot.conftest import FIRST_HOUR, HOUR

SYMBOL = "BTC/USDT:USDT"
QUIET = Signal(Regime.RANGING, 0, 0, None, 0.5, 0.0)
START = FIRST_HOUR + HOUR
"""An hour past midnight UTC: no funding is due for seven candles."""


def wish(side: int, *, leverage: float = 0.5) -> Signal:
    return Signal(Regime.TRENDING_UP, side, side, 0.9, leverage, 0.0)


def bar(hour: int, open_: float, high: float, low: float, close: float, *, funding: float = 0.0) -> Bar:
    return Bar(START + hour * HOUR, float(open_), float(high), float(low), float(close), 1.0, funding)


def uncorrelated(_first: str, _second: str) -> float:
    return 0.0


class Desk:
    """An engine and its state; one call is one candle."""

    def __init__(self, chosen: TrendbotSettings, *, guard: PerformanceGuard | None = None) -> None:
        self.engine = Engine(chosen, interval_seconds=HOUR, guard=guard)
        self.state = new_state([SYMBOL], chosen.initial_equity)
        self.trades: list[ClosedTrade] = []

    @property
    def book(self) -> Book:
        return self.state.books[SYMBOL]

    @property
    def account(self) -> Account:
        return self.book.account

    def opens(self, hour: int, price: float) -> None:
        """Have a candle open, and nothing more."""
        self.state = self.engine.at_open(self.state, SYMBOL, time=MarketTime(START + hour * HOUR), price=price)

    def candle(
        self,
        candle: Bar,
        signal: Signal = QUIET,
        *,
        permission: Permission | None = None,
        version: str = "v1",
    ) -> Outcome:
        """Have a candle open and close; return what became of its signal."""
        allowed = permission or Permission()
        self.state = self.engine.at_open(self.state, SYMBOL, time=MarketTime(candle.time), price=candle.open)
        result = self.engine.at_close(
            self.state,
            {SYMBOL: candle},
            signals={SYMBOL: signal},
            permission=lambda *_: allowed,
            correlation=uncorrelated,
            model=ModelInUse(version),
        )
        self.state = result.state
        self.trades += result.trades
        return result.decisions[SYMBOL][1].outcome

    def trade(self, candle: Bar) -> ClosedTrade:
        """Have a candle close the position, and return the trade."""
        before = len(self.trades)
        self.candle(candle)
        (trade,) = self.trades[before:]
        return trade


def entered(plain: TrendbotSettings, side: int = 1) -> Desk:
    """Return a desk that entered at an open of 100 in the candle of hour 1."""
    desk = Desk(plain)
    desk.candle(bar(0, 90, 90, 90, 90), wish(side))
    desk.candle(bar(1, 100, 100, 100, 100))
    assert desk.account.side == side
    return desk
