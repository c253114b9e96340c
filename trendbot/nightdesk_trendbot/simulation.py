"""The engine's steps over a whole history at once, compiled: the backtest without a guard.

It decides nothing: the wishes come in, one for each bar, and an account can take one only while it is flat, and as far
as the portfolio leaves room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nightdesk_core.trades import ClosedTrade
from numba import njit

from nightdesk_trendbot import broker
from nightdesk_trendbot.broker import Order
from nightdesk_trendbot.candles import Candles, Floats, Ints
from nightdesk_trendbot.engine import EXIT_REASONS
from nightdesk_trendbot.portfolio import Caps, correlation, room
from nightdesk_trendbot.rules import Rules, barriers_at, costs_at

_COLUMNS = 12


@dataclass(frozen=True)
class Wishes:
    """What the strategy would do with a symbol of N candles if it were flat, all of shape (N,)."""

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
    rules: Rules,
    caps: Caps,
    equity: float,
    model_version: str,
) -> Simulation:
    """Return what an account that starts with `equity` and ends flat makes of the wishes on some symbols' candles.

    Their candles may begin, end and pause at different times. A wish at a bar's close fills at the next bar's open.
    """
    interval = markets[0][1].interval_seconds
    time = markets[0][1].time
    if len(markets) > 1:
        time = np.unique(np.concatenate([candles.time for _, candles, _ in markets]))
    columns = [_aligned(time, candles, wishes) for _, candles, wishes in markets]
    prices, sides, sizes = (np.stack(parts) for parts in zip(*columns, strict=True))
    at_close, rows = walk(time, prices, sides, sizes, interval, rules, caps, float(equity))
    trades = tuple(
        ClosedTrade(
            symbol=markets[int(row[11])][0],
            side="long" if row[0] > 0 else "short",
            quantity=float(row[1]),
            entry_time=int(row[2]),
            entry_price=float(row[3]),
            exit_time=int(row[4]),
            exit_price=float(row[5]),
            exit_reason=EXIT_REASONS[int(row[6])],
            fees=float(row[7]),
            funding=float(row[8]),
            profit=float(row[9]),
            equity_before=float(row[10]),
            model_version=model_version,
        )
        for row in rows
    )
    return Simulation(time + interval, at_close, trades)


def _aligned(time: Ints, candles: Candles, wishes: Wishes) -> tuple[Floats, Ints, Floats]:
    """Return open, high, low, close, funding, shape (5, T); sides, shape (T,); leverage and volatility, shape (2, T).

    A step in which the symbol has no candle is NaN, and wishes nothing.
    """
    columns = np.stack([candles.open, candles.high, candles.low, candles.close, candles.funding])
    sizes = np.stack([wishes.leverages, wishes.volatilities])
    if len(candles) == len(time):
        return columns, wishes.sides, sizes
    at = np.searchsorted(time, candles.time)
    prices = np.full((5, len(time)), np.nan)
    prices[:, at] = columns
    sides = np.zeros(len(time), dtype=np.int64)
    sides[at] = wishes.sides
    spread = np.zeros((2, len(time)))
    spread[:, at] = sizes
    return prices, sides, spread


@njit(cache=True)
def walk(
    time: Ints,
    prices: Floats,
    sides: Ints,
    sizes: Floats,
    interval: int,
    rules: Rules,
    caps: Caps,
    cash: float,
) -> tuple[Floats, Floats]:
    """Return equity, shape (T,), and one row of twelve numbers for each trade, as `simulate` reads them.

    For S symbols: `prices` has shape (S, 5, T), `sides` (S, T), `sizes` (S, 2, T).
    """
    symbols, steps = sides.shape
    equity = np.empty(steps)
    rows = np.empty((np.count_nonzero(sides) + 1, _COLUMNS))
    trades = 0
    accounts = [broker.flat(0.0) for _ in range(symbols)]
    marks = np.zeros(symbols)
    volatilities = np.zeros(symbols)
    leverages = np.zeros(symbols)
    correlations = np.zeros(symbols)
    for i in range(steps):
        close_time = time[i] + interval
        for s in range(symbols):
            if np.isnan(prices[s, 3, i]):
                continue
            open_, high, low, close, rate = (
                prices[s, 0, i],
                prices[s, 1, i],
                prices[s, 2, i],
                prices[s, 3, i],
                prices[s, 4, i],
            )
            marks[s] = close
            if accounts[s].side != 0 or accounts[s].waiting:
                costs = costs_at(rules, volatilities[s])
                before = broker.at_open(accounts[s], time[i], open_, costs)
                done = broker.at_close(before, time[i], open_, high, low, close, rate, close_time, costs)
                accounts[s] = done.account
                if done.reason != 0:
                    _note(rows[trades], s, before, done, close_time)
                    trades += 1
            volatilities[s] = sizes[s, 1, i]
        if i == steps - 1:
            for s in range(symbols):
                if accounts[s].side != 0:
                    before = accounts[s]
                    closing = broker.Closing(broker.TIME, marks[s])
                    done = broker.settle(before, closing, costs_at(rules, volatilities[s]))
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
                leverages[other] = broker.exposure(accounts[other], marks[other]) / total
                correlations[other] = 0.0
                if other != s and leverages[other] != 0:
                    correlations[other] = correlation(time, prices[s, 3], prices[other, 3], i, caps.correlation_seconds)
            allowed = room(s, side, sizes[s, 0, i], leverages, volatilities, correlations, caps)
            if allowed > 0:
                order = Order(side, allowed * total, total, barriers_at(rules, volatilities[s]))
                accounts[s] = broker.place(accounts[s], order)
    return equity, rows[:trades]


@njit(cache=True)
def _note(row: Floats, symbol: int, before: broker.Account, done: broker.Close, close_time: int) -> None:
    row[0], row[1], row[2], row[3] = before.side, before.quantity, before.entry_time, before.entry_price
    row[4], row[5], row[6], row[7] = close_time, done.price, done.reason, done.fees
    row[8], row[9], row[10], row[11] = done.funding, done.profit, before.order.equity, symbol
