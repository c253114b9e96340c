"""What a model's hold-out promised, and the ratios that live trading is compared with it by.

The ratios of Sharpe and drawdown are information, never a trigger: a live Sharpe below 0.7 of the expected one holds
for 61 to 79% of healthy bots by their 170th trade. What decides is the e-process of `Evidence`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nightdesk_core.measures import max_drawdown_ratio, sharpe_ratio
from nightdesk_core.models.pipeline import Backtest

HORIZON_DAYS = (7, 14, 30, 60, 90, 180)
BOUND_ERROR = 0.10
"""How often a hold-out's lower bound lies above the model's true win rate."""
MIN_RATIO_DAYS = 30


@dataclass(frozen=True)
class Expected:
    """What a model's hold-out promised, of at least one trade. Money is in R for a trade."""

    trades: int
    days: int
    wins: int
    win_rate: float
    win_rate_bound: float
    """One-sided 10% lower bound of the win rate (Clopper and Pearson 1934)."""
    mean_r: float
    mean_fees_r: float
    mean_slippage_r: float
    trades_a_day: float
    sharpe_ratio: float | None
    """Annualised; `None` where the daily returns do not differ."""
    drawdowns: Mapping[int, float]
    """By days: the median, over all windows of so many daily returns, of the largest fall from a peak, a ratio."""

    @classmethod
    def of(cls, backtest: Backtest) -> Expected | None:
        """Return what a hold-out promises; nothing where it holds no trade."""
        trades, days = backtest.trades, len(backtest.daily_returns)
        if not trades:
            return None
        wins = sum(trade.won for trade in trades)
        return cls(
            trades=len(trades),
            days=days,
            wins=wins,
            win_rate=wins / len(trades),
            win_rate_bound=lower_bound(wins, len(trades)),
            mean_r=statistics.fmean(trade.r for trade in trades),
            mean_fees_r=statistics.fmean(trade.fees / trade.unit for trade in trades),
            mean_slippage_r=statistics.fmean(trade.slippage / trade.unit for trade in trades),
            trades_a_day=len(trades) / days,
            sharpe_ratio=sharpe_ratio(backtest.daily_returns),
            drawdowns={
                horizon: median_drawdown(backtest.daily_returns, horizon) for horizon in HORIZON_DAYS if horizon <= days
            },
        )


@dataclass(frozen=True)
class Ratios:
    """Live over expected. Information: healthy bots show bad ones all the time."""

    sharpe: float | None
    drawdown: float | None


def ratios(expected: Expected, daily_returns: Sequence[float]) -> Ratios:
    """Return live over expected Sharpe and drawdown, of the daily returns since the model is in use, shape (D,).

    The drawdown is that of the last days, as many as the longest horizon that has passed, over the expected median of
    just as many. `None` in the first 30 days, and where what is expected is not positive.
    """
    horizons = [days for days in expected.drawdowns if MIN_RATIO_DAYS <= days <= len(daily_returns)]
    if not horizons:
        return Ratios(None, None)
    days = max(horizons)
    sharpe, promised = sharpe_ratio(daily_returns), expected.sharpe_ratio
    drawdown = expected.drawdowns[days]
    return Ratios(
        sharpe=sharpe / promised if sharpe is not None and promised is not None and promised > 0 else None,
        drawdown=max_drawdown_ratio(daily_returns[-days:]) / drawdown if drawdown > 0 else None,
    )


def lower_bound(wins: int, trades: int) -> float:
    """Return the one-sided 10% lower bound of a win rate: where so many wins, or more, have a probability of 10%.

    Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    if wins == 0:
        return 0.0
    below, above = 0.0, 1.0
    while above - below > 1e-12:
        middle = (below + above) / 2
        if _at_least(wins, trades, middle) < BOUND_ERROR:
            below = middle
        else:
            above = middle
    return below


def _at_least(wins: int, trades: int, rate: float) -> float:
    """Return the probability of so many wins or more."""
    odds, whole = math.log(rate) - math.log1p(-rate), trades * math.log1p(-rate)
    return math.fsum(
        math.exp(math.lgamma(trades + 1) - math.lgamma(k + 1) - math.lgamma(trades - k + 1) + k * odds + whole)
        for k in range(wins, trades + 1)
    )


def median_drawdown(daily_returns: Sequence[float], days: int) -> float:
    """Return the median, over all windows of `days` daily returns, of their largest fall from a peak."""
    starts = range(len(daily_returns) - days + 1)
    return statistics.median(max_drawdown_ratio(daily_returns[start : start + days]) for start in starts)
