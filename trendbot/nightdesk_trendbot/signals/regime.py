"""Which kind of market it is: a pure function of the indicators of the last bars.

A regime ends at another value than it began at. Which one holds between the two follows from the bars before, but from
`memory_bars` of them only: so it is the same in a backtest over years and in a bot that started yesterday.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.settings import RegimeSettings
from nightdesk_trendbot.signals.candles import Floats, Ints
from nightdesk_trendbot.signals.indicators import COLUMN


class Regime(StrEnum):
    """The market's state. UNKNOWN until enough candles have been seen."""

    UNKNOWN = "unknown"
    TRENDING_UP = "trending_up"
    TRENDING_DOWN = "trending_down"
    RANGING = "ranging"
    HIGH_VOLATILITY = "high_volatility"


_REGIMES = tuple(Regime)
"""By the codes that the compiled functions know them by."""
_USED = ("atr", "atr_average", "adx", "ema")
_UNKNOWN, _UP, _DOWN, _RANGING, _WILD = range(5)


class Bounds(NamedTuple):
    """Where a regime begins and where it ends, as the compiled functions take it."""

    adx_begins: float
    adx_ends: float
    band: float
    wild_begins: float
    wild_ends: float
    memory: int

    @classmethod
    def of(cls, settings: RegimeSettings) -> Bounds:
        """Return the bounds that the settings name."""
        return cls(
            settings.adx_threshold,
            settings.adx_release,
            settings.ema_band,
            settings.high_volatility_multiple,
            settings.high_volatility_release,
            settings.memory_bars,
        )


def classify(rows: Floats, close: Floats, settings: RegimeSettings) -> list[Regime]:
    """Return each bar's regime for N rows of `indicators.compute`, shape (N, columns), and closes, shape (N,).

    The first `memory_bars` - 1 of them know less of the past than the others. High volatility comes first: a trend that
    is twice as wild as usual is traded smaller, whatever its ADX.
    """
    return [_REGIMES[code] for code in _codes(rows, close, settings)]


def allowed_sides(rows: Floats, close: Floats, sides: Ints, settings: RegimeSettings) -> NDArray[np.bool_]:
    """Return whether each bar's regime lets its side (1 or -1) be entered, shape (N,): `allowed_side`, all at once."""
    if not settings.enabled:
        return np.ones(len(close), dtype=bool)
    found = _codes(rows, close, settings)
    trend = np.where(found == _UP, 1, np.where(found == _DOWN, -1, 0))
    wild = np.where(close > rows[:, COLUMN["ema"]], 1, -1)
    return np.asarray(sides == np.where(found == _WILD, wild, trend))


def _codes(rows: Floats, close: Floats, settings: RegimeSettings) -> Ints:
    atr, average, adx, ema = (np.ascontiguousarray(rows[:, COLUMN[name]]) for name in _USED)
    return np.asarray(codes(atr, average, adx, ema, close, Bounds.of(settings)))


@compiled(nogil=True)
def codes(atr: Floats, average: Floats, adx: Floats, ema: Floats, close: Floats, bounds: Bounds) -> Ints:
    """Return each bar's regime as its position in `Regime`, shape (N,); every argument but the last has that shape."""
    found = np.zeros(len(close), dtype=np.int64)
    for last in range(len(close)):
        trend = 0
        wild = False
        known = False
        for i in range(max(0, last - bounds.memory + 1), last + 1):
            if not adx[i] >= 0:
                known = False
                continue
            above = close[i] - ema[i]
            if not known:
                trend, wild, known = 0, False, True
            wild = atr[i] > (bounds.wild_ends if wild else bounds.wild_begins) * average[i]
            if trend != 0 and adx[i] < bounds.adx_ends:
                trend = 0
            elif trend != 0 and trend * above < -bounds.band * atr[i]:
                trend = -trend
            elif trend == 0 and adx[i] > bounds.adx_begins:
                trend = 1 if above > 0 else -1
        if not known:
            found[last] = _UNKNOWN
        elif wild:
            found[last] = _WILD
        elif trend == 0:
            found[last] = _RANGING
        else:
            found[last] = _UP if trend > 0 else _DOWN
    return found


def allowed_side(regime: Regime, *, close: float, ema: float, settings: RegimeSettings) -> int | None:
    """Return the side that may be entered: 1 long, -1 short, 0 either, `None` neither."""
    if not settings.enabled:
        return 0
    match regime:
        case Regime.TRENDING_UP:
            return 1
        case Regime.TRENDING_DOWN:
            return -1
        case Regime.HIGH_VOLATILITY:
            return 1 if close > ema else -1
        case _:
            return None


def size_multiplier(regime: Regime, settings: RegimeSettings) -> float:
    """Return the share of its size at which a position is opened in a regime."""
    return settings.high_volatility_size if settings.enabled and regime is Regime.HIGH_VOLATILITY else 1.0
