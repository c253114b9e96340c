"""Regime, breakout, size, and the first reason against an entry."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime
from nightdesk_guard import GuardMemory, GuardState, GuardStatus, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.engine.state import new_state
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment, Strategy
from nightdesk_trendbot.settings import EntrySettings, RegimeSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles, Floats
from nightdesk_trendbot.signals.indicators import COLUMN, COLUMNS
from nightdesk_trendbot.signals.regime import Regime, allowed_side, classify
from nightdesk_trendbot.signals.signal import (
    FEATURES,
    Decision,
    Outcome,
    Permission,
    Signal,
    breakout_side,
    daily_volatility,
    decide,
    features,
    leverage_for,
    regime_side,
)
from pydantic import ValidationError


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
    assert classify(row(**values).reshape(1, -1), np.array([close]), RegimeSettings()) == [regime]


def regimes(settings: RegimeSettings | None = None, **columns: list[float]) -> list[Regime]:
    """Return the regimes of bars whose indicators are calm but for `columns`, which may hold `close`."""
    closes = columns.pop("close", [101.0] * len(next(iter(columns.values()), [0.0])))
    rows = [row(**{name: values[at] for name, values in columns.items()}) for at in range(len(closes))]
    return classify(np.stack(rows), np.array(closes), settings or RegimeSettings())


def test_a_trend_ends_at_a_lower_adx_than_it_began_at() -> None:
    up, ranging = Regime.TRENDING_UP, Regime.RANGING
    assert regimes(adx=[24, 26, 24, 21, 26, 20.1, 19.9, 24, 25.1]) == [
        ranging, up, up, up, up, up, ranging, ranging, up,
    ]  # fmt: skip


def test_a_trend_turns_round_only_where_the_close_is_well_beyond_the_average() -> None:
    up, down = Regime.TRENDING_UP, Regime.TRENDING_DOWN
    assert regimes(close=[101, 99.9, 99.76, 99.74, 100.2, 100.24, 100.26]) == [up, up, up, down, down, down, up]


def test_high_volatility_ends_at_a_lower_one_than_it_began_at() -> None:
    wild, up = Regime.HIGH_VOLATILITY, Regime.TRENDING_UP
    assert regimes(atr=[1.9, 2.1, 1.9, 1.61, 1.6, 1.9]) == [up, wild, wild, wild, up, up]


def test_a_regime_that_nothing_confirms_is_given_up_after_its_memory() -> None:
    short = RegimeSettings(memory_bars=3)
    up, ranging = Regime.TRENDING_UP, Regime.RANGING
    assert regimes(short, adx=[26, 22, 22, 22, 22]) == [up, up, up, ranging, ranging]
    assert regimes(short, adx=[26, 22, float("nan"), 22, 22]) == [up, up, Regime.UNKNOWN, ranging, ranging]


@given(
    adx=st.lists(st.floats(10, 40), min_size=60, max_size=60),
    cut=st.integers(1, 59),
    memory=st.integers(1, 20),
)
def test_a_regime_is_a_function_of_its_memory_and_of_nothing_else(adx: list[float], cut: int, memory: int) -> None:
    settings = RegimeSettings(memory_bars=memory)
    whole = regimes(settings, adx=adx)
    assert regimes(settings, adx=adx[:cut]) == whole[:cut]
    assert regimes(settings, adx=adx[cut:])[memory - 1 :] == whole[cut + memory - 1 :]


def test_hysteresis_changes_the_regime_less_often(candles: Candles, settings: TrendbotSettings) -> None:
    def changes(chosen: RegimeSettings) -> int:
        bot = settings.model_copy(update={"regime": chosen})
        found = [signal.regime for signal in Strategy(bot).signals(candles, None, first=1000)]
        return sum(before != after for before, after in itertools.pairwise(found))

    without = RegimeSettings(adx_release=25, ema_band=0, high_volatility_release=2.0)
    assert changes(RegimeSettings()) < 0.8 * changes(without)


def test_a_regime_that_would_end_above_where_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="adx_release must not lie above adx_threshold"):
        RegimeSettings(adx_release=26)


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
    assert allowed_side(regime, close=close, ema=100.0, settings=RegimeSettings()) == side
    assert allowed_side(regime, close=close, ema=100.0, settings=RegimeSettings(enabled=False)) == 0


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
    daily = daily_volatility(row(volatility=0.04 / np.sqrt(24)), bars_a_day=24)
    assert daily == pytest.approx(0.04)
    assert leverage_for(daily, Regime.TRENDING_UP, settings) == pytest.approx(0.25)
    assert leverage_for(daily, Regime.HIGH_VOLATILITY, settings) == pytest.approx(0.125)
    assert leverage_for(0.0, Regime.TRENDING_UP, settings) == 2.0
    assert daily_volatility(row(volatility=np.nan), bars_a_day=24) == 0.0


DAY = 86_400
WISH = Signal(Regime.TRENDING_UP, 1, 1, 0.6, 0.8, 0.035)
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
    for late in (Outcome.BLOCKED_DISK, Outcome.BLOCKED_CLOCK, Outcome.BLOCKED_GAP, Outcome.BLOCKED_STALE):
        permission = replace(permission, blocked=late)
        found.append(decide(signal, permission, in_position=False).outcome)
    permission = replace(permission, blocked=None)
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
        Outcome.BLOCKED_DISK,
        Outcome.BLOCKED_CLOCK,
        Outcome.BLOCKED_GAP,
        Outcome.BLOCKED_STALE,
        Outcome.BLOCKED_NO_MODEL,
        Outcome.BLOCKED_GUARD,
        Outcome.BLOCKED_MODEL,
        Outcome.ENTERED,
    ]
    # What the other positions leave room for is the engine's to say, after all of these.
    assert set(found) == set(Outcome) - {Outcome.BLOCKED_EXPOSURE}


def test_an_entry_has_its_side_and_the_size_that_is_left_of_it() -> None:
    permission = Permission(size_share=0.5, threshold=0.6)
    assert decide(WISH, permission, in_position=False) == Decision(Outcome.ENTERED, 1, 0.4)
    blocked = decide(replace(WISH, probability=0.59), permission, in_position=False)
    assert blocked == Decision(Outcome.BLOCKED_MODEL, 0, 0.0)


def test_known_failure_16_without_a_model_nothing_is_entered(settings: TrendbotSettings) -> None:
    permission = Strategy(settings).permission(None, None, new_state((), 1000.0), WISH)
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
    state = replace(new_state((), 1000.0), guard=GuardMemory(GuardState(status=status)))
    found = Strategy(settings).permission(Deployment(model, 0.25), guard, state, WISH, killed=True)
    assert found == Permission(True, True, status, share, model.threshold(quantile))
    without = Strategy(settings).permission(Deployment(model), None, state, WISH)
    assert without == Permission(True, False, GuardStatus.NORMAL, 1.0, model.threshold(0.6))


@pytest.mark.parametrize(
    ("trades", "days", "share"),
    [(0, 0, 0.25), (9, 29, 0.25), (10, 0, 0.5), (0, 30, 0.5), (24, 59, 0.5), (25, 1, 1.0), (1, 60, 1.0)],
)
def test_a_model_on_probation_earns_its_size_by_trades_or_days(
    trades: int, days: int, share: float, settings: TrendbotSettings, model: MetaModel
) -> None:
    guard = PerformanceGuard(GuardSettings(), break_even_win_rate=0.38)
    memory = GuardMemory(model_since=MarketTime(DAY), model_trades=trades)
    state = replace(new_state((), 1000.0), guard=memory, last_close=MarketTime((1 + days) * DAY))
    strategy, deployment = Strategy(settings), Deployment(model, on_probation=True)
    assert strategy.permission(deployment, guard, state, WISH).size_share == share
    assert strategy.permission(deployment, None, state, WISH).size_share == 1.0, "the gate's backtest is at full size"
    assert strategy.permission(Deployment(model), guard, state, WISH).size_share == 1.0


def with_entry(settings: TrendbotSettings, **entry: Any) -> Strategy:
    return Strategy(settings.model_copy(update={"entry": EntrySettings(**entry)}))


def test_a_threshold_that_is_a_probability_is_taken_as_it_is(settings: TrendbotSettings, model: MetaModel) -> None:
    assert with_entry(settings, threshold_mode="probability", threshold=0.41).threshold(model, 0.035) == 0.41


def test_at_break_even_the_threshold_is_what_the_trade_s_own_barriers_and_costs_ask_for(
    settings: TrendbotSettings, model: MetaModel
) -> None:
    chosen = settings.model_copy(update={"barriers": settings.barriers.model_copy(update={"mode": "volatility"})})
    strategy = with_entry(chosen, threshold_mode="break_even", break_even_margin=0.01)
    typical = (0.01 + 0.00125) / 0.03 + 0.01
    assert strategy.threshold(model, 0.035) == pytest.approx(typical)
    assert strategy.threshold(model, 0.0) == pytest.approx(typical)  # not known: typical
    # Twice as wide barriers, and twice the slippage: the fee weighs half as much.
    assert strategy.threshold(model, 0.07) == pytest.approx((0.02 + 2 * 0.00055 + 0.0003) / 0.06 + 0.01)


@pytest.mark.parametrize("mode", ["probability", "break_even"])
def test_whatever_the_mode_the_guard_shuts_out_a_tenth_more_of_the_probabilities(
    mode: str, settings: TrendbotSettings, model: MetaModel
) -> None:
    evenly = replace(model, out_of_fold=tuple(np.linspace(0.2, 0.6, 401)))
    strategy = with_entry(settings, threshold_mode=mode, threshold=0.40, break_even_margin=0.02)
    before = strategy.threshold(evenly, 0.035)
    raised = strategy.threshold(evenly, 0.035, increase=0.1)
    assert raised - before == pytest.approx(0.04, abs=0.002)
    unreachable = with_entry(settings, threshold_mode="probability", threshold=0.9)
    assert unreachable.threshold(evenly, 0.035, increase=0.1) == 0.9


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
