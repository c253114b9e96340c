"""A model is promoted because it looked good: what its win rate is shrunk by keeps false alarms within the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from nightdesk_guard import resampling
from nightdesk_guard.calibration import calibrate, shrunk
from nightdesk_guard.limits import Promise, TradeResult, documented_limits
from nightdesk_guard.resampling import Holdout, World
from nightdesk_guard.settings import GuardSettings

from tests.guard.simulations import BREAK_EVEN, hold_out, promoted, table_of

TRADES_A_YEAR = 170
CELLS = 150


def run_length(promise: Promise, limit: float, win_rate: float) -> float:
    """Return the mean number of trades until the CUSUM on wins alarms, by Brook and Evans' Markov chain (1972)."""
    width = limit / CELLS
    at = np.arange(CELLS) * width + width / 2
    at[0] = 0.0
    chain = np.zeros((CELLS, CELLS))
    for won, probability in ((True, win_rate), (False, 1 - win_rate)):
        cell = np.floor(np.maximum(0.0, at + promise.win_step(TradeResult(won, 0.0))) / width).astype(int)
        stays = cell < CELLS
        chain[np.flatnonzero(stays), cell[stays]] += probability
    return float(np.linalg.solve(np.eye(CELLS) - chain, np.ones(CELLS))[0])


@cache
def limit_for(win_rate: float) -> float:
    """Return the limit at which a healthy model is alarmed once a year."""
    low, high = 0.1, 8.0
    while high - low > 0.01:
        middle = (low + high) / 2
        alarmed_too_often = run_length(Promise(win_rate, 0.0, 1.0), middle, win_rate) < TRADES_A_YEAR
        low, high = (middle, high) if alarmed_too_often else (low, middle)
    return high


def false_alarms_a_year(trades: int, *, estimate: Callable[[int, int], float]) -> float:
    """Return the mean rate for promoted models whose limits come from an estimate of their win rates."""
    wins, true = promoted(trades, count=4_000, source=np.random.default_rng(9))
    total = 0.0
    for found in np.unique(wins):
        rates = true[wins == found]
        believed = round(estimate(int(found), trades), 3)
        # A few quantiles stand for all the models that looked alike.
        points = np.quantile(rates, (0.1, 0.3, 0.5, 0.7, 0.9))
        limit = limit_for(believed)
        lengths = [run_length(Promise(believed, 0.0, 1.0), limit, rate) for rate in points]
        total += len(rates) * math.fsum(TRADES_A_YEAR / length for length in lengths) / len(lengths)
    return total / len(wins)


def bare(wins: int, trades: int) -> float:
    return wins / trades


def shrunk_to_break_even(wins: int, trades: int) -> float:
    return shrunk(wins, trades, break_even=BREAK_EVEN)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_shrinking_brings_the_false_alarms_of_promoted_models_below_the_budget(row: int) -> None:
    trades, stated_bare, stated_shrunk = table_of("How a hold-out flatters")[row][:3]
    rates = [false_alarms_a_year(int(trades), estimate=estimate) for estimate in (bare, shrunk_to_break_even)]
    assert rates == pytest.approx([stated_bare, stated_shrunk], abs=0.06)
    assert rates[0] > 1.3
    assert 0.75 < rates[1] < 1.0


def test_all_rules_together_pause_promoted_models_about_as_often_as_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_MOST_PATHS", 400)
    settings, loss_r = GuardSettings(), -1.9 * BREAK_EVEN / (1 - BREAK_EVEN)
    written = documented_limits(settings, break_even_win_rate=BREAK_EVEN)
    wins, true = promoted(73, count=20, source=np.random.default_rng(5))
    rates = []
    for seed, (found, rate) in enumerate(zip(wins.tolist(), true.tolist(), strict=True)):
        seen = hold_out(win_rate=found / 73, trades=73, days=180, seed=seed, loss_r=loss_r)
        limits = calibrate(seen, settings, documented=written).limits
        assert limits.promise is not None
        truth = Holdout.of(hold_out(win_rate=rate, trades=3_650, days=9_000, seed=99, loss_r=loss_r))
        paths = truth.resampled(3 * 365, world=World(), source=np.random.default_rng(seed))
        reached = paths.reached(limits.promise, window=settings.window_trades)
        rates.append(reached.alarms(limits.paused).a_year)
    # Promoted models differ, and so do their rates: the mean of twenty has a standard error of 0.15.
    assert np.mean(rates) == pytest.approx(settings.false_pauses_a_year, abs=0.35)


def test_the_win_rate_is_only_ever_shrunk_downwards() -> None:
    assert shrunk(30, 60, break_even=0.38) == pytest.approx((30 + 57) / 210)
    assert shrunk(15, 60, break_even=0.38) == 0.25
    assert shrunk(50_000, 100_000, break_even=0.38) == pytest.approx(0.5, abs=0.001)
