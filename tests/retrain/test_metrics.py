"""The measures, against empyrical, against arithmetic by hand, and against an independent standard error."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nightdesk_core.pipeline import Backtest
from nightdesk_retrain.metrics import (
    Floats,
    max_drawdown_ratio,
    measure,
    profit_factor,
    sharpe_difference,
    sharpe_ratio,
)

from tests.retrain.conftest import trade

ROOT = math.sqrt(365)
RETURNS = arrays(np.float64, st.integers(2, 60), elements=st.floats(-0.2, 0.2).map(lambda value: round(value, 6)))


def backtest(returns: Floats, outcomes: list[bool]) -> Backtest:
    """Return a backtest with these daily returns, and a trade for each outcome."""
    days = tuple(range(86_400, 86_400 * (len(returns) + 1), 86_400))
    trades = tuple(trade(number, won=won) for number, won in enumerate(outcomes))
    return Backtest(0.0, float(len(returns) * 86_400), days, tuple(map(float, returns)), trades)


@settings(deadline=None)
@given(returns=RETURNS.filter(lambda values: values.std() > 1e-4))
def test_the_sharpe_ratio_is_empyrical_s_with_365_days(returns: Floats) -> None:
    assert sharpe_ratio(returns) == pytest.approx(
        empyrical.sharpe_ratio(returns, annualization=365), rel=1e-9, abs=1e-9
    )


@settings(deadline=None)
@given(returns=RETURNS)
def test_the_drawdown_is_empyrical_s(returns: Floats) -> None:
    assert max_drawdown_ratio(returns) == pytest.approx(-empyrical.max_drawdown(returns), abs=1e-9)


def test_a_loss_on_the_first_day_is_a_drawdown() -> None:
    assert max_drawdown_ratio(np.array([-0.1, 0.5])) == pytest.approx(0.1)
    assert max_drawdown_ratio(np.array([0.1, 0.1])) == 0.0
    assert max_drawdown_ratio(np.array([0.5, -0.2, 0.1, -0.25, 3.0])) == pytest.approx(1 - 0.8 * 1.1 * 0.75)


def test_the_profit_factor_is_gross_profit_over_gross_loss() -> None:
    assert profit_factor(np.array([30.0, -10.0, 20.0, -15.0, 0.0])) == 2.0
    assert profit_factor(np.array([5.0])) is None
    assert profit_factor(np.array([])) is None
    assert profit_factor(np.array([-5.0])) == 0.0


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.001] * 180, [-0.003] * 7])
def test_returns_without_spread_have_no_sharpe_ratio(returns: list[float]) -> None:
    assert sharpe_ratio(np.array(returns)) == 0.0


def test_known_failure_6_every_measure_comes_from_the_backtest() -> None:
    """There "Sharpe" was 2·AUC-1, profit factor 2·F1, drawdown a constant, trades the rows of the test set."""
    returns = np.array([0.02, -0.01, 0.03, -0.02])
    found = measure(backtest(returns, [True, False, True]))
    assert found.sharpe_ratio == pytest.approx(0.005 / np.sqrt(((returns - 0.005) ** 2).sum() / 3) * ROOT)
    assert found.sharpe_ratio > 1.0
    assert found.profit_factor == 4.0
    assert found.max_drawdown_ratio == pytest.approx(0.02)
    assert found.trades == 3
    assert found.win_ratio == pytest.approx(2 / 3)
    assert found.total_return_ratio == pytest.approx(1.02 * 0.99 * 1.03 * 0.98 - 1)
    assert found.days == 4


def test_without_a_trade_nothing_is_made_up() -> None:
    found = measure(backtest(np.zeros(180), []))
    assert (found.sharpe_ratio, found.profit_factor, found.max_drawdown_ratio) == (0.0, None, 0.0)
    assert (found.trades, found.win_ratio, found.total_return_ratio) == (0, None, 0.0)


def test_the_difference_is_the_ratios_difference_and_the_bound_lies_below_it() -> None:
    source = np.random.default_rng(1)
    ours, theirs = source.normal(0.001, 0.01, (2, 200))
    found = sharpe_difference(ours, theirs)
    assert found.difference == pytest.approx(sharpe_ratio(ours) - sharpe_ratio(theirs))
    assert found.lower_bound == pytest.approx(found.difference - 1.6448536 * found.standard_error)
    assert found.days == 200
    assert sharpe_difference(theirs, ours).standard_error == pytest.approx(found.standard_error)


def influence(returns: Floats) -> Floats:
    """Return what each day contributes to the Sharpe ratio's error (Lo 2002, by the influence function)."""
    scores = (returns - returns.mean()) / returns.std()
    ratio = returns.mean() / returns.std()
    return np.asarray(scores - ratio / 2 * (scores**2 - 1))


def newey_west(series: Floats, bandwidth: int) -> float:
    """Return the long-run variance of one series, lag by lag."""
    total = float(np.mean(series * series))
    for lag in range(1, bandwidth + 1):
        total += 2 * (1 - lag / (bandwidth + 1)) * float(np.sum(series[lag:] * series[:-lag])) / len(series)
    return total


@pytest.mark.parametrize("days", [30, 120, 365])
def test_the_standard_error_agrees_with_an_independent_computation(days: int) -> None:
    source = np.random.default_rng(days)
    common = source.standard_t(4, days) * 0.01
    ours, theirs = common + source.normal(0.001, 0.004, days), common + source.normal(0.0, 0.004, days)
    bandwidth = int(4 * (days / 100) ** (2 / 9))
    expected = math.sqrt(newey_west(influence(ours) - influence(theirs), bandwidth) / days) * ROOT
    assert sharpe_difference(ours, theirs).standard_error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("ratio", "days", "published"), [(0.5, 60, 0.137), (1.0, 120, 0.112)])
def test_for_independent_normal_returns_it_is_lo_s_published_number(ratio: float, days: int, published: float) -> None:
    source = np.random.default_rng(2002)
    errors = [
        sharpe_difference(*source.normal(ratio * 0.01, 0.01, (2, days))).standard_error / ROOT / math.sqrt(2)
        for _ in range(300)
    ]
    # The Bartlett kernel loses about bandwidth / days of the variance.
    assert np.mean(errors) == pytest.approx(published, rel=0.06)


def test_the_standard_error_is_the_spread_that_repeated_samples_show() -> None:
    source = np.random.default_rng(3)
    found = [sharpe_difference(*source.normal(0.0005, 0.01, (2, 250))) for _ in range(400)]
    spread = np.std([one.difference for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.1)
    below = np.mean([one.lower_bound > 0 for one in found])
    assert below == pytest.approx(0.05, abs=0.04)


def test_returns_that_follow_each_other_have_a_larger_error_than_independent_ones() -> None:
    source = np.random.default_rng(4)
    noise = source.normal(0, 0.01, (2, 400))
    trending = np.stack([np.convolve(row, np.ones(5) / 5, mode="same") for row in noise])
    assert sharpe_difference(*trending).standard_error > 1.5 * sharpe_difference(*noise).standard_error


def test_a_model_that_never_traded_can_be_compared_but_has_no_bound() -> None:
    found = sharpe_difference(np.random.default_rng(5).normal(0.001, 0.01, 150), np.zeros(150))
    assert found.difference > 0
    assert (found.standard_error, found.lower_bound) == (math.inf, -math.inf)


def test_series_over_different_days_are_refused() -> None:
    with pytest.raises(ValueError, match="the series must cover the same days: 3 against 4"):
        sharpe_difference(np.zeros(3), np.zeros(4))
