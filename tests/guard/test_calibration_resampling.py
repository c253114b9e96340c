"""Resampled hold-outs: what the vectorised measures reach is what a guard's plain sums reach, step by step."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.measures import max_drawdown_ratio
from nightdesk_core.models.pipeline import Backtest
from nightdesk_guard.limits import Promise, TierLimits, TradeResult
from nightdesk_guard.resampling import BLOCK_DAYS, Holdout, Paths, World, losses_allowed

from tests.guard.simulations import DAY, hold_out, trade

WINDOW = 6
PROMISE = Promise(win_rate=0.42, mean_r=0.1, deviation_r=1.4)
LIMITS = TierLimits(win_rate=0.2, losing_streak=5, drawdown=0.04, win_cusum=1.2, return_cusum=2.5)
NONE = TierLimits()


def resampled(seed: int, *, world: World = World(), days: int = 120) -> Paths:  # noqa: B008 - frozen
    held = Holdout.of(hold_out(win_rate=0.42, trades=60, days=90, seed=seed))
    paths = held.resampled(days, world=world, source=np.random.default_rng(seed))
    return Paths(paths.r[:20], paths.day[:20], paths.trades[:20], paths.daily_returns[:20])


def first_alarm(paths: Paths, row: int, limits: TierLimits) -> tuple[int, int]:
    """Return day and number of trades at the first alarm of one path, by sums that are carried along."""
    wins: list[bool] = []
    streak, win_cusum, return_cusum = 0, 0.0, 0.0
    equity = peak = 1.0
    days = paths.daily_returns.shape[1]
    for day in range(days):
        for r in paths.r[row][paths.day[row] == day]:
            result = TradeResult(won=r > 0, r=float(r))
            wins.append(result.won)
            streak = 0 if result.won else streak + 1
            win_cusum = max(0.0, win_cusum + PROMISE.win_step(result))
            return_cusum = max(0.0, return_cusum + PROMISE.return_step(result))
            full = len(wins) >= WINDOW
            reached = (
                full and limits.win_rate is not None and sum(wins[-WINDOW:]) / WINDOW < limits.win_rate,
                limits.losing_streak is not None and streak >= limits.losing_streak,
                limits.win_cusum is not None and win_cusum >= limits.win_cusum,
                limits.return_cusum is not None and return_cusum >= limits.return_cusum,
            )
            if any(reached):
                return day, len(wins)
        equity *= 1 + float(paths.daily_returns[row][day])
        peak = max(peak, equity)
        if limits.drawdown is not None and 1 - equity / peak >= limits.drawdown:
            return day, len(wins)
    return days, len(wins)


def alone() -> Iterator[TierLimits]:
    yield LIMITS
    yield TierLimits(win_rate=LIMITS.win_rate)
    yield TierLimits(losing_streak=LIMITS.losing_streak)
    yield TierLimits(drawdown=LIMITS.drawdown)
    yield TierLimits(win_cusum=LIMITS.win_cusum)
    yield TierLimits(return_cusum=LIMITS.return_cusum)
    yield NONE


@pytest.mark.parametrize("limits", list(alone()))
def test_the_first_alarm_is_where_sums_that_are_carried_along_have_it(limits: TierLimits) -> None:
    alarmed = 0
    for seed in range(4):
        paths = resampled(seed, world=World(lost_wins=0.2, shift_r=-0.05))
        found = paths.reached(PROMISE, window=WINDOW).alarms(limits)
        for row in range(len(paths.trades)):
            day, trades = first_alarm(paths, row, limits)
            assert (found.day[row], found.trades[row]) == (day, trades)
            alarmed += day < paths.daily_returns.shape[1]
    assert (alarmed > 10) == (limits != NONE)


def test_the_drawdown_that_a_path_reaches_is_core_s_measure_to_the_last_bit() -> None:
    paths = resampled(4)
    reached = paths.reached(PROMISE, window=WINDOW).by_rule["drawdown"][:, -1]
    assert reached.tolist() == [max_drawdown_ratio(returns) for returns in paths.daily_returns.tolist()]


def test_the_rate_is_alarms_over_the_time_up_to_them() -> None:
    paths = resampled(1, world=World(lost_wins=0.3))
    found = paths.reached(PROMISE, window=WINDOW).alarms(LIMITS)
    alarms = [first_alarm(paths, row, LIMITS) for row in range(20)]
    raised = [day for day, _ in alarms if day < 120]
    years = sum(min(day + 1, 120) for day, _ in alarms) / 365
    assert found.a_year == pytest.approx(len(raised) / years)
    assert found.standard_error == pytest.approx(math.sqrt(len(raised)) / years)
    silent = paths.reached(PROMISE, window=WINDOW).alarms(NONE)
    assert (silent.a_year, silent.median_trades) == (0.0, None)
    assert silent.standard_error == pytest.approx(1 / (20 * 120 / 365))


def test_a_path_is_made_of_the_hold_out_s_own_days_in_blocks_that_wrap_around_its_end() -> None:
    days = 23
    closed = tuple(trade(day, at=(day + 1) * DAY, r=day + 1.0) for day in range(0, days, 2))
    ends = tuple((day + 1) * DAY for day in range(days))
    held = Holdout.of(Backtest(0.0, 23.0 * DAY, ends, tuple((day + 1) / 1000 for day in range(days)), closed))
    paths = held.resampled(37, world=World(), source=np.random.default_rng(5))
    from_day = np.round(paths.daily_returns * 1000).astype(int) - 1
    assert set(from_day.ravel()) == set(range(days))
    for row in range(100):
        for place in range(1, 37):
            if place % BLOCK_DAYS:
                assert from_day[row, place] == (from_day[row, place - 1] + 1) % days
        expected = [day + 1.0 for day in from_day[row] if day % 2 == 0]
        assert paths.r[row][: paths.trades[row]].tolist() == expected
        assert [from_day[row, day] + 1.0 for day in paths.day[row][: paths.trades[row]]] == expected


@settings(max_examples=25)
@given(share=st.floats(0, 1), shift=st.floats(-0.5, 0.5), seed=st.integers(0, 50))
def test_in_another_world_trades_and_daily_returns_change_together(share: float, shift: float, seed: int) -> None:
    paths = resampled(seed, world=World(lost_wins=share, shift_r=shift), days=40)
    for row in range(20):
        for day in range(40):
            closed = paths.r[row][paths.day[row] == day]
            assert paths.daily_returns[row][day] == pytest.approx(sum(closed) * 0.005, abs=1e-9)


def test_a_world_in_which_a_third_of_the_wins_is_lost_wins_a_third_less() -> None:
    held = Holdout.of(hold_out(win_rate=0.42, trades=100, days=150, seed=2))
    paths = held.resampled(365, world=World(lost_wins=1 / 3), source=np.random.default_rng(2))
    won = (paths.r > 0).sum() / paths.trades.sum()
    assert won == pytest.approx(0.28, abs=0.003)


def test_a_trade_belongs_to_the_day_that_ends_at_its_exit_or_later() -> None:
    exits = [DAY, DAY + 1, 2 * DAY, 9 * DAY]
    source = random.Random(1)
    closed = [trade(number, at=at, r=number + 1.0) for number, at in enumerate(exits)]
    source.shuffle(closed)
    held = Holdout.of(Backtest(0.0, 3.0 * DAY, (DAY, 2 * DAY, 3 * DAY), (0.01, 0.02, 0.03), tuple(closed)))
    assert held.r.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert held.first.tolist() == [0, 1, 3, 4]


@given(limit=st.floats(0, 1), window=st.integers(5, 40))
def test_losses_stand_for_a_win_rate_below_its_limit(limit: float, window: int) -> None:
    fewest = losses_allowed(limit, window)
    for lost in range(window + 1):
        assert (lost >= fewest) == ((window - lost) / window < limit)
