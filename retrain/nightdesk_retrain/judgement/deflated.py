"""Whether a Sharpe ratio is more than the luck of the best of many tries.

Bailey and López de Prado: The Sharpe Ratio Efficient Frontier (2012), The Deflated Sharpe Ratio (2014). Ratios are here
per day, not annualised, and a normal distribution has a kurtosis of 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from nightdesk_core.units import DAYS_A_YEAR

from nightdesk_retrain.judgement.metrics import Floats, is_flat, judged_sharpe_ratio

_NORMAL = NormalDist()
_ROOT_YEAR = math.sqrt(DAYS_A_YEAR)


@dataclass(frozen=True)
class DeflatedSharpe:
    """What is left of a candidate's Sharpe ratio when it is known how much was tried."""

    probability: float | None
    """That its true ratio is above 0, though it may be the best of them all; `None` where it never traded."""
    benchmark: float
    """The ratio, annualised, that the best of so many tries is expected to have by luck alone."""
    trials: int
    """Candidates that were evaluated so far, this one included."""
    cluster_sharpe_ratios: tuple[float, ...]
    """Of the trials that count as different ones, per day."""

    @classmethod
    def of(cls, returns: Floats, *, trials: int, cluster_sharpe_ratios: Sequence[float]) -> DeflatedSharpe:
        """Return it for the daily returns of a hold-out, shape (D,)."""
        luck = benchmark(cluster_sharpe_ratios)
        probability = probabilistic_sharpe_ratio(returns, above=luck)
        return cls(probability, luck * _ROOT_YEAR, trials, tuple(cluster_sharpe_ratios))

    @property
    def effective_trials(self) -> int:
        """Return how many different ones they are."""
        return len(self.cluster_sharpe_ratios)


def benchmark(sharpe_ratios: Sequence[float]) -> float:
    """Return the expected maximum of as many ratios of no skill, which vary as these do; 0 for a single one."""
    if len(sharpe_ratios) < 2:
        return 0.0
    return expected_maximum(len(sharpe_ratios), deviation=float(np.std(sharpe_ratios, ddof=1)))


def expected_maximum(count: int, *, deviation: float) -> float:
    """Return what the largest of `count` independent normal draws around 0 is expected to be (2014, equation 1)."""
    if count < 2:
        return 0.0
    low, high = _NORMAL.inv_cdf(1 - 1 / count), _NORMAL.inv_cdf(1 - 1 / (count * math.e))
    return deviation * ((1 - np.euler_gamma) * low + np.euler_gamma * high)


def probabilistic_sharpe_ratio(returns: Floats, *, above: float = 0.0) -> float | None:
    """Return the probability that the true ratio of daily returns, shape (D,), lies above a daily ratio.

    `None` where that cannot be told: of fewer than three days, and of returns without spread.
    """
    days = len(returns)
    if days < 3 or is_flat(returns):
        return None
    ratio = judged_sharpe_ratio(returns) / _ROOT_YEAR
    scores = (returns - returns.mean()) / returns.std()
    error = sharpe_error(ratio, days=days, skewness=float((scores**3).mean()), kurtosis=float((scores**4).mean()))
    return _NORMAL.cdf((ratio - above) / error) if error > 0 else None


def sharpe_error(ratio: float, *, days: int, skewness: float, kurtosis: float) -> float:
    """Return the standard error of a Sharpe ratio of returns that need not be normal (2012, equation 8)."""
    return math.sqrt(max(0.0, 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2) / (days - 1))
