"""The engine's steps over a whole history at once, compiled: the backtest without a guard.

It decides nothing: the wishes come in, one for each bar, and an account can take one only while it is flat, and as far
as the portfolio leaves room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_type_hints

import numpy as np
from nightdesk_core.trades import ClosedTrade
from numpy.typing import NDArray

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Order
from nightdesk_trendbot.engine.portfolio import Caps, correlation, room
from nightdesk_trendbot.engine.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.signals.candles import Bar, Candles, Floats, Ints


@dataclass(frozen=True)
class Wishes:
    """What the strategy would do with a symbol at its last N candles if it were flat, all of shape (N,)."""

    sides: Ints
    """1, -1, or 0 for nothing."""
    leverages: Floats
    """Notional over equity."""
    volatilities: Floats
    """Standard deviation of a day's return at each close; 0 where it is not known."""


@dataclass(frozen=True)
class Simulation:
    """What came of the wishes on T steps: each one's close (market time) and equity, shape (T,); trades in order."""

    close_time: Ints
    equity: Floats
    trades: tuple[ClosedTrade, ...]


class MarketColumns(NamedTuple):
    """Candles and wishes as the compiled walk takes them: for S symbols and T steps, each of shape (S, T).

    Where a symbol has no candle its close is NaN, and it wishes nothing.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    funding: Floats
    sides: Ints
    leverages: Floats
    volatilities: Floats


class RoundTrip(NamedTuple):
    """A trade as the compiled walk notes it. Times are market time, money is in the account's currency."""

    symbol: int
    """Its place among the symbols."""
    side: int
    quantity: float
    entry_time: int
    entry_price: float
    exit_time: int
    exit_price: float
    exit_reason: int
    """TARGET, STOP or TIME of the broker."""
    fees: float
    funding: float
    profit: float
    equity_before: float
    slippage: float
    risk: float


_ROUND_TRIP = np.dtype([(name, np.dtype(kind)) for name, kind in get_type_hints(RoundTrip).items()])
"""One row for each trade: the walk writes columns by their names, and no Python object."""


def simulate(
    markets: Sequence[tuple[str, Candles, Wishes]],
    *,
    start: float,
    rules: Rules,
    caps: Caps,
    equity: float,
    model_version: str,
) -> Simulation:
    """Return what an account that has `equity` at `start` and ends flat makes of the wishes on some symbols' candles.

    Their candles may begin, end and pause at different times. A wish at a bar's close fills at the next bar's open. The
    candles that open before `start` (market time) have no wishes: correlations look back on them.
    """
    interval = markets[0][1].interval_seconds
    time = markets[0][1].time
    if len(markets) > 1:
        time = np.unique(np.concatenate([candles.time for _, candles, _ in markets]))
    columns = _columns([_aligned(time, candles, wishes) for _, candles, wishes in markets])
    at_close, rows = walk(time, columns, interval, rules, caps, float(equity))
    symbols = [symbol for symbol, _, _ in markets]
    trades = tuple(_closed(RoundTrip._make(row), symbols, model_version) for row in rows.tolist())
    first = int(np.searchsorted(time, start))
    return Simulation(time[first:] + interval, at_close[first:], trades)


def _aligned(time: Ints, candles: Candles, wishes: Wishes) -> MarketColumns:
    """Return a symbol's columns, each of shape (T,).

    A step in which the symbol has no candle is NaN, and wishes nothing (0); so does one before its first wish.
    """
    columns = MarketColumns(
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        candles.funding,
        wishes.sides,
        wishes.leverages,
        wishes.volatilities,
    )
    if len(candles) == len(time) == len(wishes.sides):
        return columns
    at = np.searchsorted(time, candles.time)

    def spread(column: NDArray[np.generic]) -> NDArray[np.generic]:
        whole = np.zeros(len(time), dtype=column.dtype)
        whole[at[len(at) - len(column) :]] = column
        return whole

    spaced = MarketColumns._make(map(spread, columns))
    close = np.full(len(time), np.nan)
    close[at] = candles.close
    return spaced._replace(close=close)


def _columns(symbols: Sequence[MarketColumns]) -> MarketColumns:
    """Return the columns of S symbols together."""
    if len(symbols) == 1:
        # They are as they are: of a million bars a copy takes longer than the walk.
        return MarketColumns._make(column[np.newaxis] for column in symbols[0])
    return MarketColumns._make(map(np.stack, zip(*symbols, strict=True)))


