"""Whether the candidate's Sharpe ratio is above the champion's: two models over the same days.

Ledoit and Wolf (2008), Robust performance hypothesis testing with the Sharpe ratio: a standard error that allows for
autocorrelation, and the studentised circular block bootstrap, which holds its level where the normal one does not.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from nightdesk_core.units import DAYS_A_YEAR
from numpy.typing import NDArray

from nightdesk_retrain.judgement.metrics import Floats, is_flat, judged_sharpe_ratio

DRAWS = 2_000
_FEWEST_BLOCKS = 10
"""Of fewer there are too few arrangements: the normal distribution takes the bootstrap's place."""
_MOMENTS = 4
"""Means and second moments of both series: being estimated, they take as many degrees of freedom (section 3.1)."""
_SMALL = 1e-9
"""Below this, in standard deviations, a spread is rounding."""


@dataclass(frozen=True)
class SharpeDifference:
    """Candidate less champion over the same days, annualised."""

    difference: float
    standard_error: float
    lower_bound: float
    """One-sided, with the confidence that was asked for; minus infinity where the days cannot bear any."""
    days: int
    probability: float | None
    """That the candidate's true ratio is the higher one: the confidence whose lower bound is 0."""


def sharpe_difference(
    candidate: Floats, champion: Floats, *, confidence: float, draws: int = DRAWS
) -> SharpeDifference:
    """Return the paired difference of annualised Sharpe ratios of daily returns, both of shape (D,).

    The bound is the studentised circular block bootstrap's (section 3.2), seeded by the returns themselves: the same
    days give the same bound. Raises `ValueError` where the series differ in length.
    """
    days = len(candidate)
    if days != len(champion):
        raise ValueError(f"the series must cover the same days: {days} against {len(champion)}")
    difference = judged_sharpe_ratio(candidate) - judged_sharpe_ratio(champion)
    if days <= _MOMENTS or is_flat(candidate) or is_flat(champion):
        return SharpeDifference(difference, math.inf, -math.inf, days, None)
    pair = (_Moments.of(candidate), _Moments.of(champion))
    spread = math.sqrt(_long_run_variance(pair[0].influence - pair[1].influence) / (days - _MOMENTS))
    error = spread * math.sqrt(DAYS_A_YEAR)
    if spread <= _SMALL:
        return SharpeDifference(difference, error, difference, days, float(difference > 0))
    if days // _block_days(days) < _FEWEST_BLOCKS:
        normal = NormalDist()
        bound = difference - normal.inv_cdf(confidence) * error
        return SharpeDifference(difference, error, bound, days, normal.cdf(difference / error))
    drawn = _studentised(pair, draws=draws, source=_seeded(candidate, champion))
    quantile = float(np.quantile(drawn, confidence, method="higher"))
    # Their remark 3.2: the sample counts as one of its own draws, so no probability is ever 1.
    probability = float((drawn < difference / error).sum()) / (draws + 1)
    return SharpeDifference(difference, error, difference - quantile * error, days, probability)


@dataclass(frozen=True)
class _Moments:
    """Returns in standard deviations from their mean, shape (D,), and the daily Sharpe ratio they come from."""

    scores: Floats
    ratio: float

    @classmethod
    def of(cls, returns: Floats) -> _Moments:
        mean, deviation = returns.mean(), returns.std()
        return cls((returns - mean) / deviation, float(mean / deviation))

    @property
    def influence(self) -> Floats:
        """What each day contributes to the ratio's error, shape (D,): the delta method, day by day (Lo 2002)."""
        return self.scores - self.ratio / 2 * (self.scores**2 - 1)

    def resampled(self, starts: NDArray[np.int64], block: int) -> tuple[Floats, Floats]:
        """Return the ratio of each draw, shape (M,), and its error's part in each of its blocks, shape (M, L).

        A draw is L circular blocks of days that begin at `starts`, shape (M, L). NaN where it has no spread.
        """
        first, second = (_circular_sums(power, block)[starts] for power in (self.scores, self.scores**2))
        days = starts.shape[1] * block
        mean = first.sum(axis=1, keepdims=True) / days
        variance = second.sum(axis=1, keepdims=True) / days - mean**2
        variance[variance <= _SMALL] = np.nan
        ratio = (self.ratio + mean) / np.sqrt(variance)
        centred = second - 2 * mean * first + block * mean**2
        parts = (first - block * mean) / np.sqrt(variance) - ratio / 2 * (centred / variance - block)
        return ratio[:, 0], parts


def _studentised(pair: tuple[_Moments, _Moments], *, draws: int, source: np.random.Generator) -> Floats:
    """Return (Δ* - Δ) / s(Δ*) of each draw, shape (M,); infinite where a draw has no spread, which widens the bound."""
    days = len(pair[0].scores)
    block = _block_days(days)
    starts = source.integers(days, size=(draws, days // block))
    (ours, our_parts), (theirs, their_parts) = (moments.resampled(starts, block) for moments in pair)
    error = np.sqrt(((our_parts - their_parts) ** 2).sum(axis=1)) / (starts.shape[1] * block)
    error[error <= _SMALL] = np.nan
    found = (ours - theirs - (pair[0].ratio - pair[1].ratio)) / error
    return np.where(np.isnan(found), np.inf, found)


def _seeded(candidate: Floats, champion: Floats) -> np.random.Generator:
    content = np.stack([candidate, champion]).astype("<f8").tobytes()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest(), "little"))


def _circular_sums(values: Floats, block: int) -> Floats:
    """Return the sum of the `block` values from each place on, the first following the last, shape (D,)."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    return np.asarray(total[block:] - total[:-block])


def _bandwidth(days: int) -> int:
    """Return Newey and West's 4·(D/100)^(2/9)."""
    return int(4 * (days / 100) ** (2 / 9))


def _block_days(days: int) -> int:
    """Return a block's length: as far as the kernel of the standard error reaches, so that both miss the same."""
    return _bandwidth(days) + 1


def _long_run_variance(series: Floats) -> float:
    """Return the Bartlett estimate (Newey and West 1987) for a series around 0, shape (D,); it is never negative."""
    bandwidth = _bandwidth(len(series))
    total = float(series @ series)
    for lag in range(1, bandwidth + 1):
        total += 2 * (1 - lag / (bandwidth + 1)) * float(series[lag:] @ series[:-lag])
    return max(total, 0.0) / len(series)
