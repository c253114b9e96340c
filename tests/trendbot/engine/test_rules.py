"""What scales with volatility, how far, and the win rate that just pays the costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Barriers, Costs, Order
from nightdesk_trendbot.engine.rules import Rules, barriers_at, break_even_win_rate, costs_at
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings

TYPICAL = 0.04
RULES = Rules(Costs(0.001, 0.0005), Barriers(0.02, 0.01, 7200), True, True, TYPICAL)
FIXED = RULES._replace(slippage_scales=False, barriers_scale=False)


def test_the_settings_are_the_rules_at_the_typical_volatility() -> None:
    chosen = TrendbotSettings(
        costs=CostSettings(fee_ratio=0.001, slippage_ratio=0.0005),
        barriers=BarrierSettings(mode="volatility", target_ratio=0.02, stop_ratio=0.01, holding_hours=2),
        typical_daily_volatility=TYPICAL,
    )
    assert Rules.of(chosen) == RULES
    fixed = chosen.model_copy(
        update={
            "costs": CostSettings(fee_ratio=0.001, slippage_ratio=0.0005, slippage_scaled=False),
            "barriers": chosen.barriers.model_copy(update={"mode": "fixed"}),
        }
    )
    assert Rules.of(fixed) == FIXED


@pytest.mark.parametrize(
    ("volatility", "factor"),
    [
        (TYPICAL, 1.0),
        (0.02, 0.5),
        (0.08, 2.0),
        (0.008, 0.2),
        (0.0001, 0.2),
        (0.2, 5.0),
        (9.0, 5.0),
        (np.inf, 5.0),
        (0.0, 1.0),
        (np.nan, 1.0),
        (-1.0, 1.0),
    ],
)
def test_slippage_and_barriers_scale_with_volatility_within_bounds_and_fee_and_time_do_not(
    volatility: float, factor: float
) -> None:
    costs, barriers = costs_at(RULES, volatility), barriers_at(RULES, volatility)
    assert (costs.fee_ratio, barriers.holding_seconds) == (0.001, 7200)
    assert costs.slippage_ratio == pytest.approx(0.0005 * factor)
    assert (barriers.target_ratio, barriers.stop_ratio) == pytest.approx((0.02 * factor, 0.01 * factor))
    assert costs_at(FIXED, volatility) == FIXED.costs
    assert barriers_at(FIXED, volatility) == FIXED.barriers


def test_slippage_and_barriers_scale_apart() -> None:
    slipping, moving = FIXED._replace(slippage_scales=True), FIXED._replace(barriers_scale=True)
    assert (costs_at(slipping, 0.08), barriers_at(slipping, 0.08)) == (costs_at(RULES, 0.08), FIXED.barriers)
    assert (costs_at(moving, 0.08), barriers_at(moving, 0.08)) == (FIXED.costs, barriers_at(RULES, 0.08))


def test_the_break_even_win_rate_by_hand() -> None:
    # A round trip costs 2 x 0.1% + 0.05%: a loser loses 1.25%, a winner wins 1.75%.
    assert break_even_win_rate(RULES) == pytest.approx(1.25 / 3.0)
    # At twice the volatility: 2 x 0.1% + 0.1%, a loser loses 2.3%, a winner wins 3.7%.
    assert break_even_win_rate(RULES, 0.08) == pytest.approx(2.3 / 6.0)
    assert break_even_win_rate(FIXED, 0.08) == break_even_win_rate(FIXED)


@given(volatility=st.floats(0.001, 0.5), side=st.sampled_from([-1, 1]))
def test_at_the_break_even_win_rate_winners_pay_for_losers_by_the_broker_s_own_fills(
    volatility: float, side: int
) -> None:
    costs, barriers = costs_at(RULES, volatility), barriers_at(RULES, volatility)

    def profit(reason: int) -> float:
        waiting = broker.place(broker.flat(0.0), Order(side, 1.0, 1.0, barriers))
        held = broker.at_open(waiting, 0, 100.0, costs)
        price = held.target_price if reason == broker.TARGET else held.stop_price
        return float(broker.settle(held, broker.Closing(reason, price), costs).profit)

    share = break_even_win_rate(RULES, volatility)
    left_over = share * profit(broker.TARGET) + (1 - share) * profit(broker.STOP)
    # What a fill's own price adds to its costs is of the second order.
    second_order = (costs.fee_ratio + costs.slippage_ratio) * barriers.target_ratio
    assert left_over == pytest.approx(0.0, abs=second_order)