def _closed(trade: RoundTrip, symbols: Sequence[str], model_version: str) -> ClosedTrade:
    return ClosedTrade(
        symbol=symbols[trade.symbol],
        side="long" if trade.side > 0 else "short",
        quantity=trade.quantity,
        entry_time=trade.entry_time,
        entry_price=trade.entry_price,
        exit_time=trade.exit_time,
        exit_price=trade.exit_price,
        exit_reason=broker.EXIT_REASONS[trade.exit_reason],
        fees=trade.fees,
        funding=trade.funding,
        profit=trade.profit,
        equity_before=trade.equity_before,
        model_version=model_version,
        slippage=trade.slippage,
        risk=trade.risk,
    )


@compiled()
def walk(
    time: Ints, columns: MarketColumns, interval: int, rules: Rules, caps: Caps, cash: float
) -> tuple[Floats, NDArray[np.void]]:
    """Return equity, shape (T,), and a `RoundTrip` as a row of a structured array for each trade.

    `time` is each step's open (market time), shape (T,), and `interval` its length in seconds.
    """
    symbols, steps = columns.sides.shape
    equity = np.empty(steps)
    rows = np.empty(np.count_nonzero(columns.sides) + 1, _ROUND_TRIP)
    trades = 0
    accounts = [broker.flat(0.0) for _ in range(symbols)]
    marks = np.zeros(symbols)
    present = np.zeros(symbols)
    held = np.zeros(symbols)
    correlations = np.zeros(symbols)
    for i in range(steps):
        close_time = time[i] + interval
        for s in range(symbols):
            if np.isnan(columns.close[s, i]):
                continue
            marks[s] = columns.close[s, i]
            if accounts[s].side != 0 or accounts[s].waiting:
                costs = costs_at(rules, present[s])
                before = broker.at_open(accounts[s], time[i], columns.open[s, i], costs)
                bar = Bar(
                    time[i],
                    columns.open[s, i],
                    columns.high[s, i],
                    columns.low[s, i],
                    columns.close[s, i],
                    0.0,
                    columns.funding[s, i],
                )
                done = broker.at_close(before, bar, close_time, costs)
                accounts[s] = done.account
                if done.reason != 0:
                    _note_trade(rows[trades], s, before, done, close_time)
                    trades += 1
            present[s] = columns.volatilities[s, i]
        if i == steps - 1:
            for s in range(symbols):
                if accounts[s].side != 0:
                    before = accounts[s]
                    closing = broker.Closing(broker.TIME, marks[s])
                    done = broker.settle(before, closing, costs_at(rules, present[s]))
                    accounts[s] = done.account
                    _note_trade(rows[trades], s, before, done, close_time)
                    trades += 1
        total = cash
        for s in range(symbols):
            total += broker.value(accounts[s], marks[s])
        equity[i] = total
        for s in range(symbols):
            side = columns.sides[s, i]
            if side == 0 or accounts[s].side != 0 or accounts[s].waiting or total <= 0:
                continue
            for other in range(symbols):
                held[other] = broker.exposure(accounts[other], marks[other]) / total
                correlations[other] = 0.0
                if other != s and held[other] != 0:
                    correlations[other] = correlation(
                        time, columns.close[s], columns.close[other], i, caps.correlation_seconds
                    )
            allowed = room(s, side, columns.leverages[s, i], held, present, correlations, caps)
            if allowed > 0:
                order = Order(side, allowed * total, total, barriers_at(rules, present[s]))
                accounts[s] = broker.place(accounts[s], order)
    return equity, rows[:trades]


@compiled()
def _note_trade(row: Any, symbol: int, before: broker.Account, done: broker.CandleClose, close_time: int) -> None:
    row.symbol, row.side, row.quantity = symbol, before.side, before.quantity
    row.entry_time, row.entry_price = before.entry_time, before.entry_price
    row.exit_time, row.exit_price, row.exit_reason = close_time, done.price, done.reason
    row.fees, row.funding, row.profit = done.fees, done.funding, done.profit
    row.equity_before, row.slippage, row.risk = before.order.equity, done.slippage, broker.risk(before)
