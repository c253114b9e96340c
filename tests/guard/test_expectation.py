"""The e-process and the promise: formulas against oracles, and the rates that the documentation states."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.measures import max_drawdown_ratio
from nightdesk_core.models.pipeline import Backtest
from nightdesk_guard.evidence import ALARM, ALTERNATIVES, log_e_value
from nightdesk_guard.expectation import Expected, lower_bound, median_drawdown
from scipy.stats import beta, binom

from tests.guard.simulations import (
    DAY,
    Floats,
    Ints,
    hold_out,
    promoted,
    table_of,
    trade,
    trades_to_breach,
    wins_in_hold_outs,
)

MODELS = 2_000
PROMISED = 0.45


@given(trades=st.integers(1, 400), share=st.floats(0, 1))
def test_the_lower_bound_is_clopper_and_pearson_s(trades: int, share: float) -> None:
    wins = round(share * trades)
    oracle = beta.ppf(0.10, wins, trades - wins + 1) if wins else 0.0
    assert lower_bound(wins, trades) == pytest.approx(oracle, abs=1e-9)


@given(bound=st.floats(0.05, 0.9), outcomes=st.lists(st.booleans(), max_size=200))
def test_the_e_value_is_the_mean_of_the_likelihood_ratios_of_the_trades_in_turn(
    bound: float, outcomes: list[bool]
) -> None:
    ratios = [
        math.prod(share if won else (1 - share * bound) / (1 - bound) for won in outcomes) for share in ALTERNATIVES
    ]
    assert log_e_value(sum(outcomes), len(outcomes), bound=bound) == pytest.approx(
        math.log(sum(ratios) / len(ratios)), abs=1e-8
    )


@given(bound=st.floats(0.05, 0.9), better=st.floats(0, 1), trades=st.integers(1, 120))
def test_a_model_at_the_bound_or_above_expects_an_e_value_of_one_at_most(
    bound: float, better: float, trades: int
) -> None:
    def expected(rate: float) -> float:
        values = [math.exp(log_e_value(wins, trades, bound=bound)) for wins in range(trades + 1)]
        return math.fsum(binom.pmf(range(trades + 1), trades, rate) * np.array(values))

    assert expected(bound) == pytest.approx(1.0, rel=1e-6)
    assert expected(bound + better * (1 - bound)) <= 1.0 + 1e-6


def test_a_hold_out_without_a_win_promises_nothing_that_could_be_breached() -> None:
    assert lower_bound(0, 60) == 0.0
    assert log_e_value(0, 500, bound=0.0) == 0.0


def test_a_model_just_at_its_bound_is_ever_alarmed_in_five_percent_at_most() -> None:
    rates = np.full(4_000, 0.36)
    alarmed = np.isfinite(trades_to_breach(rates, rates, source=np.random.default_rng(2))).mean()
    assert 0.02 < alarmed <= 1 / ALARM


def bounds(wins: Ints, trades: int) -> Floats:
    by_wins = {int(found): lower_bound(int(found), trades) for found in np.unique(wins)}
    return np.array([by_wins[found] for found in wins.tolist()])


def false_alarms(wins: Ints, true: Floats, trades: int, *, source: np.random.Generator) -> tuple[float, float]:
    """Return the share of models alarmed within 1,000 trades, against the bound and against the bare win rate."""
    bare = np.clip(wins / trades, 0.01, 0.99)
    against = (bounds(wins, trades), bare)
    shares = [float(np.isfinite(trades_to_breach(each, true, source=source)).mean()) for each in against]
    return shares[0], shares[1]


@pytest.mark.parametrize("row", range(5))
def test_false_alarms_and_delays_are_as_the_documentation_states(row: int) -> None:
    stated = table_of("Live against expected")[row]
    trades, source = int(stated[0]), np.random.default_rng(11)
    alike = wins_in_hold_outs(trades, win_rate=PROMISED, count=MODELS, source=source)
    chosen = promoted(trades, count=MODELS, source=source)
    shares = [*false_alarms(*alike, trades, source=source), *false_alarms(*chosen, trades, source=source)]
    assert shares == pytest.approx(stated[1:5], abs=0.01)
    assert shares[0] < 0.05
    assert shares[0] < shares[2] < min(shares[1], shares[3])
    bound = np.full(MODELS, lower_bound(round(PROMISED * trades), trades))
    for fewer, delay in ((2 / 3, stated[5]), (1 / 2, stated[6])):
        found = trades_to_breach(bound, np.full(MODELS, PROMISED * fewer), source=source)
        assert np.median(found) == pytest.approx(delay, rel=0.05)


def test_an_alarm_at_a_single_alternative_takes_117_trades_for_40_percent_instead_of_50(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.guard.simulations.ALTERNATIVES", (0.8,))
    found = trades_to_breach(np.full(4_000, 0.5), np.full(4_000, 0.4), source=np.random.default_rng(4))
    assert np.median(found) == pytest.approx(117, rel=0.08)


def test_the_promise_of_a_hold_out() -> None:
    closed = tuple(trade(number, r=r, risk=risk) for number, (r, risk) in enumerate([(2, 50), (-1, 50), (-1, None)]))
    returns = (0.01, -0.005, -0.01, 0.02, 0.0, 0.0, 0.01, 0.0)
    expected = Expected.of(Backtest(0.0, 8.0 * DAY, tuple(DAY * day for day in range(1, 9)), returns, closed))
    assert expected is not None
    assert (expected.trades, expected.days, expected.wins) == (3, 8, 1)
    assert expected.win_rate_bound == pytest.approx(1 - 0.9 ** (1 / 3))
    assert expected.mean_r == pytest.approx(0.0)
    assert (expected.mean_fees_r, expected.mean_slippage_r) == pytest.approx((0.05, 0.02))
    assert expected.trades_a_day == 3 / 8
    assert expected.sharpe_ratio == pytest.approx(np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(365))
    assert set(expected.drawdowns) == {7}
    assert expected.drawdowns[7] == pytest.approx(1 - 0.995 * 0.99)


def test_a_hold_out_without_a_trade_promises_nothing() -> None:
    assert Expected.of(Backtest(0.0, 1.0 * DAY, (DAY,), (0.0,), ())) is None


def test_the_horizons_end_with_the_hold_out() -> None:
    expected = Expected.of(hold_out(win_rate=0.45, trades=60, days=100, seed=1))
    assert expected is not None
    assert list(expected.drawdowns) == [7, 14, 30, 60, 90]
    assert list(expected.drawdowns.values()) == sorted(expected.drawdowns.values())


@given(returns=st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=60), days=st.integers(1, 60))
def test_the_median_drawdown_is_numpy_s_over_all_windows(returns: list[float], days: int) -> None:
    days = min(days, len(returns))
    windows = np.lib.stride_tricks.sliding_window_view(np.array(returns), days)
    equity = np.concatenate([np.ones((len(windows), 1)), np.cumprod(1 + windows, axis=1)], axis=1)
    deepest = (1 - equity / np.maximum.accumulate(equity, axis=1)).max(axis=1)
    assert median_drawdown(returns, days) == pytest.approx(np.median(deepest))
    assert max_drawdown_ratio(returns[:days]) == pytest.approx(deepest[0])
