"""The probabilistic and the deflated Sharpe ratio: published numbers, skfolio, and what luck does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skfolio.measures
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nightdesk_retrain.judgement.deflated import (
    DeflatedSharpe,
    benchmark,
    expected_maximum,
    probabilistic_sharpe_ratio,
    sharpe_error,
)
from nightdesk_retrain.judgement.metrics import Floats
from scipy.stats import norm

RETURNS = arrays(np.float64, st.integers(5, 80), elements=st.floats(-0.2, 0.2).map(lambda value: round(value, 6)))


def test_the_published_probabilistic_sharpe_ratio() -> None:
    """Bailey and López de Prado (2012): 0.458 a month over 24 months, as if normal, is above 0 with 0.982."""
    assert norm.cdf(0.458 / sharpe_error(0.458, days=24, skewness=0, kurtosis=3)) == pytest.approx(0.982, abs=5e-4)


def test_the_published_standard_error() -> None:
    """Bailey and López de Prado, the minimum track record: 0.7079 a month over 134 months."""
    assert sharpe_error(0.7079, days=134, skewness=-0.2250, kurtosis=2.9570) == pytest.approx(0.10276, abs=5e-6)


def test_the_published_deflated_sharpe_ratio() -> None:
    """Bailey and López de Prado (2014): 2.5 a year over 1,250 days, the best of 100 trials."""
    luck = expected_maximum(100, deviation=math.sqrt(0.5 / 250))
    assert luck == pytest.approx(0.1132, abs=5e-5)
    ratio = 2.5 / math.sqrt(250)
    probability = norm.cdf((ratio - luck) / sharpe_error(ratio, days=1250, skewness=-3, kurtosis=10))
    assert probability == pytest.approx(0.9004, abs=5e-5)


@settings(deadline=None)
@given(returns=RETURNS.filter(lambda values: values.std() > 1e-4), above=st.floats(-0.5, 0.5))
def test_it_is_skfolio_s(returns: Floats, above: float) -> None:
    expected = skfolio.measures.probabilistic_sharpe_ratio(returns, benchmark_sharpe_ratio=above)
    assert probabilistic_sharpe_ratio(returns, above=above) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("trials", [1, 2, 3, 12, 100])
def test_deflated_it_is_skfolio_s(trials: int) -> None:
    source = np.random.default_rng(trials)
    returns = source.standard_t(4, 180) * 0.01 + 0.002
    ratios = source.normal(0, 0.07, trials)
    found = DeflatedSharpe.of(returns, trials=trials, cluster_sharpe_ratios=ratios.tolist())
    assert found.probability == pytest.approx(skfolio.measures.deflated_sharpe_ratio(returns, ratios), abs=1e-9)
    assert (found.trials, found.effective_trials) == (trials, trials)


def test_a_single_trial_is_not_deflated() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.01, 180)
    found = DeflatedSharpe.of(returns, trials=7, cluster_sharpe_ratios=[0.05])
    assert (found.benchmark, found.effective_trials) == (0.0, 1)
    assert found.probability == probabilistic_sharpe_ratio(returns)
    assert expected_maximum(1, deviation=1.0) == benchmark([]) == 0.0


def test_the_benchmark_is_what_the_best_of_models_without_skill_comes_to() -> None:
    source = np.random.default_rng(2)
    drawn = source.normal(0, 0.01, (400, 20, 180))
    ratios = drawn.mean(axis=2) / drawn.std(axis=2, ddof=1)
    expected = np.mean([benchmark(trials.tolist()) for trials in ratios])
    # The formula is an approximation, good to a few percent from five trials on.
    assert expected == pytest.approx(ratios.max(axis=1).mean(), rel=0.03)


def test_the_best_of_many_without_skill_looks_good_until_it_is_deflated() -> None:
    source = np.random.default_rng(3)
    bare, deflated = [], []
    for _ in range(300):
        trials = source.normal(0, 0.01, (20, 180))
        ratios = trials.mean(axis=1) / trials.std(axis=1, ddof=1)
        best = trials[ratios.argmax()]
        bare.append(probabilistic_sharpe_ratio(best))
        found = DeflatedSharpe.of(best, trials=20, cluster_sharpe_ratios=ratios.tolist())
        deflated.append(found.probability)
    assert np.mean(np.array(bare, dtype=float) > 0.95) > 0.55
    assert np.mean(np.array(deflated, dtype=float) > 0.95) < 0.05
    assert np.median(np.array(deflated, dtype=float)) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("returns", [[], [0.01, 0.02], [0.0] * 180, [0.001] * 180])
def test_of_returns_that_do_not_vary_nothing_can_be_told(returns: list[float]) -> None:
    assert probabilistic_sharpe_ratio(np.array(returns)) is None
    assert DeflatedSharpe.of(np.array(returns), trials=1, cluster_sharpe_ratios=[0.0]).probability is None
