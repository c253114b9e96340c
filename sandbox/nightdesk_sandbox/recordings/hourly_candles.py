"""What of a market's hourly candles has happened by the market's time.

Nothing that it hands out tells of a candle that the market has not reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, PRICE_COLUMNS, RecordedCandles, Times

CLOSED_SECONDS = 6 * HOUR_SECONDS
"""A market that has no candle for so long is closed meanwhile; a shorter pause is only one without trades."""


class HourlyCandles:
    """The hourly candles of one market, as far as `now` (market time) lets them be seen."""

    def __init__(self, candles: RecordedCandles, *, now: Callable[[], float]) -> None:
        self.candles = candles
        self._decimals = candles.price_decimals
        self._now = now

    @property
    def interval_seconds(self) -> int:
        """How long a candle is."""
        return self.candles.interval_seconds

    @property
    def time(self) -> Times:
        """The opens of all candles, those to come included."""
        return self.candles.time

    def scale_after(self, moment: float, factor: float) -> None:
        """Multiply the prices of all candles that open after `moment` and have not been shown to anybody."""
        later = self.candles.time > moment
        prices = {name: getattr(self.candles, name).copy() for name in PRICE_COLUMNS}
        for column in prices.values():
            scaled = np.round(column[later] * factor, self._decimals)
            column[later] = np.maximum(scaled, 10.0**-self._decimals)
        self.candles = replace(self.candles, **prices)

    def reached(self, moment: float | None) -> float:
        """Return `moment`, or now where that is earlier or no moment is given."""
        now = self._now()
        return now if moment is None else min(moment, now)

    def index_after(self, moment: float) -> int:
        """Return the index of the first candle that closes after `moment`; as many as there are where none does."""
        return int(np.searchsorted(self.candles.time, moment - self.candles.interval_seconds, side="right"))

    def confirmed(self, until: float | None = None) -> int:
        """Return how many candles have closed by `until`, or by now where that is earlier."""
        return self.index_after(self.reached(until))

    def candle(self, index: int) -> Candle:
        """Return a candle of the past. Raises `IndexError` for one that has not closed: nobody knows it yet."""
        if not 0 <= index < self.confirmed():
            raise IndexError(f"candle {index} has not closed yet")
        return self._at(index, fraction=1.0)

    def forming(self, at: float | None = None) -> Candle | None:
        """Return the candle that was forming at `at`, or now; none where its hour is missing or the replay is over."""
        moment = self.reached(at)
        index = self.index_after(moment)
        if index >= len(self.candles) or self.candles.time[index] > moment:
            return None
        return self._at(index, fraction=(moment - float(self.candles.time[index])) / self.candles.interval_seconds)

    @property
    def closed(self) -> bool:
        """Whether the market is closed now: its last candle is over, or it pauses for hours, as at a weekend."""
        now = self._now()
        index = self.index_after(now)
        if index >= len(self.candles):
            return True
        ended = int(self.time[index - 1]) + self.candles.interval_seconds if index > 0 else int(self.time[index])
        return self.time[index] > now and int(self.time[index]) - ended >= CLOSED_SECONDS

    def update(self, index: int, fraction: float) -> Candle:
        """Return how a candle stood when `fraction` of it had passed. Raises `IndexError` where that is yet to come."""
        moment = float(self.candles.time[index]) + fraction * self.candles.interval_seconds
        if moment > self._now():
            raise IndexError(f"candle {index} is not yet {fraction:.0%} old")
        return self._at(index, fraction=fraction)

    def _at(self, index: int, *, fraction: float) -> Candle:
        candles = self.candles
        time = int(candles.time[index])
        opened, high, low, close = (
            float(column[index]) for column in (candles.open, candles.high, candles.low, candles.close)
        )
        volume = float(candles.volume[index])
        if fraction < 1.0:
            path = (opened, low, high, close) if _low_first(time) else (opened, high, low, close)
            high, low, close = _walk(path, fraction, self._decimals)
            volume = math.floor(volume * fraction * 1e8) / 1e8
        return Candle(time, candles.interval_seconds, opened, high, low, close, volume, confirmed=fraction >= 1.0)


def _low_first(time: int) -> bool:
    """Return which extreme comes first, from the hour alone: taken from the candle it would give its close away."""
    return (time // HOUR_SECONDS * 2_654_435_761) >> 7 & 1 == 1


def _walk(path: tuple[float, float, float, float], fraction: float, decimals: int) -> tuple[float, float, float]:
    """Return high, low and last price after `fraction` of a path of three legs, each taking a third of the time."""
    leg = min(int(fraction * 3), 2)
    begin, end = path[leg], path[leg + 1]
    price = round(begin + (end - begin) * (fraction * 3 - leg), decimals)
    price = min(max(price, min(begin, end)), max(begin, end))
    seen = (*path[: leg + 1], price)
    return max(seen), min(seen), price
