"""Regime, breakout, size, and the first reason against an entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nightdesk_guard import GuardState, GuardStatus, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.candles import Floats
from nightdesk_trendbot.indicators import COLUMN, COLUMNS
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.regime import Regime, allowed_side, classify
from nightdesk_trendbot.settings import RegimeSettings, TrendbotSettings
from nightdesk_trendbot.signals import (
    FEATURES,
    Decision,
    Outcome,
    Permission,
    Signal,
    breakout_side,
    decide,
    features,
    leverage_for,
    regime_side,
)
from nightdesk_trendbot.strategy import Deployment, Strategy


def row(**values: float) -> Floats:
    """Return one row of indicators: a calm trend upwards, unless said otherwise."""
    calm = {"ema": 100.0, "adx": 30.0, "atr": 1.0, "atr_average": 1.0, "prior_high": 105.0, "prior_low": 95.0}
    result = np.full(len(COLUMNS), 0.01)
    for name, value in {**calm, **values}.items():
        result[COLUMN[name]] = value
    return result


@pytest.mark.parametrize(
    ("values", "close", "regime"),
    [
        ({"adx": 25.1}, 101.0, Regime.TRENDING_UP),
        ({"adx": 25.1}, 99.0, Regime.TRENDING_DOWN),
        ({"adx": 25.0}, 101.0, Regime.RANGING),
        ({"adx": 60.0, "atr": 2.1}, 101.0, Regime.HIGH_VOLATILITY),
        ({"adx": 60.0, "atr": 2.0}, 101.0, Regime.TRENDING_UP),
        ({"adx": np.nan}, 101.0, Regime.UNKNOWN),
    ],
)
def test_the_regime(values: dict[str, float], close: float, regime: Regime) -> None:
    assert classify(row(**values), close, RegimeSettings()) is regime


@pytest.mark.parametrize(
    ("regime", "close", "side"),
    [
        (Regime.TRENDING_UP, 101.0, 1),
        (Regime.TRENDING_DOWN, 99.0, -1),
        (Regime.HIGH_VOLATILITY, 99.0, -1),
        (Regime.RANGING, 101.0, None),
        (Regime.UNKNOWN, 101.0, None),
    ],
)
def test_the_regime_allows_one_side_or_none(regime: Regime, close: float, side: int | None) -> None:
    assert allowed_side(regime, row(), close, RegimeSettings()) == side
    assert allowed_side(regime, row(), close, RegimeSettings(enabled=False)) == 0


def test_a_breakout_closes_beyond_the_bars_before() -> None:
    assert [breakout_side(row(), close) for close in (105.1, 105.0, 100.0, 95.0, 94.9)] == [1, 0, 0, 0, -1]
    assert breakout_side(np.full(len(COLUMNS), np.nan), 100.0) == 0


def test_a_breakout_against_the_regime_has_no_side(settings: TrendbotSettings) -> None:
    against = row(ema=120.0)
    assert regime_side(against, 106.0, Regime.TRENDING_DOWN, settings) == 0
    assert regime_side(row(), 106.0, Regime.TRENDING_UP, settings) == 1
    assert regime_side(row(), 106.0, Regime.RANGING, settings) == 0


def test_the_size_moves_equity_by_the_target_up_to_the_cap_and_half_of_it_in_a_storm(
    settings: TrendbotSettings,
) -> None:
    hourly = 0.04 / np.sqrt(24)
    assert leverage_for(row(volatility=hourly), Regime.TRENDING_UP, settings, bars_a_day=24) == pytest.approx(0.25)
    assert leverage_for(row(volatility=hourly), Regime.HIGH_VOLATILITY, settings, bars_a_day=24) == pytest.approx(0.125)
    assert leverage_for(row(volatility=0.0), Regime.TRENDING_UP, settings, bars_a_day=24) == 2.0


WISH = Signal(Regime.TRENDING_UP, 1, 1, 0.6, 0.8)
EVERYTHING_AGAINST = Permission(model_loaded=False, killed=True, guard=GuardStatus.PAUSED, threshold=0.9)


def test_the_first_reason_against_an_entry_is_the_one_reported() -> None:
    signal = replace(WISH, breakout=0, side=0)
    permission = EVERYTHING_AGAINST
    found = [decide(signal, permission, in_position=True).outcome]
    signal = replace(signal, breakout=1)
    found.append(decide(signal, permission, in_position=True).outcome)
    found.append(decide(signal, permission, in_position=False).outcome)
    signal = WISH
    found.append(decide(signal, permission, in_position=False).outcome)
    permission = replace(permission, killed=False)
    found.append(decide(signal, permission, in_position=False).outcome)
    permission = replace(permission, model_loaded=True)
    found.append(decide(signal, permission, in_position=False).outcome)
    permission = replace(permission, guard=GuardStatus.REDUCED)
    found.append(decide(signal, permission, in_position=False).outcome)
    permission = replace(permission, threshold=0.6)
    found.append(decide(signal, permission, in_position=False).outcome)
    assert found == [
        Outcome.NO_SIGNAL,
        Outcome.IN_POSITION,
        Outcome.BLOCKED_REGIME,
        Outcome.BLOCKED_KILL_SWITCH,
        Outcome.BLOCKED_NO_MODEL,
        Outcome.BLOCKED_GUARD,
        Outcome.BLOCKED_MODEL,
        Outcome.ENTERED,
    ]
    assert set(found) == set(Outcome)


def test_an_entry_has_its_side_and_the_size_that_is_left_of_it() -> None:
    permission = Permission(size_share=0.5, threshold=0.6)
    assert decide(WISH, permission, in_position=False) == Decision(Outcome.ENTERED, 1, 0.4)
    blocked = decide(replace(WISH, probability=0.59), permission, in_position=False)
    assert blocked == Decision(Outcome.BLOCKED_MODEL, 0, 0.0)


def test_known_failure_16_without_a_model_nothing_is_entered(settings: TrendbotSettings) -> None:
    permission = Strategy(settings).permission(None, None, GuardState())
    assert permission.model_loaded is False
    assert decide(WISH, permission, in_position=False).outcome is Outcome.BLOCKED_NO_MODEL
    unasked = replace(WISH, probability=None)
    assert decide(unasked, Permission(threshold=0.0), in_position=False).outcome is Outcome.BLOCKED_NO_MODEL


@pytest.mark.parametrize(
    ("status", "share", "quantile"),
    [(GuardStatus.NORMAL, 0.25, 0.6), (GuardStatus.REDUCED, 0.125, 0.7), (GuardStatus.PAUSED, 0.0, 0.6)],
)
def test_the_guard_and_the_standing_shrink_the_size_and_the_guard_raises_the_threshold(
    status: GuardStatus, share: float, quantile: float, settings: TrendbotSettings, model: MetaModel
) -> None:
    guard = PerformanceGuard(GuardSettings(), break_even_win_rate=0.38)
    state = GuardState(status=status)
    found = Strategy(settings).permission(Deployment(model, 0.25), guard, state, killed=True)
    assert found == Permission(True, True, status, share, model.threshold(quantile))
    without = Strategy(settings).permission(Deployment(model), None, state)
    assert without == Permission(True, False, GuardStatus.NORMAL, 1.0, model.threshold(0.6))


def test_features_point_the_way_of_the_trade() -> None:
    up = row(return_1=0.5, ema=100.0, directional_difference=0.4, range_position=1.2, prior_high=105.0)
    down = row(return_1=-0.5, ema=112.0, directional_difference=-0.4, range_position=-0.2, prior_low=107.0)
    found = features(np.stack([up, down]), np.array([106.0, 106.0]), np.array([6 * 3600, 6 * 3600]), np.array([1, -1]))
    assert found.shape == (2, len(FEATURES))
    for name in ("return_1", "distance_to_ema", "directional_difference", "breakout_distance", "range_position"):
        at = FEATURES.index(name)
        assert found[0, at] == pytest.approx(found[1, at]), name
    assert found[0, FEATURES.index("breakout_distance")] == pytest.approx(1.0)
    assert found[0, FEATURES.index("hour_sine")] == pytest.approx(1.0)
    assert found[0, FEATURES.index("hour_cosine")] == pytest.approx(0.0, abs=1e-12)
