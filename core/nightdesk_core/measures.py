"""What returns are measured by, each measure once, with its formula. Without numpy: the bot itself uses them.

Returns are daily, of the equity marked to market at each day's end, as ratios: 0.01 is a gain of 1%. D is the number of
days. Where numpy has the moments already, `sharpe_of_moments` takes them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from nightdesk_core.units import DAYS_A_YEAR

_ROUNDING = 1e-9
"""A standard deviation below this share of the mean is what is left of none by rounding."""


def sharpe_ratio(daily_returns: Sequence[float]) -> float | None:
    """Return the annualised Sharpe ratio of daily returns, shape (D,), against a risk-free rate of 0.

    √365 · m / s, with m the mean and s the standard deviation of a sample (D - 1). Sharpe (1994), The Sharpe Ratio.
    `None` of fewer than two returns, and where they do not differ: the ratio to no spread is not 0, there is none.
    """
    if len(daily_returns) < 2:
        return None
    return sharpe_of_moments(statistics.fmean(daily_returns), statistics.stdev(daily_returns))


def sharpe_of_moments(mean: float, deviation: float) -> float | None:
    """Return the annualised Sharpe ratio by the mean and the standard deviation (D - 1) of daily returns.

    `None` where they do not differ.
    """
    return None if is_flat(mean, deviation) else mean / deviation * math.sqrt(DAYS_A_YEAR)


def is_flat(mean: float, deviation: float) -> bool:
    """Return whether numbers are all alike but for rounding, which would make any ratio to their spread huge."""
    return deviation <= _ROUNDING * abs(mean)


def max_drawdown_ratio(daily_returns: Iterable[float]) -> float:
    """Return the deepest fall from a peak of the compounded equity, its start included, as a positive ratio.

    The largest 1 - E / max(1, E of the days up to this one), with E the product of 1 + return; 0 where it never falls.
    """
    equity = peak = 1.0
    deepest = 0.0
    for change in daily_returns:
        equity *= 1 + change
        peak = max(peak, equity)
        deepest = max(deepest, 1 - equity / peak)
    return deepest
