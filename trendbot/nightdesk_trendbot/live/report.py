"""What the live loop tells the exporter: its account, guard and markets, as the journal has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from loguru import logger
from nightdesk_core.clock import MarketTime, TimeScale
from nightdesk_core.journal.journal import Journal, JournalError
from nightdesk_core.trades import ClosedTrade
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import BotExporter

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState, equity
from nightdesk_trendbot.market.events import SetAside
from nightdesk_trendbot.market.prices import Prices
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome, Signal

_NOTED = (
    Outcome.BLOCKED_NO_MODEL,
    Outcome.BLOCKED_KILL_SWITCH,
    Outcome.BLOCKED_GUARD,
    Outcome.BLOCKED_EXPOSURE,
    Outcome.BLOCKED_STALE,
    Outcome.BLOCKED_GAP,
    Outcome.BLOCKED_CLOCK,
    Outcome.BLOCKED_DISK,
)


class Report:
    """Tells one exporter of one bot."""

    def __init__(self, exporter: BotExporter, settings: TrendbotSettings, scale: TimeScale, prices: Prices) -> None:
        """Open positions are valued by `prices`."""
        self._exporter = exporter
        self._timeframe = settings.timeframe
        self._scale = scale
        self._prices = prices
        self._open_markets: frozenset[str] | None = None

    def markets(self, symbols: frozenset[str], *, interval_seconds: int) -> None:
        """Expect candles, one each `interval_seconds` of market time, of the symbols whose markets are open."""
        before = self._open_markets or frozenset()
        for symbol in symbols ^ before:
            expected = self._scale.interval(interval_seconds) if symbol in symbols else None
            self._exporter.expect_candles(symbol, self._timeframe, interval_seconds=expected)
            if expected is None:
                logger.info("the market of {} is closed", symbol)
        self._open_markets = symbols
        self._exporter.trading_expected(expected=bool(symbols))

    def listed(self, symbols: Iterable[str], unlisted: Iterable[str]) -> None:
        """Tell which symbols the exchange lists, and which not."""
        for symbol in symbols:
            self._exporter.listed(symbol, listed=True)
        for symbol in unlisted:
            self._exporter.listed(symbol, listed=False)

    def orphans(self, symbols: Iterable[str]) -> None:
        """Tell which symbols hold a position though the settings no longer name them."""
        for symbol in symbols:
            self._exporter.event(
                f"{symbol} holds a position and trendbot.symbols no longer names it: it keeps its barriers until it is"
                " closed, and nothing new is entered; close it by `nightdesk positions close`",
                level="WARNING",
            )

    def set_aside(self, event: SetAside) -> None:
        """Tell that a candle is set aside."""
        self._exporter.candle_rejected(
            event.symbol, self._timeframe, open_time=float(event.time.seconds), reason=event.reason
        )

    def step(self, result: StepResult, signals: Mapping[str, Signal], *, seconds: float) -> None:
        """Tell of a step's candles, decisions and trades; deciding took so many seconds for each symbol."""
        for symbol, (_, decision) in result.decisions.items():
            self._exporter.candle(symbol, self._timeframe, close_time=float(result.state.last_close.seconds))
            self._exporter.decision(symbol, seconds=seconds)
            self._exporter.signal(symbol, decision.outcome.value)
            self._exporter.regime(symbol, signals[symbol].regime.value)
            if decision.outcome in _NOTED:
                logger.debug("{}: entry blocked: {}", symbol, decision.outcome)
        self.trades(result.trades)
        for trade in result.shadow_trades:
            logger.info("shadow trade of {}: {:+.2f} R, {}", trade.symbol, trade.r, _detail(trade))

    def trades(self, trades: Iterable[ClosedTrade]) -> None:
        """Tell of trades that closed."""
        for trade in trades:
            self._exporter.trade(trade.symbol, profit=trade.profit, fees=trade.fees, detail=_detail(trade))

    def recent_trades(self, journal: Journal, now: MarketTime) -> None:
        """Tell how many trades closed within the day before; as before where the disk does not say."""
        with suppress(JournalError):
            self._exporter.recent_trades(len(journal.trades(closed_after=now - DAY_SECONDS)))

    def account(self, state: EngineState) -> None:
        """Tell of account and positions, marked to the newest prices."""
        # Nobody owes the exchange more than the account: what lies below zero is not the bot's.
        now = max(equity(state, self._prices.newest), 0.0)
        daily = now / _positive(state.day_start_equity) - 1
        self._exporter.equity(now, peak=max(state.peak_equity, now), daily_pnl_ratio=daily)
        for symbol, book in state.books.items():
            if book.account.side == 0:
                self._exporter.position(symbol, None)
                continue
            notional = broker.exposure(book.account, self._prices.newest.get(symbol, book.mark))
            side = "long" if notional > 0 else "short"
            self._exporter.position(symbol, side, size_ratio=abs(notional) / _positive(now))


def _detail(trade: ClosedTrade) -> str:
    return f"{trade.side} at {trade.exit_price:.5g} by {trade.exit_reason}"


def _positive(equity: float) -> float:
    """Return an equity to divide by: of an account that has lost everything any share is huge, and alarms."""
    return max(equity, 1e-9)
