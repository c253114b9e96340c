"""What a backtest is judged by: core's measures, by numpy, and those that only the gate needs.

López de Prado (2018), Advances in Financial Machine Learning, 14.3: turnover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nightdesk_core import measures
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade
from nightdesk_core.units import DAY_SECONDS, DAYS_A_YEAR
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Performance:
    """A model over a window. `profit_factor` is `None` where nothing was lost or nothing traded."""

    sharpe_ratio: float
    profit_factor: float | None
    max_drawdown_ratio: float
    trades: int
    win_ratio: float | None
    total_return_ratio: float
    days: int
    turnover_a_year: float | None = None
    """What is bought and sold in a year, in multiples of the equity; `None` where no trades are known one by one."""
    exposure_ratio: float | None = None
    """Share of the time in which a position is open; `None` likewise."""


def measure(backtest: Backtest) -> Performance:
    """Return the measures of one backtest."""
    returns = np.array(backtest.daily_returns)
    profits = np.array([trade.profit for trade in backtest.trades])
    return Performance(
        sharpe_ratio=judged_sharpe_ratio(returns),
        profit_factor=profit_factor(profits),
        max_drawdown_ratio=measures.max_drawdown_ratio(backtest.daily_returns),
        trades=len(profits),
        win_ratio=float((profits > 0).mean()) if len(profits) else None,
        total_return_ratio=float(np.prod(1 + returns) - 1),
        days=len(returns),
        turnover_a_year=turnover_a_year(backtest.trades, seconds=backtest.end - backtest.start),
        exposure_ratio=exposure_ratio(backtest.trades, start=backtest.start, end=backtest.end),
    )


def turnover_a_year(trades: Sequence[ClosedTrade], *, seconds: float) -> float:
    """Return what trades closed within so many seconds bought and sold, in multiples of the equity, for a year.

    Entry and exit both count, each trade against the equity that it was sized by.
    """
    traded = sum(trade.quantity * (trade.entry_price + trade.exit_price) / trade.equity_before for trade in trades)
    return traded * (DAYS_A_YEAR * DAY_SECONDS) / seconds if seconds > 0 else 0.0


def exposure_ratio(trades: Sequence[ClosedTrade], *, start: float, end: float) -> float:
    """Return the share of [start, end), in seconds of the market, in which a position is open: the time in market.

    Positions that are open at once count once.
    """
    covered, until = 0.0, start
    for trade in sorted(trades, key=lambda trade: trade.entry_time):
        closed = min(float(trade.exit_time), end)
        covered += max(0.0, closed - max(float(trade.entry_time), until))
        until = max(until, closed)
    return covered / (end - start) if end > start else 0.0


def judged_sharpe_ratio(returns: Floats) -> float:
    """Return the annualised Sharpe ratio of daily returns, shape (D,), as the gate judges by it: 0 where there is none.

    So a strategy that never trades is not promoted, and one that earns something takes its place.
    """
    if len(returns) < 2:
        return 0.0
    return measures.sharpe_of_moments(float(returns.mean()), float(returns.std(ddof=1))) or 0.0


def is_flat(returns: Floats) -> bool:
    """Return whether returns, shape (D,), are all alike but for rounding."""
    return measures.is_flat(float(returns.mean()), float(returns.std()))


def profit_factor(profits: Floats) -> float | None:
    """Return gross profit over gross loss of trades, shape (N,), or `None` where nothing was lost."""
    lost = float(-profits[profits < 0].sum())
    return float(profits[profits > 0].sum()) / lost if lost > 0 else None


def correlation(first: Floats, second: Floats) -> float | None:
    """Return Pearson's correlation of two series of returns, shape (D,); `None` where one of them does not move."""
    if len(first) < 3 or is_flat(first) or is_flat(second):
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1.0, 1.0))
