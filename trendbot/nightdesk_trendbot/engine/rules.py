"""What a trade costs and where it ends, from the settings and the day's volatility."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.engine.broker import Barriers, Costs

if TYPE_CHECKING:
    from nightdesk_trendbot.settings import TrendbotSettings

_NARROWEST, _WIDEST = 0.2, 5.0
"""What scales with volatility stays between these multiples of its typical size."""


class Rules(NamedTuple):
    """Costs and barriers at the typical volatility, and which of them scale, as the compiled functions take them."""

    costs: Costs
    barriers: Barriers
    slippage_scales: bool
    barriers_scale: bool
    typical_volatility: float

    @classmethod
    def of(cls, settings: TrendbotSettings) -> Rules:
        """Return the rules that the settings name."""
        costs, barriers = settings.costs, settings.barriers
        return cls(
            Costs(costs.fee_ratio, costs.slippage_ratio),
            Barriers(barriers.target_ratio, barriers.stop_ratio, int(barriers.holding_hours * 3600)),
            costs.slippage_scaled,
            barriers.mode == "volatility",
            settings.typical_daily_volatility,
        )


@compiled()
def scale(rules: Rules, volatility: float) -> float:
    """Return a day's volatility as a multiple of the typical one, within bounds; 1 where it is not known (0, NaN)."""
    if not volatility > 0:
        return 1.0
    return float(min(max(volatility / rules.typical_volatility, _NARROWEST), _WIDEST))


@compiled()
def costs_at(rules: Rules, volatility: float) -> Costs:
    """Return what a fill costs at a day's volatility."""
    if not rules.slippage_scales:
        return rules.costs
    return Costs(rules.costs.fee_ratio, rules.costs.slippage_ratio * scale(rules, volatility))


@compiled()
def barriers_at(rules: Rules, volatility: float) -> Barriers:
    """Return where a trade that is decided at a day's volatility ends."""
    if not rules.barriers_scale:
        return rules.barriers
    factor = scale(rules, volatility)
    barriers = rules.barriers
    return Barriers(barriers.target_ratio * factor, barriers.stop_ratio * factor, barriers.holding_seconds)


def break_even_win_rate(rules: Rules, volatility: float = np.nan) -> float:
    """Return the share of winners at which trades that end at a barrier just pay the round trip.

    At a day's volatility; where none is given at the typical one. The barriers lie around the fill, so that slippage is
    paid once, at the exit: what it cost at the entry is in the fill.
    """
    costs, barriers = costs_at(rules, volatility), barriers_at(rules, volatility)
    round_trip = 2 * costs.fee_ratio + costs.slippage_ratio
    return (barriers.stop_ratio + round_trip) / (barriers.stop_ratio + barriers.target_ratio)
