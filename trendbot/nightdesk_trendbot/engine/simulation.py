"""The engine's steps over a whole history at once, compiled: the backtest without a guard.

It decides nothing: the wishes come in, one for each bar, and an account can take one only while it is flat, and as far
as the portfolio leaves room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nightdesk_core.trades import ClosedTrade
from numba import njit

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Order
from nightdesk_trendbot.engine.portfolio import Caps, correlation, room
from nightdesk_trendbot.engine.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.signals.candles import Candles, Floats, Ints

_COLUMNS = 14


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
    columns = [_aligned(time, candles, wishes) for _, candles, wishes in markets]
    # One symbol's columns are as they are: of a million bars a copy takes longer than the walk.
    open_, high, low, close, funding, sides, leverages, volatilities = (
        np.stack(parts) if len(parts) > 1 else parts[0][np.newaxis] for parts in zip(*columns, strict=True)
    )
    at_close, rows = walk(
        time,
        open_,
        high,
        low,
        close,
        funding,
        sides,
        leverages,
        volatilities,
        interval,
        rules,
        caps,
        float(equity),
    )
    trades = tuple(
        ClosedTrade(
            symbol=markets[int(row[11])][0],
            side="long" if row[0] > 0 else "short",
            quantity=float(row[1]),
            entry_time=int(row[2]),
            entry_price=float(row[3]),
            exit_time=int(row[4]),
            exit_price=float(row[5]),
            exit_reason=broker.EXIT_REASONS[int(row[6])],
            fees=float(row[7]),
            funding=float(row[8]),
            profit=float(row[9]),
            equity_before=float(row[10]),
            model_version=model_version,
            slippage=float(row[12]),
            risk=float(row[13]),
        )
        for row in rows
    )
    first = int(np.searchsorted(time, start))
    return Simulation(time[first:] + interval, at_close[first:], trades)


def _aligned(time: Ints, candles: Candles, wishes: Wishes) -> list[Any]:
    """Return open, high, low, close, funding, sides, leverages and volatilities, each of shape (T,).

    A step in which the symbol has no candle is NaN, and wishes nothing (0); so does one before its first wish.
    """
    columns: list[Any] = [candles.open, candles.high, candles.low, candles.close, candles.funding]
    columns += [wishes.sides, wishes.leverages, wishes.volatilities]
    if len(candles) == len(time) == len(wishes.sides):
        return columns
    at = np.searchsorted(time, candles.time)
    aligned: list[Any] = []
    for column in columns:
        spread = np.full(len(time), np.nan) if column is candles.close else np.zeros(len(time), dtype=column.dtype)
        spread[at[len(at) - len(column) :]] = column
        aligned.append(spread)
    return aligned


@njit(cache=True)
def walk(
    time: Ints,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    funding: Floats,
    sides: Ints,
    leverages: Floats,
    volatilities: Floats,
    interval: int,
    rules: Rules,
    caps: Caps,
    cash: float,
) -> tuple[Floats, Floats]:
    """Return equity, shape (T,), and one row of fourteen numbers for each trade, as `simulate` reads them.

    `time` has shape (T,); the other columns, for S symbols, (S, T). Where a symbol has no candle its close is NaN.
    """
    symbols, steps = sides.shape
    equity = np.empty(steps)
    rows = np.empty((np.count_nonzero(sides) + 1, _COLUMNS))
    trades = 0
    accounts = [broker.flat(0.0) for _ in range(symbols)]
    marks = np.zeros(symbols)
    present = np.zeros(symbols)
    held = np.zeros(symbols)
    correlations = np.zeros(symbols)
    for i in range(steps):
        close_time = time[i] + interval
        for s in range(symbols):
            if np.isnan(close[s, i]):
                continue
            marks[s] = close[s, i]
            if accounts[s].side != 0 or accounts[s].waiting:
                costs = costs_at(rules, present[s])
                before = broker.at_open(accounts[s], time[i], open_[s, i], costs)
                done = broker.at_close(
                    before,
                    time[i],
                    open_[s, i],
                    high[s, i],
                    low[s, i],
                    close[s, i],
                    funding[s, i],
                    close_time,
                    costs,
                )
                accounts[s] = done.account
                if done.reason != 0:
                    _note(rows[trades], s, before, done, close_time)
                    trades += 1
            present[s] = volatilities[s, i]
        if i == steps - 1:
            for s in range(symbols):
                if accounts[s].side != 0:
                    before = accounts[s]
                    closing = broker.Closing(broker.TIME, marks[s])
                    done = broker.settle(before, closing, costs_at(rules, present[s]))
                    accounts[s] = done.account
                    _note(rows[trades], s, before, done, close_time)
                    trades += 1
        total = cash
        for s in range(symbols):
            total += broker.value(accounts[s], marks[s])
        equity[i] = total
        for s in range(symbols):
            side = sides[s, i]
            if side == 0 or accounts[s].side != 0 or accounts[s].waiting or total <= 0:
                continue
            for other in range(symbols):
                held[other] = broker.exposure(accounts[other], marks[other]) / total
                correlations[other] = 0.0
                if other != s and held[other] != 0:
                    correlations[other] = correlation(time, close[s], close[other], i, caps.correlation_seconds)
            allowed = room(s, side, leverages[s, i], held, present, correlations, caps)
            if allowed > 0:
                order = Order(side, allowed * total, total, barriers_at(rules, present[s]))
                accounts[s] = broker.place(accounts[s], order)
    return equity, rows[:trades]


@njit(cache=True)
def _note(row: Floats, symbol: int, before: broker.Account, done: broker.Close, close_time: int) -> None:
    row[0], row[1], row[2], row[3] = before.side, before.quantity, before.entry_time, before.entry_price
    row[4], row[5], row[6], row[7] = close_time, done.price, done.reason, done.fees
    row[8], row[9], row[10], row[11] = done.funding, done.profit, before.order.equity, symbol
    row[12], row[13] = done.slippage, broker.risk(before)
