"""Candles of several hours, made from those of one hour as far as they have happened."""

from __future__ import annotations

import math

import numpy as np

from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import Times
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles


class Aggregate:
    """The candles of `interval_seconds`, which divides a day: each begins at a multiple of it since midnight UTC.

    One in which no hour was traded does not exist. One whose last hours are missing closes with its time all the same.
    """

    def __init__(self, hours: HourlyCandles, interval_seconds: int) -> None:
        self.interval_seconds = interval_seconds
        self._hours = hours
        opens = hours.time // interval_seconds * interval_seconds
        self.time: Times
        self.time, self._first = np.unique(opens, return_index=True)

    def confirmed(self, until: float | None = None) -> int:
        """Return how many candles have closed by `until`, or by now where that is earlier."""
        now = self._hours.reached(until)
        return int(np.searchsorted(self.time, now - self.interval_seconds, side="right"))

    def candle(self, index: int) -> Candle:
        """Return a candle of the past. Raises `IndexError` for one that has not closed."""
        if not 0 <= index < self.confirmed():
            raise IndexError(f"candle {index} has not closed yet")
        candles = self._hours.candles
        hours = slice(self._first[index], self._first[index + 1] if index + 1 < len(self.time) else len(candles))
        return Candle(
            time=int(self.time[index]),
            interval_seconds=self.interval_seconds,
            open=float(candles.open[hours][0]),
            high=float(candles.high[hours].max()),
            low=float(candles.low[hours].min()),
            close=float(candles.close[hours][-1]),
            volume=round(math.fsum(candles.volume[hours]), 8),
            confirmed=True,
        )

    def forming(self, at: float | None = None) -> Candle | None:
        """Return the candle that was forming at `at`, or now; none before the first trade in it."""
        now = self._hours.reached(at)
        index = self.confirmed(now)
        if index >= len(self.time):
            return None
        hours = [self._hours.candle(hour) for hour in range(self._first[index], self._hours.confirmed(now))]
        forming = self._hours.forming(now)
        if forming is not None:
            hours.append(forming)
        return self._joined(index, hours, closed=False) if hours else None

    def after(self, hour: int, candle: Candle) -> Candle:
        """Return how the candle around an hour stood when that hour stood as `candle` tells."""
        index = int(np.searchsorted(self.time, candle.time, side="right")) - 1
        before = [self._hours.candle(earlier) for earlier in range(self._first[index], hour)]
        closed = candle.confirmed and candle.end == int(self.time[index]) + self.interval_seconds
        return self._joined(index, [*before, candle], closed=closed)

    def _joined(self, index: int, hours: list[Candle], *, closed: bool) -> Candle:
        return Candle(
            time=int(self.time[index]),
            interval_seconds=self.interval_seconds,
            open=hours[0].open,
            high=max(hour.high for hour in hours),
            low=min(hour.low for hour in hours),
            close=hours[-1].close,
            volume=round(math.fsum(hour.volume for hour in hours), 8),
            confirmed=closed,
        )
