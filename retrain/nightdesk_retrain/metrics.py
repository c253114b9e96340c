"""What a backtest is judged by. Daily returns are marked to market; a year has 365 days of trading.

Sharpe (1994), The Sharpe Ratio; a standard error that allows for autocorrelation: Ledoit and Wolf (2008), Robust
performance hypothesis testing with the Sharpe ratio, with the Bartlett kernel of Newey and West (1987).
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


@dataclass(frozen=True)
class SharpeDifference:
    """Candidate less champion over the same days, annualised; `lower_bound` is one-sided at 5%."""

    difference: float
    standard_error: float
    lower_bound: float
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
    if _is_flat(returns):
        return 0.0
    return float(returns.mean() / returns.std(ddof=1)) * math.sqrt(DAYS_A_YEAR)


def _is_flat(returns: Floats) -> bool:
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


def sharpe_difference(candidate: Floats, champion: Floats) -> SharpeDifference:
    """Return the paired difference of annualised Sharpe ratios, both of shape (D,), with a HAC standard error.

    By the delta method on the first two moments (Ledoit and Wolf 2008, section 3.1). The bandwidth is Newey and West's
    4·(D/100)^(2/9).
    """
    days = len(candidate)
    if days != len(champion):
        raise ValueError(f"the series must cover the same days: {days} against {len(champion)}")
    difference = sharpe_ratio(candidate) - sharpe_ratio(champion)
    if days < 3 or _is_flat(candidate) or _is_flat(champion):
        return SharpeDifference(difference, math.inf, -math.inf, days)
    moments = np.stack([candidate, champion, candidate**2, champion**2])
    means = moments.mean(axis=1)
    first, second = means[:2], means[2:]
    variance = second - first**2
    gradient = np.concatenate(
        [
            [second[0] / variance[0] ** 1.5, -second[1] / variance[1] ** 1.5],
            [-0.5 * first[0] / variance[0] ** 1.5, 0.5 * first[1] / variance[1] ** 1.5],
        ]
    )
    spread = float(gradient @ _long_run_covariance(moments - means[:, None]) @ gradient)
    error = math.sqrt(max(spread, 0.0) / days) * math.sqrt(DAYS_A_YEAR)
    return SharpeDifference(difference, error, difference - 1.6448536269514722 * error, days)


def _long_run_covariance(deviations: Floats) -> Floats:
    """Return Newey and West's estimate for deviations of shape (K, D)."""
    days = deviations.shape[1]
    bandwidth = int(4 * (days / 100) ** (2 / 9))
    total = deviations @ deviations.T / days
    for lag in range(1, bandwidth + 1):
        covariance = deviations[:, lag:] @ deviations[:, :-lag].T / days
        total += (1 - lag / (bandwidth + 1)) * (covariance + covariance.T)
    return np.asarray(total)
