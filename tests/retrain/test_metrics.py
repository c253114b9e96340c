"""The measures, against empyrical and skfolio and against arithmetic by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import empyrical
import numpy as np
import pytest
import skfolio.measures
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nightdesk_core.measures import sharpe_ratio
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade
from nightdesk_retrain.judgement.metrics import (
    Floats,
    correlation,
    exposure_ratio,
    judged_sharpe_ratio,
    measure,
    profit_factor,
    turnover_a_year,
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
    assert judged_sharpe_ratio(returns) == pytest.approx(
        empyrical.sharpe_ratio(returns, annualization=365), rel=1e-9, abs=1e-9
    )


@settings(deadline=None)
@given(returns=RETURNS.filter(lambda values: values.std() > 1e-4))
def test_the_gate_s_sharpe_ratio_is_core_s(returns: Floats) -> None:
    assert judged_sharpe_ratio(returns) == pytest.approx(sharpe_ratio(returns.tolist()), rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(returns=RETURNS.filter(lambda values: values.std() > 1e-4))
def test_the_sharpe_ratio_is_skfolio_s_with_365_days(returns: Floats) -> None:
    daily = skfolio.measures.mean(returns) / skfolio.measures.standard_deviation(returns)
    assert judged_sharpe_ratio(returns) == pytest.approx(daily * ROOT, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(profits=arrays(np.float64, st.integers(2, 60), elements=st.floats(-900, 900).map(lambda value: round(value, 2))))
def test_profit_factor_and_win_rate_are_empyrical_s(profits: Floats) -> None:
    """The profit factor of trades is the omega ratio of their profits around 0; the win rate, a batting average."""
    found = profit_factor(profits)
    assert (math.nan if found is None else found) == pytest.approx(
        empyrical.omega_ratio(profits, annualization=1), nan_ok=True
    )
    trades = tuple(replace(trade(number, won=True), profit=profit) for number, profit in enumerate(profits.tolist()))
    won = empyrical.batting_average(profits, np.zeros(len(profits)))["batting average"]
    measured = measure(replace(backtest(np.zeros(3), []), trades=trades))
    assert measured.win_ratio == pytest.approx(won)
    assert measured.trades == len(profits)


@settings(deadline=None)
@given(returns=RETURNS)
def test_the_total_return_is_empyrical_s(returns: Floats) -> None:
    found = measure(backtest(returns, [])).total_return_ratio
    assert found == pytest.approx(empyrical.cum_returns_final(returns), abs=1e-9)


@settings(deadline=None)
@given(first=RETURNS, second=RETURNS)
def test_the_correlation_is_skfolio_s(first: Floats, second: Floats) -> None:
    days = min(len(first), len(second))
    pair = np.stack([first[:days], second[:days]])
    found = correlation(*pair)
    if found is None:
        assert days < 3 or pair.std(axis=1).min() <= 1e-9 * abs(pair.mean(axis=1)).max()
    elif pair.std(axis=1).min() > 1e-6:
        assert found == pytest.approx(skfolio.measures.correlation(pair.T)[0, 1], abs=1e-9)


def held(entry: int, exit_: int, *, quantity: float = 1.0, entry_price: float = 100.0) -> ClosedTrade:
    """Return a trade that holds from one hour to another, and comes to 1% more."""
    return replace(
        trade(0, won=True),
        entry_time=entry * 3600,
        exit_time=exit_ * 3600,
        quantity=quantity,
        entry_price=entry_price,
        exit_price=entry_price * 1.01,
    )


def test_turnover_is_what_was_bought_and_sold_over_the_equity_in_a_year() -> None:
    once = held(0, 5, quantity=50.0)
    # Bought for 5,000 and sold for 5,050 out of 10,000.
    assert turnover_a_year([once], seconds=365 * 86_400) == pytest.approx(1.005)
    assert turnover_a_year([once, once], seconds=73 * 86_400) == pytest.approx(2 * 5 * 1.005)
    richer = replace(once, equity_before=20_000.0, side="short")
    assert turnover_a_year([once, richer], seconds=365 * 86_400) == pytest.approx(1.5 * 1.005)
    assert turnover_a_year([], seconds=86_400) == turnover_a_year([once], seconds=0) == 0.0


def test_exposure_is_the_share_of_the_time_with_a_position() -> None:
    day = 86_400.0
    assert exposure_ratio([], start=0, end=day) == 0.0
    assert exposure_ratio([held(0, 6), held(12, 18)], start=0, end=day) == 0.5
    assert exposure_ratio([held(3, 9), held(0, 6)], start=0, end=day) == 9 / 24
    assert exposure_ratio([held(0, 12), held(2, 4), held(11, 13)], start=0, end=day) == 13 / 24
    assert exposure_ratio([held(0, 24)], start=0, end=day) == 1.0
    assert exposure_ratio([held(0, 12)], start=6 * 3600, end=8 * 3600) == 1.0
    assert exposure_ratio([held(0, 12)], start=5.0, end=5.0) == 0.0


@given(spans=st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 20)), max_size=8))
def test_exposure_is_the_hours_that_some_trade_covers(spans: list[tuple[int, int]]) -> None:
    hours = np.zeros(48, dtype=bool)
    for entry, length in spans:
        hours[max(entry, 0) : max(entry + length, 0)] = True
    trades = [held(entry, entry + length) for entry, length in spans]
    assert exposure_ratio(trades, start=0.0, end=48 * 3600.0) == pytest.approx(hours.mean())


def test_the_profit_factor_is_gross_profit_over_gross_loss() -> None:
    assert profit_factor(np.array([30.0, -10.0, 20.0, -15.0, 0.0])) == 2.0
    assert profit_factor(np.array([5.0])) is None
    assert profit_factor(np.array([])) is None
    assert profit_factor(np.array([-5.0])) == 0.0


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.001] * 180, [-0.003] * 7])
def test_returns_without_spread_have_no_sharpe_ratio_and_are_judged_as_if_it_were_0(returns: list[float]) -> None:
    assert sharpe_ratio(returns) is None
    assert judged_sharpe_ratio(np.array(returns)) == 0.0


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
    # Three trades of half an hour each, of 201 in 10,000.
    assert found.exposure_ratio == pytest.approx(3 * 0.5 / 96)
    assert found.turnover_a_year == pytest.approx(3 * 0.0201 * 365 / 4)


def test_without_a_trade_nothing_is_made_up() -> None:
    found = measure(backtest(np.zeros(180), []))
    assert (found.sharpe_ratio, found.profit_factor, found.max_drawdown_ratio) == (0.0, None, 0.0)
    assert (found.trades, found.win_ratio, found.total_return_ratio) == (0, None, 0.0)
    assert (found.turnover_a_year, found.exposure_ratio) == (0.0, 0.0)
