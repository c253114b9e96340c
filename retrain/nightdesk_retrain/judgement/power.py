"""How often the gate promotes, by seeded simulation: that a better candidate passes, and that a worse one does.

Candidate and champion trade at the same random times (a compound Poisson process), and what a trade earns is normally
distributed, correlated between the two and independent between trades. `judge` rules on every pair as in earnest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from nightdesk_core.errors import NightdeskError
from nightdesk_core.measures import max_drawdown_ratio
from nightdesk_core.models.pipeline import Backtest, Progress
from nightdesk_core.units import DAYS_A_YEAR
from numpy.typing import NDArray

from nightdesk_retrain.judgement.deflated import probabilistic_sharpe_ratio
from nightdesk_retrain.judgement.gate import Comparison, GateVerdict, judge, relative
from nightdesk_retrain.judgement.metrics import (
    Floats,
    Performance,
    judged_sharpe_ratio,
    profit_factor,
)
from nightdesk_retrain.judgement.outperformance import sharpe_difference
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings

DIFFERENCES = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""The candidate's true annual Sharpe ratio less the champion's."""
_BOOTSTRAP_DRAWS = 399
"""The gate draws more, so that a verdict hangs less on its seed; how often it promotes is the same."""


class PowerError(NightdeskError):
    """There is no such strategy as should be simulated."""

    exit_code = 2


@dataclass(frozen=True)
class TradePace:
    """How often a strategy trades, and the standard deviation of its daily returns."""

    trades_a_day: float
    daily_volatility_ratio: float

    @classmethod
    def of(cls, holdout: Backtest) -> Self | None:
        """Return the pace of a hold-out; `None` where it has no trade or no spread to go by."""
        volatility = float(np.std(holdout.daily_returns)) if holdout.days else 0.0
        if not holdout.trades or not volatility:
            return None
        return cls(len(holdout.trades) / len(holdout.days), volatility)

    def returns(self, scores: Floats, *, sharpe: float) -> Floats:
        """Return what trades earn, shape (N,), as shares of equity, from standard normal scores of the same shape.

        With λ trades a day of mean m and standard deviation s, the daily Sharpe ratio is √λ·m / √(m² + s²): the
        moments of a compound Poisson sum. Raises `PowerError` where so few trades cannot have the annual `sharpe`.
        """
        each = sharpe / math.sqrt(DAYS_A_YEAR * self.trades_a_day)
        if abs(each) >= 1:
            raise PowerError(f"{self.trades_a_day:.3g} trades a day are too few for a Sharpe ratio of {sharpe:g}")
        size = self.daily_volatility_ratio / math.sqrt(self.trades_a_day)
        return np.asarray(size * (each + math.sqrt(1 - each**2) * scores))


REFERENCE_PACE = TradePace(13 / 30, 0.12 / math.sqrt(DAYS_A_YEAR))
"""Of the reference strategy: 8 to 18 trades a month on the last 180 days of the sample, and 12% volatility a year."""
REFERENCE_CORRELATION = 0.85
"""Between its models that were trained 30 days apart: 0.74 to 0.87 on real candles."""


