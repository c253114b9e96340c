"""The measures, against empyrical and against arithmetic by hand."""

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
