"""A market's candles of one length as they stand at one moment, for pages of them."""

from __future__ import annotations

import numpy as np

from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles


class CandleHistory:
    """The candles that have closed by `now` (market time), and last the one that is forming, where one is.

    It asks once for both, or a candle could close in between and be in neither.
    """

    def __init__(self, chart: HourlyCandles | Aggregate, *, now: float) -> None:
        self._chart = chart
        self._closed, self._forming = chart.confirmed(now), chart.forming(now)

    def __len__(self) -> int:
        return self._closed + (self._forming is not None)

    def first_from(self, moment: float) -> int:
        """Return the place of the first candle that opens at `moment` or later; the length where there is none."""
        return min(int(np.searchsorted(self._chart.time, moment)), len(self))

    def first_after(self, moment: float) -> int:
        """Return the place of the first candle that opens after `moment`; the length where there is none."""
        return min(int(np.searchsorted(self._chart.time, moment, side="right")), len(self))

    def page(self, first: int, stop: int) -> list[Candle]:
        """Return the candles at the places [first, stop), oldest first."""
        closed = [self._chart.candle(index) for index in range(first, min(stop, self._closed))]
        return [*closed, self._forming] if self._forming is not None and first <= self._closed < stop else closed