@dataclass(frozen=True)
class Setup:
    """What is simulated: a hold-out of so many days, all of them common to candidate and champion."""

    days: int
    correlation: float = REFERENCE_CORRELATION
    """Of the two models' daily returns, -1 to 1."""
    pace: TradePace = REFERENCE_PACE
    rotation: ModelRotationSettings = field(default_factory=ModelRotationSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    luck: float = 0.0
    """The daily Sharpe ratio that the best of all trials so far owes to luck; it counts with `min_deflated_sharpe`."""

    @property
    def tries_a_year(self) -> float:
        """Return how many scheduled retrains there are in a year."""
        return DAYS_A_YEAR / self.rotation.retrain_frequency_days


@dataclass(frozen=True)
class Chance:
    """Of a promotion: by one retrain, with the simulation's standard error, and by at least one of a year's."""

    a_retrain: float
    standard_error: float
    a_year: float
    """As if the tries were independent. Where hold-outs overlap they succeed and fail together: then it is less."""

    @classmethod
    def of(cls, promoted: NDArray[np.bool_], *, tries_a_year: float) -> Self:
        """Return it from what became of each try, shape (N,)."""
        share = float(promoted.mean())
        return cls(share, math.sqrt(share * (1 - share) / len(promoted)), 1 - (1 - share) ** tries_a_year)


@dataclass(frozen=True)
class Power:
    """The chances at one true difference, by the champion's true Sharpe ratio."""

    difference: float
    relative: Mapping[float, Chance]
    """Of passing the comparison with the champion alone."""
    joint: Mapping[float, Chance]
    """Of a promotion: that comparison and the demands on the candidate alone."""


def power(
    setup: Setup,
    *,
    levels: Sequence[float],
    draws: int,
    seed: int,
    progress: Progress,
    differences: Sequence[float] = DIFFERENCES,
) -> tuple[Power, ...]:
    """Return the chances at each true difference, by the champion's true annual Sharpe ratio (`levels`).

    Each of the `draws` pairs is judged at every difference and level, so these differ by nothing else. Raises
    `PowerError` where the pace allows no such Sharpe ratio.
    """
    source = np.random.default_rng(seed)
    met = np.zeros((2, len(differences), len(levels), draws), dtype=bool)
    for draw in range(draws):
        pair = _Pair.drawn(setup, source)
        for row, difference in enumerate(differences):
            for column, level in enumerate(levels):
                met[:, row, column, draw] = pair.judged(champion=level, candidate=level + difference)
        progress("simulate", (draw + 1) / draws)
    chances = [
        [
            {level: Chance.of(tries, tries_a_year=setup.tries_a_year) for level, tries in zip(levels, row, strict=True)}
            for row in rule
        ]
        for rule in met
    ]
    return tuple(
        Power(difference, relative, joint) for difference, relative, joint in zip(differences, *chances, strict=True)
    )


@dataclass(frozen=True)
class _Pair:
    """The luck of candidate and champion over one hold-out with N trades."""

    setup: Setup
    day: NDArray[np.int64]
    """On which day each trade falls, shape (N,)."""
    candidate: Floats
    """Standard normal scores of its trades, shape (N,)."""
    champion: Floats

    @classmethod
    def drawn(cls, setup: Setup, source: np.random.Generator) -> Self:
        day = np.repeat(np.arange(setup.days), source.poisson(setup.pace.trades_a_day, setup.days))
        champion, own = source.normal(size=(2, len(day)))
        rho = setup.correlation
        return cls(setup, day, rho * champion + math.sqrt(1 - rho**2) * own, champion)

    def judged(self, *, champion: float, candidate: float) -> tuple[bool, bool]:
        """Return whether the relative rule alone and the whole gate let the candidate pass, by true Sharpe ratios."""
        setup = self.setup
        trades = setup.pace.returns(self.candidate, sharpe=candidate)
        ours, theirs = self._daily(trades), self._daily(setup.pace.returns(self.champion, sharpe=champion))
        confidence = setup.retrain.confidence(past_age=False)
        sharpe = sharpe_difference(ours, theirs, confidence=confidence, draws=_BOOTSTRAP_DRAWS)
        rival = Comparison("champion", "champion", float(setup.days), sharpe)
        ruling = judge(
            _performance(ours, trades),
            rival,
            rotation=setup.rotation,
            retrain=setup.retrain,
            deflated=probabilistic_sharpe_ratio(ours, above=setup.luck),
        )
        compared = relative(rival, setup.retrain)
        return all(criterion.passed for criterion in compared), ruling.verdict is GateVerdict.PROMOTED

    def _daily(self, trades: Floats) -> Floats:
        return np.bincount(self.day, weights=trades, minlength=self.setup.days).astype(np.float64)


def _performance(daily: Floats, trades: Floats) -> Performance:
    return Performance(
        sharpe_ratio=judged_sharpe_ratio(daily),
        profit_factor=profit_factor(trades),
        max_drawdown_ratio=max_drawdown_ratio(daily.tolist()),
        trades=len(trades),
        win_ratio=float((trades > 0).mean()) if len(trades) else None,
        total_return_ratio=float(np.prod(1 + daily) - 1),
        days=len(daily),
    )
