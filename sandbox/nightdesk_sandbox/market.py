"""One symbol of the exchange: how it is described, its candles in every interval, and what happens in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nightdesk_sandbox.instrument import Instrument
from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, RecordedCandles
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles

INTERVALS = tuple(hours * HOUR_SECONDS for hours in (1, 2, 4, 6, 8, 12, 24))
"""The lengths of candles that are kept, in seconds: those that hourly candles make up and any venue serves."""


@dataclass(frozen=True)
class MarketEvent:
    """What happens in a market when its time is `moment`: the hour `index` is `fraction` old.

    `fraction` is above 1 where that hour is over and the next one missing, but a longer candle ends.
    """

    moment: float
    market: ReplayMarket
    index: int
    fraction: float


class ReplayMarket:
    """The market of one symbol, seen at the market time that `now` tells."""

    def __init__(self, symbol: str, candles: RecordedCandles, *, now: Callable[[], float]) -> None:
        self.instrument = Instrument.of(candles, symbol=symbol)
        self.hours = HourlyCandles(candles, now=now)
        self.charts: dict[int, HourlyCandles | Aggregate] = {
            seconds: self.hours if seconds == HOUR_SECONDS else Aggregate(self.hours, seconds) for seconds in INTERVALS
        }

    @property
    def symbol(self) -> str:
        """The venues' name for the market."""
        return self.instrument.symbol

    def events(self, *, since: float, updates: int) -> Iterator[MarketEvent]:
        """Yield what happens from `since` on: each hour's open, as many updates, its close, and what ends in a gap."""
        times = self.hours.time
        for index in range(self.hours.confirmed(since), len(times)):
            opened = int(times[index])
            for step in range(updates + 2):
                fraction = step / (updates + 1)
                moment = opened + fraction * HOUR_SECONDS
                if moment >= since:
                    yield MarketEvent(moment, self, index, fraction)
            following = int(times[index + 1]) if index + 1 < len(times) else opened + HOUR_SECONDS
            yield from self._ends_in_gap(index, following)

    def _ends_in_gap(self, index: int, following: int) -> Iterator[MarketEvent]:
        opened = int(self.hours.time[index])
        ends = {opened // seconds * seconds + seconds for seconds in INTERVALS}
        for end in sorted(ends):
            if opened + HOUR_SECONDS < end <= following:
                yield MarketEvent(end, self, index, (end - opened) / HOUR_SECONDS)

    def candle(self, interval_seconds: int, event: MarketEvent) -> Candle | None:
        """Return the candle of a length that an event changes, as it stands then; none where it changes none."""
        chart = self.charts[interval_seconds]
        if event.fraction > 1.0:
            last = chart.confirmed(event.moment) - 1
            ended = last >= 0 and int(chart.time[last]) + chart.interval_seconds == event.moment
            return chart.candle(last) if ended else None
        hour = self.hours.update(event.index, event.fraction)
        return hour if isinstance(chart, HourlyCandles) else chart.after(event.index, hour)
