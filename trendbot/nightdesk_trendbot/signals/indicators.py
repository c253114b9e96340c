"""Indicators and features, each a function of the last `WINDOW` bars and of nothing else.

Every recursion starts afresh `WINDOW` bars back, so that a value is the same to the last bit in a backtest over years,
in a live bot that started yesterday, and on data that ends early. Wilder's smoothing over 14 bars keeps less than 1e-12
of what lies further back.

ADX, directional indicators and average true range: Wilder (1978), New Concepts in Technical Trading Systems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.settings import EntrySettings, RegimeSettings, SizingSettings
from nightdesk_trendbot.signals.candles import Candles, Floats

WINDOW = 420
"""Bars that every value is computed from."""


class Indicators(NamedTuple):
    """What is known of a bar at its close. Returns are log returns over so many bars, in standard deviations."""

    ema: float
    adx: float
    directional_difference: float
    atr: float
    atr_average: float
    prior_high: float
    prior_low: float
    volatility: float
    return_1: float
    return_6: float
    return_24: float
    return_72: float
    volatility_ratio: float
    volume_ratio: float
    range_position: float


COLUMNS = Indicators._fields
"""Columns of the matrix that `compute` returns, by their position."""

COLUMN = {name: index for index, name in enumerate(COLUMNS)}


class IndicatorBars(NamedTuple):
    """How many bars each indicator looks back."""

    adx: int
    ema: int
    atr: int
    atr_average: int
    breakout: int
    volatility: int

    @classmethod
    def of(cls, regime: RegimeSettings, entry: EntrySettings, sizing: SizingSettings) -> IndicatorBars:
        """Return the lengths that the settings name."""
        return cls(
            regime.adx_bars,
            regime.ema_bars,
            regime.atr_bars,
            regime.atr_average_bars,
            entry.breakout_bars,
            sizing.volatility_bars,
        )


def compute(candles: Candles, bars: IndicatorBars) -> Floats:
    """Return the indicators at each bar's close, shape (N, len(COLUMNS)); NaN in the first `WINDOW` - 1 rows."""
    return _matrix(candles.high, candles.low, candles.close, candles.volume, bars)


@compiled(nogil=True)
def _matrix(high: Floats, low: Floats, close: Floats, volume: Floats, bars: IndicatorBars) -> Floats:
    result = np.full((len(close), len(COLUMNS)), np.nan)
    for last in range(WINDOW - 1, len(close)):
        first = last - WINDOW + 1
        stop = last + 1
        found = _at_last(high[first:stop], low[first:stop], close[first:stop], volume[first:stop], bars)
        for column in range(len(COLUMNS)):
            result[last, column] = found[column]
    return result


@compiled()
def _at_last(h: Floats, low: Floats, c: Floats, v: Floats, bars: IndicatorBars) -> Indicators:
    """Return the indicators of the last bar of a window of `WINDOW` bars."""
    end = len(c) - 1
    adx, directional_difference = _directional(h, low, c, bars.adx)
    atr, atr_average = _atr(h, low, c, bars.atr, bars.atr_average)
    prior_high = h[end - bars.breakout]
    prior_low = low[end - bars.breakout]
    for i in range(end - bars.breakout, end):
        prior_high = max(prior_high, h[i])
        prior_low = min(prior_low, low[i])
    volatility = _volatility(c, bars.volatility)
    unit = max(volatility, 1e-9)
    total = 0.0
    for i in range(end - 24, end):
        total += v[i]
    spread = prior_high - prior_low
    return Indicators(
        ema=_ema(c, bars.ema),
        adx=adx,
        directional_difference=directional_difference,
        atr=atr,
        atr_average=atr_average,
        prior_high=prior_high,
        prior_low=prior_low,
        volatility=volatility,
        return_1=np.log(c[end] / c[end - 1]) / unit,
        return_6=np.log(c[end] / c[end - 6]) / (unit * np.sqrt(6.0)),
        return_24=np.log(c[end] / c[end - 24]) / (unit * np.sqrt(24.0)),
        return_72=np.log(c[end] / c[end - 72]) / (unit * np.sqrt(72.0)),
        volatility_ratio=_volatility(c, 24) / max(_volatility(c, 240), 1e-9),
        volume_ratio=np.log((v[end] + 1e-9) / (total / 24.0 + 1e-9)),
        range_position=(c[end] - prior_low) / spread if spread > 0 else 0.5,
    )


@compiled()
def _ema(c: Floats, span: int) -> float:
    weight = 2.0 / (span + 1.0)
    value = c[0]
    for i in range(1, len(c)):
        value += weight * (c[i] - value)
    return float(value)


@compiled()
def _atr(h: Floats, low: Floats, c: Floats, length: int, average_length: int) -> tuple[float, float]:
    """Return Wilder's average true range at the last bar, and its mean over the last `average_length` bars."""
    value = 0.0
    total = 0.0
    for i in range(1, len(c)):
        true_range = max(h[i] - low[i], abs(h[i] - c[i - 1]), abs(low[i] - c[i - 1]))
        if i <= length:
            value += true_range / length
        else:
            value += (true_range - value) / length
        if i >= len(c) - average_length:
            total += value
    return value, total / average_length


@compiled()
def _directional(h: Floats, low: Floats, c: Floats, length: int) -> tuple[float, float]:
    """Return ADX (0 to 100) and (+DI - -DI) / (+DI + -DI) (-1 to 1) at the last bar."""
    plus = 0.0
    minus = 0.0
    true_range = 0.0
    adx = 0.0
    ratio = 0.0
    for i in range(1, len(c)):
        up = h[i] - h[i - 1]
        down = low[i - 1] - low[i]
        up_move = up if up > down and up > 0 else 0.0
        down_move = down if down > up and down > 0 else 0.0
        widest = max(h[i] - low[i], abs(h[i] - c[i - 1]), abs(low[i] - c[i - 1]))
        if i < length:
            plus += up_move
            minus += down_move
            true_range += widest
            continue
        plus += up_move - plus / length
        minus += down_move - minus / length
        true_range += widest - true_range / length
        both = plus + minus
        ratio = (plus - minus) / both if both > 0 else 0.0
        index = 100.0 * abs(ratio)
        if i < 2 * length:
            adx += index / length
        else:
            adx += (index - adx) / length
    return adx, ratio


@compiled()
def _volatility(c: Floats, length: int) -> float:
    """Return the standard deviation of the last `length` log returns, per bar."""
    end = len(c)
    mean = np.log(c[end - 1] / c[end - 1 - length]) / length
    total = 0.0
    for i in range(end - length, end):
        deviation = np.log(c[i] / c[i - 1]) - mean
        total += deviation * deviation
    return float(np.sqrt(total / (length - 1.0)))
