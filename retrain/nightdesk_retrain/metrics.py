"""What a backtest is judged by. Daily returns are marked to market; a year has 365 days of trading.

Sharpe (1994), The Sharpe Ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from nightdesk_core.pipeline import Backtest
from numpy.typing import NDArray

DAYS_A_YEAR = 365
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


def measure(backtest: Backtest) -> Performance:
    """Return the measures of one backtest."""
    returns = np.array(backtest.daily_returns)
    profits = np.array([trade.profit for trade in backtest.trades])
    return Performance(
        sharpe_ratio=sharpe_ratio(returns),
        profit_factor=profit_factor(profits),
        max_drawdown_ratio=max_drawdown_ratio(returns),
        trades=len(profits),
        win_ratio=float((profits > 0).mean()) if len(profits) else None,
        total_return_ratio=float(np.prod(1 + returns) - 1),
        days=len(returns),
    )


def sharpe_ratio(returns: Floats) -> float:
    """Return the annualised Sharpe ratio of daily returns, shape (D,), against a risk-free rate of 0; 0 where flat."""
    if len(returns) < 2:
        return 0.0
    if is_flat(returns):
        return 0.0
    return float(returns.mean() / returns.std(ddof=1)) * math.sqrt(DAYS_A_YEAR)


def is_flat(returns: Floats) -> bool:
    """Return whether the returns are all alike but for rounding, which would make any ratio to their spread huge."""
    return bool(returns.std() <= 1e-9 * abs(returns.mean()))


def profit_factor(profits: Floats) -> float | None:
    """Return gross profit over gross loss of trades, shape (N,), or `None` where nothing was lost."""
    lost = float(-profits[profits < 0].sum())
    return float(profits[profits > 0].sum()) / lost if lost > 0 else None


def max_drawdown_ratio(returns: Floats) -> float:
    """Return the deepest loss from a peak of the compounded equity, its start included, as a positive ratio."""
    equity = np.concatenate([[1.0], np.cumprod(1 + returns)])
    return float((1 - equity / np.maximum.accumulate(equity)).max())


def correlation(first: Floats, second: Floats) -> float | None:
    """Return Pearson's correlation of two series of returns, shape (D,); `None` where one of them does not move."""
    if len(first) < 3 or is_flat(first) or is_flat(second):
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1.0, 1.0))
