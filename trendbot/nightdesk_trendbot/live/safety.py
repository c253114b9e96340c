"""What keeps the bot from acting on what it cannot trust: old prices, candles that come late, a wrong clock."""

from __future__ import annotations

from dataclasses import replace

from nightdesk_core.clock import MarketTime, TimeScale
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import AccountView
from nightdesk_guard.settings import EntryBlockSettings

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import EngineState, equity, new_state, with_book
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.prices import Prices
from nightdesk_trendbot.model.strategy import Strategy
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.regime import Regime
from nightdesk_trendbot.signals.signal import Outcome, Signal, decide


class Safety:
    """The bot's eyes on its prices and its clock."""

    def __init__(
        self, entries: EntryBlockSettings, scale: TimeScale, prices: Prices, market_clock: MarketClock
    ) -> None:
        self.entries = entries
        self._scale = scale
        self._prices = prices
        self._market_clock = market_clock

    def account(self, state: EngineState) -> AccountView:
        """Return the account as the kill switch sees it, marked to the newest prices."""
        prices = self._prices.newest
        now = equity(state, prices)
        notional = sum(
            abs(broker.exposure(book.account, prices.get(symbol, book.mark)))
            for symbol, book in state.books.items()
            if book.account.side != 0
        )
        return AccountView(
            equity=now,
            leverage=notional / max(now, 1e-9),
            # The candles' time: a bot that catches up on three days has not lost in one what it lost in three.
            market_time=state.last_close,
            priced_at=self._prices.oldest(_held(state)),
        )

    def closable(self, state: EngineState) -> dict[str, float]:
        """Return the prices at which open positions can be closed: none that is stale."""
        return self._prices.fresh(_held(state), within_seconds=self._scale.limit(self.entries.stale_seconds))

    @property
    def clock_is_off(self) -> bool:
        """Whether the exchange's clock and ours are known to differ by too much."""
        offset = self._market_clock.offset_seconds
        return offset is not None and abs(offset) > self.entries.clock_offset_seconds

    def late(self, close_time: MarketTime, interval_seconds: int) -> Outcome | None:
        """Return why nothing may be entered on a candle that closed at a time; `None` where it is in time."""
        if self.clock_is_off:
            return Outcome.BLOCKED_CLOCK
        age = self._market_clock.age(close_time)
        # Where candles are shorter than that, one that is older than the next is late.
        if age <= self._scale.limit(min(self.entries.stale_seconds, interval_seconds)):
            return None
        return Outcome.BLOCKED_GAP if age >= self._scale.interval(interval_seconds) else Outcome.BLOCKED_STALE


def _held(state: EngineState) -> list[str]:
    return [symbol for symbol, book in state.books.items() if book.account.side != 0]


def kill_switch_defects(engine: Engine, strategy: Strategy, settings: TrendbotSettings) -> str:
    """Return what of the bot would not obey an active kill switch, empty where all of it would. Touches no state."""
    symbol, time = settings.symbols[0], MarketTime(DAY_SECONDS)
    signal = Signal(Regime.TRENDING_UP, 1, 1, 1.0, 1.0, 0.0)
    state = new_state(settings.symbols, settings.initial_equity)
    refused = decide(signal, strategy.permission(None, None, state, signal, killed=True), in_position=False)
    order = broker.Order(1, 1.0, settings.initial_equity, broker.Barriers(0.1, 0.1, 3600))
    waiting = with_book(state, symbol, replace(state.books[symbol], account=broker.place(broker.flat(0.0), order)))
    cancelled = engine.cancel_orders(waiting)
    entered = engine.at_open(waiting, symbol, time=time, price=100.0)
    closed, trades = engine.close_positions(entered, {symbol: 100.0}, time=time)
    found = {
        "an entry was not blocked": refused.outcome is not Outcome.BLOCKED_KILL_SWITCH,
        "an order was not taken back": cancelled.books[symbol].account.waiting,
        "no position was entered to be closed": entered.books[symbol].account.side != 1,
        "a position was not closed": closed.books[symbol].account.side != 0 or len(trades) != 1,
    }
    return "; ".join(what for what, wrong in found.items() if wrong)
