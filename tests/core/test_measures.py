"""The measures that every room shares, against empyrical, skfolio and numpy."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
import skfolio.measures
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.measures import max_drawdown_ratio, sharpe_of_moments, sharpe_ratio

RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda value: round(value, 6)), min_size=2, max_size=60)


@settings(deadline=None)
@given(returns=RETURNS.filter(lambda values: float(np.std(values)) > 1e-4))
def test_the_sharpe_ratio_is_empyrical_s_and_skfolio_s_with_365_days(returns: list[float]) -> None:
    array = np.array(returns)
    found = sharpe_ratio(returns)
    assert found == pytest.approx(empyrical.sharpe_ratio(array, annualization=365), rel=1e-9, abs=1e-9)
    daily = skfolio.measures.mean(array) / skfolio.measures.standard_deviation(array)
    assert found == pytest.approx(daily * math.sqrt(365), rel=1e-9, abs=1e-9)
    assert found == pytest.approx(sharpe_of_moments(float(array.mean()), float(array.std(ddof=1))), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01, 0.01], [0.0, 0.0], [0.1 + 0.2, 0.3], [-0.003] * 7])
def test_returns_that_do_not_differ_have_no_sharpe_ratio(returns: list[float]) -> None:
    assert sharpe_ratio(returns) is None


@settings(deadline=None)
@given(returns=RETURNS)
def test_the_drawdown_is_empyrical_s_and_skfolio_s(returns: list[float]) -> None:
    array = np.array(returns)
    assert max_drawdown_ratio(returns) == pytest.approx(-empyrical.max_drawdown(array), abs=1e-9)
    # skfolio's begins after the first day's return.
    drawdowns = skfolio.measures.get_drawdowns(np.concatenate([[0.0], array]), compounded=True)
    assert max_drawdown_ratio(returns) == pytest.approx(skfolio.measures.max_drawdown(drawdowns), abs=1e-9)


@given(returns=st.lists(st.floats(-0.9, 3.0), max_size=60))
def test_the_drawdown_is_numpy_s_to_the_last_bit(returns: list[float]) -> None:
    """Verdicts that were recorded when numpy measured it are replayed to the last digit."""
    equity = np.concatenate([[1.0], np.cumprod(1 + np.array(returns))])
    assert max_drawdown_ratio(returns) == float((1 - equity / np.maximum.accumulate(equity)).max())


def test_a_fall_from_the_start_counts_and_what_never_falls_has_no_drawdown() -> None:
    assert max_drawdown_ratio([-0.1, 0.5]) == pytest.approx(0.1)
    assert max_drawdown_ratio([0.1, 0.0, 0.2]) == 0.0
    assert max_drawdown_ratio([0.5, -0.2, 0.1, -0.25, 3.0]) == pytest.approx(1 - 0.8 * 1.1 * 0.75)
    assert max_drawdown_ratio([]) == 0.0
