"""The broker's steps over a whole history at once, compiled: the backtest without a guard.

It decides nothing: the wishes come in, one for each bar, and the account can take one only while it is flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nightdesk_core.trades import ClosedTrade
from numba import njit

from nightdesk_trendbot import broker
from nightdesk_trendbot.broker import Barriers, Costs
from nightdesk_trendbot.candles import Candles, Floats, Ints
from nightdesk_trendbot.engine import EXIT_REASONS

_COLUMNS = 11


@dataclass(frozen=True)
class Simulation:
    """What came of the wishes: equity at each bar's close, shape (N,), and the trades in order."""

    equity: Floats
    trades: tuple[ClosedTrade, ...]


def simulate(
    candles: Candles,
    sides: Ints,
    leverages: Floats,
    *,
    barriers: Barriers,
    costs: Costs,
    cash: float,
    symbol: str,
    model_version: str,
) -> Simulation:
    """Return what an account that starts with `cash` and ends flat makes of the wishes on N candles.

    `sides` (1, -1, or 0 for none) and `leverages` (notional over equity) have shape (N,); a wish at a bar's close
    fills at the next bar's open.
    """
    time, open_, high, low, close, _ = candles.columns()
    equity, rows = walk(
        time, open_, high, low, close, candles.interval_seconds, sides, leverages, barriers, costs, float(cash)
    )
    trades = tuple(
        ClosedTrade(
            symbol=symbol,
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
    return Simulation(equity, trades)


@njit(cache=True)
def walk(
    time: Ints,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    interval: int,
    sides: Ints,
    leverages: Floats,
    barriers: Barriers,
    costs: Costs,
    cash: float,
) -> tuple[Floats, Floats]:
    """Return equity, shape (N,), and one row of eleven numbers for each trade, in the order of `Simulation.trades`."""
    count = len(close)
    equity = np.empty(count)
    rows = np.empty((np.count_nonzero(sides) + 1, _COLUMNS))
    trades = 0
    account = broker.flat(cash)
    for i in range(count):
        account = broker.at_open(account, time[i], open_[i], costs)
        before = account
        done = broker.at_close(account, open_[i], high[i], low[i], close[i], time[i] + interval, costs)
        if i == count - 1 and done.account.side != 0:
            done = broker.settle(account, broker.Closing(broker.TIME, close[i]), costs)
        account = done.account
        if done.reason != 0:
            row = rows[trades]
            row[0], row[1], row[2], row[3] = before.side, before.quantity, before.entry_time, before.entry_price
            row[4], row[5], row[6], row[7] = time[i] + interval, done.price, done.reason, done.fees
            row[8], row[9], row[10] = before.funding, done.profit, before.equity_before
            trades += 1
        equity[i] = broker.equity(account, close[i])
        if account.side == 0 and sides[i] != 0:
            account = broker.order(account, sides[i], leverages[i], barriers)
    return equity, rows[:trades]
