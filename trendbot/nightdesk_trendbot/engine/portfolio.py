"""What all positions together may come to: how much of an entry the others leave room for.

The same compiled functions serve the live engine and the backtest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.signals.candles import Floats, Ints

if TYPE_CHECKING:
    from nightdesk_trendbot.settings import PortfolioSettings

_FEWEST_RETURNS = 20
"""Of fewer common returns no correlation is reckoned: then two symbols count as one."""


class Caps(NamedTuple):
    """The settings as the compiled functions take them."""

    leverage: float
    correlated_volatility: float
    correlation: float
    correlation_seconds: int
    smallest_share: float

    @classmethod
    def of(cls, settings: PortfolioSettings, *, interval_seconds: int) -> Caps:
        """Return the caps that the settings name, for candles of an interval."""
        return cls(
            settings.leverage_cap,
            settings.correlated_daily_volatility,
            settings.correlation_threshold,
            settings.correlation_bars * interval_seconds,
            settings.smallest_share,
        )


@compiled()
def room(
    index: int,
    side: int,
    wanted: float,
    leverages: Floats,
    volatilities: Floats,
    correlations: Floats,
    caps: Caps,
) -> float:
    """Return the leverage at which symbol `index` may enter, at most `wanted`; 0 where it may not.

    For S symbols: `leverages` are signed notionals over equity, waiting orders included; `volatilities` a day's, as
    ratios; `correlations` those of each symbol's returns with the symbol's own. Each has shape (S,).
    """
    gross = 0.0
    together = 0.0
    for other in range(len(leverages)):
        if other == index:
            continue
        gross += abs(leverages[other])
        if side * leverages[other] * correlations[other] > 0 and abs(correlations[other]) >= caps.correlation:
            together += abs(leverages[other]) * volatilities[other]
    allowed = min(wanted, caps.leverage - gross)
    if together > 0:
        allowed = min(allowed, (caps.correlated_volatility - together) / max(volatilities[index], 1e-9))
    return allowed if allowed > 0 and allowed >= caps.smallest_share * wanted else 0.0


@compiled()
def correlation(time: Ints, first: Floats, second: Floats, last: int, seconds: int) -> float:
    """Return the correlation (Pearson) of two symbols' log returns over the `seconds` up to the candle at index `last`.

    `time`, `first` and `second` (closes) have shape (N,), NaN where a symbol has no candle. A return goes from one
    common candle to the next. 1 where there are too few of them.
    """
    count = 0
    sum_a, sum_b, sum_aa, sum_bb, sum_ab = 0.0, 0.0, 0.0, 0.0, 0.0
    later_a, later_b = 0.0, 0.0
    for i in range(last, -1, -1):
        if time[i] < time[last] - seconds:
            break
        if np.isnan(first[i]) or np.isnan(second[i]):
            continue
        if later_a > 0:
            a, b = np.log(later_a / first[i]), np.log(later_b / second[i])
            count += 1
            sum_a += a
            sum_b += b
            sum_aa += a * a
            sum_bb += b * b
            sum_ab += a * b
        later_a, later_b = first[i], second[i]
    if count < _FEWEST_RETURNS:
        return 1.0
    variance_a, variance_b = sum_aa - sum_a * sum_a / count, sum_bb - sum_b * sum_b / count
    if variance_a <= 0 or variance_b <= 0:
        return 1.0
    return float((sum_ab - sum_a * sum_b / count) / np.sqrt(variance_a * variance_b))
