"""Which kind of market it is: a pure function of the indicators at a bar's close."""

from __future__ import annotations

from enum import StrEnum

from nightdesk_trendbot.candles import Floats
from nightdesk_trendbot.indicators import COLUMN
from nightdesk_trendbot.settings import RegimeSettings


class Regime(StrEnum):
    """The market's state. UNKNOWN until enough candles have been seen."""

    UNKNOWN = "unknown"
    TRENDING_UP = "trending_up"
    TRENDING_DOWN = "trending_down"
    RANGING = "ranging"
    HIGH_VOLATILITY = "high_volatility"


def classify(row: Floats, close: float, settings: RegimeSettings) -> Regime:
    """Return the regime for one row of `indicators.compute`, shape (len(COLUMNS),).

    High volatility comes first: a trend that is twice as wild as usual is traded smaller, whatever its ADX.
    """
    atr, average, adx, ema = (row[COLUMN[name]] for name in ("atr", "atr_average", "adx", "ema"))
    if not adx >= 0:
        return Regime.UNKNOWN
    if atr > settings.high_volatility_multiple * average:
        return Regime.HIGH_VOLATILITY
    if adx > settings.adx_threshold:
        return Regime.TRENDING_UP if close > ema else Regime.TRENDING_DOWN
    return Regime.RANGING


def allowed_side(regime: Regime, row: Floats, close: float, settings: RegimeSettings) -> int | None:
    """Return the side that may be entered: 1 long, -1 short, 0 either, `None` neither."""
    if not settings.enabled:
        return 0
    if regime in (Regime.UNKNOWN, Regime.RANGING):
        return None
    return 1 if close > row[COLUMN["ema"]] else -1


def size_multiplier(regime: Regime, settings: RegimeSettings) -> float:
    """Return the share of its size at which a position is opened in a regime."""
    return settings.high_volatility_size if settings.enabled and regime is Regime.HIGH_VOLATILITY else 1.0
