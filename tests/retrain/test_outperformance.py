"""The difference of two Sharpe ratios, against the delta method by gradient and against a bootstrap written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nightdesk_retrain.judgement.metrics import Floats, judged_sharpe_ratio
from nightdesk_retrain.judgement.outperformance import SharpeDifference, sharpe_difference

ROOT = math.sqrt(365)


def compared(candidate: Floats, champion: Floats, *, confidence: float = 0.95, draws: int = 2000) -> SharpeDifference:
    return sharpe_difference(candidate, champion, confidence=confidence, draws=draws)


def neighbours(days: int, *, seed: int, edge: float = 0.001) -> tuple[Floats, Floats]:
    """Return fat-tailed returns of two models, correlated by about 0.9, of which the first earns more."""
    source = np.random.default_rng(seed)
    common = source.standard_t(4, days) * 0.01
    return common + source.normal(edge, 0.004, days), common + source.normal(0.0, 0.004, days)


def gradient_of(moments: Floats) -> Floats:
    """Return the derivatives of the difference by the first two moments of both series (Ledoit and Wolf 2008)."""
    first, second = moments[:2], moments[2:]
    variance = second - first**2
    by_first = second / variance**1.5 * [1, -1]
    by_second = -0.5 * first / variance**1.5 * [1, -1]
    return np.concatenate([by_first, by_second])


def stacked(candidate: Floats, champion: Floats) -> Floats:
    return np.stack([candidate, champion, candidate**2, champion**2])


def ratio_of(moments: Floats) -> float:
    ratios = moments[:2] / np.sqrt(moments[2:] - moments[:2] ** 2)
    return float(ratios[0] - ratios[1])


def newey_west(deviations: Floats, bandwidth: int) -> Floats:
    """Return the long-run covariance of deviations, shape (K, D), lag by lag."""
    days = deviations.shape[1]
    total = deviations @ deviations.T / days
    for lag in range(1, bandwidth + 1):
        covariance = deviations[:, lag:] @ deviations[:, :-lag].T / days
        total += (1 - lag / (bandwidth + 1)) * (covariance + covariance.T)
    return np.asarray(total)


def written_out(candidate: Floats, champion: Floats, *, block: int, draws: int, seed: int) -> Floats:
    """Return Ledoit and Wolf's studentised differences draw by draw, with their natural error of a block bootstrap."""
    source = np.random.default_rng(seed)
    days = len(candidate)
    moments = stacked(candidate, champion)
    found = []
    for _ in range(draws):
        starts = source.integers(days, size=days // block)
        drawn = moments[:, (starts[:, None] + np.arange(block)).ravel() % days]
        means = drawn.mean(axis=1)
        scores = (drawn - means[:, None]).reshape(4, -1, block).sum(axis=2) / math.sqrt(block)
        gradient = gradient_of(means)
        error = math.sqrt(gradient @ (scores @ scores.T / scores.shape[1]) @ gradient / drawn.shape[1])
        found.append((ratio_of(means) - ratio_of(moments.mean(axis=1))) / error)
    return np.array(found)


@pytest.mark.parametrize("days", [30, 120, 365])
def test_the_standard_error_agrees_with_the_delta_method_by_gradient(days: int) -> None:
    ours, theirs = neighbours(days, seed=days)
    moments = stacked(ours, theirs)
    means = moments.mean(axis=1)
    covariance = newey_west(moments - means[:, None], int(4 * (days / 100) ** (2 / 9)))
    expected = math.sqrt(gradient_of(means) @ covariance @ gradient_of(means) / (days - 4)) * ROOT
    assert compared(ours, theirs).standard_error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_bound_and_the_probability_agree_with_a_bootstrap_written_out(confidence: float) -> None:
    ours, theirs = neighbours(180, seed=7)
    found = compared(ours, theirs, confidence=confidence, draws=20_000)
    drawn = written_out(ours, theirs, block=5, draws=6_000, seed=1)
    expected = found.difference - np.quantile(drawn, confidence) * found.standard_error
    # Three Monte-Carlo errors of the quantile of 6,000 draws.
    assert found.lower_bound == pytest.approx(expected, abs=0.09 * found.standard_error)
    share = np.mean(drawn < found.difference / found.standard_error)
    assert found.probability == pytest.approx(share, abs=0.02)


def test_the_difference_is_the_ratios_difference_and_the_bound_lies_below_it() -> None:
    ours, theirs = neighbours(200, seed=1)
    found = compared(ours, theirs)
    assert found.difference == pytest.approx(judged_sharpe_ratio(ours) - judged_sharpe_ratio(theirs))
    assert found.days == 200
    assert compared(theirs, ours).standard_error == pytest.approx(found.standard_error)
    assert found.lower_bound < compared(ours, theirs, confidence=0.8).lower_bound < found.difference


def test_the_same_returns_give_the_same_bound_to_the_last_digit_and_other_returns_another() -> None:
    ours, theirs = neighbours(365, seed=2)
    assert compared(ours, theirs) == compared(ours.copy(), theirs.copy())
    shuffled = np.random.default_rng(0).permutation(365)
    again = compared(ours[shuffled], theirs[shuffled])
    assert again.difference == pytest.approx(compared(ours, theirs).difference)
    assert again.lower_bound != compared(ours, theirs).lower_bound


def test_a_scale_changes_nothing_but_the_draws() -> None:
    """A model of half the size has the same Sharpe ratio: only the seed, which comes from the returns, is another."""
    ours, theirs = neighbours(250, seed=6)
    found, smaller = compared(ours, theirs), compared(ours / 2, theirs / 2)
    assert smaller.standard_error == pytest.approx(found.standard_error)
    assert smaller.lower_bound == pytest.approx(found.lower_bound, abs=0.15 * found.standard_error)


def test_the_probability_is_the_confidence_whose_bound_is_zero() -> None:
    ours, theirs = neighbours(365, seed=3, edge=0.0006)
    found = compared(ours, theirs)
    assert found.probability is not None
    assert 0.6 < found.probability < 0.999
    assert compared(ours, theirs, confidence=found.probability - 0.005).lower_bound > 0
    assert compared(ours, theirs, confidence=found.probability + 0.005).lower_bound < 0
    swapped = compared(theirs, ours).probability
    assert swapped == pytest.approx(1 - found.probability, abs=0.04)


@pytest.mark.parametrize(("ratio", "days", "published"), [(0.5, 60, 0.137), (1.0, 120, 0.112)])
def test_for_independent_normal_returns_it_is_lo_s_published_number(ratio: float, days: int, published: float) -> None:
    source = np.random.default_rng(2002)
    errors = [
        compared(*source.normal(ratio * 0.01, 0.01, (2, days)), draws=1).standard_error / ROOT / math.sqrt(2)
        for _ in range(300)
    ]
    # The Bartlett kernel loses about bandwidth / days of the variance.
    assert np.mean(errors) == pytest.approx(published, rel=0.06)


def test_the_standard_error_is_the_spread_that_repeated_samples_show() -> None:
    source = np.random.default_rng(3)
    found = [compared(*source.normal(0.0005, 0.01, (2, 250)), draws=200) for _ in range(400)]
    spread = np.std([one.difference for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.1)
    below = np.mean([one.lower_bound > 0 for one in found])
    assert below == pytest.approx(0.05, abs=0.03)


def test_returns_that_follow_each_other_have_a_larger_error_than_independent_ones() -> None:
    noise = np.random.default_rng(4).normal(0, 0.01, (2, 400))
    trending = np.stack([np.convolve(row, np.ones(5) / 5, mode="same") for row in noise])
    assert compared(*trending).standard_error > 1.5 * compared(*noise).standard_error


def test_a_model_that_never_traded_can_be_compared_but_has_no_bound() -> None:
    found = compared(np.random.default_rng(5).normal(0.001, 0.01, 150), np.zeros(150))
    assert found.difference > 0
    assert (found.standard_error, found.lower_bound, found.probability) == (math.inf, -math.inf, None)


def test_a_champion_that_traded_on_two_days_only_bears_no_bound() -> None:
    """Every other draw misses both days, and has nothing to be studentised by."""
    theirs = np.zeros(180)
    theirs[[40, 90]] = 0.02, -0.01
    found = compared(np.random.default_rng(5).normal(0.001, 0.01, 180), theirs)
    assert math.isfinite(found.standard_error)
    assert found.lower_bound == -math.inf


def test_a_candidate_that_returns_what_the_champion_returns_is_no_better() -> None:
    ours, _ = neighbours(150, seed=8)
    found = compared(ours, ours)
    assert (found.difference, found.lower_bound, found.probability) == (0.0, 0.0, 0.0)


def test_of_too_few_days_to_resample_the_bound_is_the_normal_one() -> None:
    found = compared(*neighbours(30, seed=9))
    assert found.lower_bound == pytest.approx(found.difference - 1.6448536 * found.standard_error)
    tail = 0.5 * math.erfc(-found.difference / found.standard_error / math.sqrt(2))
    assert found.probability == pytest.approx(tail)


def test_series_over_different_days_are_refused() -> None:
    with pytest.raises(ValueError, match="the series must cover the same days: 3 against 4"):
        compared(np.zeros(3), np.zeros(4))
