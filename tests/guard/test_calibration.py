"""Calibrated limits: the joint rate of false alarms, and how soon a decay is caught, by a guard that trades along."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from statistics import median

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_guard import GuardLimits, GuardState, GuardStatus, Observation, PerformanceGuard, TradeResult
from nightdesk_guard.calibration import MIN_TRADES, calibrate
from nightdesk_guard.limits import documented_limits
from nightdesk_guard.profile import Delay, GuardProfile, Measured
from nightdesk_guard.settings import GuardSettings, KillSwitchSettings

from tests.guard.simulations import BREAK_EVEN, DAY, hold_out, table_of

SETTINGS = GuardSettings()
WRITTEN = documented_limits(SETTINGS, break_even_win_rate=BREAK_EVEN)
WON, LOST = TradeResult(won=True, r=1.9), TradeResult(won=False, r=-1.1)
RISK = 0.005

Day = tuple[TradeResult, ...]
"""The trades that close in a day; each moves the equity by half a percent for each R."""


@cache
def profile(win_rate: float, trades: int, days: int) -> GuardProfile:
    return calibrate(hold_out(win_rate=win_rate, trades=trades, days=days, seed=1), SETTINGS, documented=WRITTEN)


def traded(win_rate: float, a_day: float, source: random.Random) -> Iterator[Day]:
    """Yield day after day of a strategy that wins so often, with at most one trade in each hour."""
    while True:
        count = sum(source.random() < a_day / 24 for _ in range(24))
        yield tuple(WON if source.random() < win_rate else LOST for _ in range(count))


def until(reached: Callable[[GuardStatus], bool], days: Iterator[Day], limits: GuardLimits) -> tuple[int, int]:
    """Return after how many days and trades a guard, afresh, stands where it is asked for."""
    guard = PerformanceGuard(SETTINGS, break_even_win_rate=BREAK_EVEN)
    equity, closed_trades = 1.0, 0
    state = GuardState(peak_equity=equity, equity=equity)
    for day, closed in enumerate(days, start=1):
        for result in closed:
            equity *= 1 + RISK * result.r
        closed_trades += len(closed)
        state, _ = guard.advance(state, Observation(MarketTime(day * DAY), equity, closed, calibrated=limits))
        if reached(state.status):
            return day, closed_trades
    raise AssertionError("the days never end")


def is_paused(status: GuardStatus) -> bool:
    return status is GuardStatus.PAUSED


def is_reduced(status: GuardStatus) -> bool:
    return status is not GuardStatus.NORMAL


@pytest.mark.parametrize(
    ("reached", "budget", "runs"),
    [(is_paused, SETTINGS.false_pauses_a_year, 250), (is_reduced, SETTINGS.false_reductions_a_year, 500)],
)
def test_all_rules_together_alarm_a_healthy_bot_as_often_as_agreed(
    reached: Callable[[GuardStatus], bool], budget: float, runs: int
) -> None:
    found = profile(0.45, 73, 180)
    promise = found.limits.promise
    assert promise is not None
    days = traded(promise.win_rate, 73 / 180, random.Random(7))
    total = sum(until(reached, days, found.limits)[0] for _ in range(runs))
    rate = runs / (total / 365)
    # The hold-out's own trades cluster a little otherwise than these; its blocks are what the limits come from.
    assert rate == pytest.approx(budget, rel=0.25)


def test_the_guard_itself_catches_a_win_rate_down_by_a_third_when_the_profile_says() -> None:
    found = profile(0.40, 170, 365)
    assert found.measured is not None
    assert found.limits.promise is not None
    stated = found.measured["calibrated"].fewer_wins
    worse = traded(found.limits.promise.win_rate * 2 / 3, 170 / 365, random.Random(3))
    trades = [until(is_paused, worse, found.limits)[1] for _ in range(300)]
    assert stated.paused is not None
    assert median(trades) == pytest.approx(stated.paused, abs=6)
    assert stated.paused <= 60


HOLD_OUTS = [(0.40, 170, 365), (0.45, 73, 180), (0.50, 55, 180)]


@pytest.mark.parametrize("row", range(3))
def test_the_documentation_states_what_the_limits_are_worth(row: int) -> None:
    win_rate, trades, days, *stated = table_of("Calibrated limits")[row]
    assert (win_rate, trades, days) == HOLD_OUTS[row]
    measured = profile(win_rate, int(trades), int(days)).measured
    assert measured is not None
    found = [number for source in ("documented", "calibrated") for number in numbers_of(measured[source])]
    assert [round(number, 2) for number in found] == pytest.approx(stated, abs=0.051)


def numbers_of(measured: Measured) -> tuple[float, float, float, float]:
    """Return false pauses and reductions in a year, and the trades until PAUSED with fewer wins and with no edge."""
    return (
        measured.false_pauses_a_year,
        measured.false_reductions_a_year,
        shown(measured.fewer_wins),
        shown(measured.no_expectancy),
    )


def shown(delay: Delay | None) -> int:
    assert delay is not None
    return delay.simulated if delay.paused is None else delay.paused


def test_paused_lies_beyond_reduced_in_every_rule_even_where_their_budgets_are_all_but_one() -> None:
    close = SETTINGS.model_copy(update={"false_pauses_a_year": 2.9})
    near = calibrate(hold_out(win_rate=0.45, trades=73, days=180, seed=1), close, documented=WRITTEN)
    for found in (near, *(profile(*shape) for shape in HOLD_OUTS)):
        reduced, paused = found.limits.reduced, found.limits.paused
        assert found.limits.source == "calibrated"
        assert reduced.win_rate is not None
        assert paused.win_rate is None or paused.win_rate < reduced.win_rate
        for rule in ("losing_streak", "drawdown", "win_cusum", "return_cusum"):
            assert getattr(paused, rule) > getattr(reduced, rule)


def test_a_tighter_budget_loosens_every_limit_and_keeps_its_rate() -> None:
    rare = SETTINGS.model_copy(update={"false_pauses_a_year": 0.3})
    found = calibrate(hold_out(win_rate=0.45, trades=73, days=180, seed=1), rare, documented=WRITTEN)
    usual = profile(0.45, 73, 180)
    for rule in ("losing_streak", "drawdown", "win_cusum", "return_cusum"):
        assert getattr(found.limits.paused, rule) > getattr(usual.limits.paused, rule)
    assert found.measured is not None
    assert found.measured["calibrated"].false_pauses_a_year == pytest.approx(0.3, rel=0.15)


def test_the_same_hold_out_calls_for_the_same_limits() -> None:
    again = calibrate(hold_out(win_rate=0.45, trades=73, days=180, seed=1), SETTINGS, documented=WRITTEN)
    assert again == profile(0.45, 73, 180)


def test_no_drawdown_limit_lies_above_the_kill_switch_s_floor_and_the_profile_says_so() -> None:
    wild = hold_out(win_rate=0.45, trades=73, days=180, seed=1, win_r=19.0, loss_r=-11.0)
    near = SETTINGS.model_copy(update={"kill_switch": KillSwitchSettings(floor_drawdown_ratio=0.04)})
    for settings, reduced, paused in ((SETTINGS, 0.15, 0.20), (near, 0.03, 0.04)):
        found = calibrate(wild, settings, documented=WRITTEN)
        assert (found.limits.reduced.drawdown, found.limits.paused.drawdown) == (reduced, paused)
        held = f"the drawdown limits are held at {reduced:.0%} and {paused:.0%}"
        assert found.note == f"{held}: the kill switch trips at {paused:.0%}"


@pytest.mark.parametrize(
    ("win_rate", "trades", "note"),
    [
        (0.45, MIN_TRADES - 1, "documented limits: the hold-out holds 49 trades, calibrated ones need 50"),
        (0.45, 0, "documented limits: the hold-out holds 0 trades, calibrated ones need 50"),
        (1.0, 60, "documented limits: all 60 trades of the hold-out were won, calibrated ones need both kinds"),
        (0.0, 60, "documented limits: all 60 trades of the hold-out were lost, calibrated ones need both kinds"),
    ],
)
def test_too_little_to_calibrate_on_leaves_the_documented_limits_and_says_why(
    win_rate: float, trades: int, note: str
) -> None:
    found = calibrate(hold_out(win_rate=win_rate, trades=trades, days=180, seed=1), SETTINGS, documented=WRITTEN)
    assert (found.limits, found.note, found.measured) == (WRITTEN, note, None)
    assert (found.expected is None) == (trades == 0)


def test_a_model_that_promises_nothing_has_no_expectancy_to_lose() -> None:
    found = calibrate(hold_out(win_rate=0.30, trades=73, days=180, seed=1), SETTINGS, documented=WRITTEN)
    assert found.measured is not None
    assert found.limits.promise is not None
    assert found.limits.promise.win_rate == pytest.approx(22 / 73)
    assert found.measured["calibrated"].no_expectancy is None


def test_progress_goes_from_nothing_to_all() -> None:
    shares: list[float] = []
    calibrate(
        hold_out(win_rate=0.45, trades=60, days=120, seed=1),
        SETTINGS,
        documented=WRITTEN,
        progress=lambda stage, share: shares.append(share),
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
