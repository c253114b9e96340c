"""One candle, closed or forming."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Candle:
    """One candle as it stands. Times in seconds since the epoch, `time` the open; volume in the base coin.

    `confirmed` says that it is closed and will not change.
    """

    time: int
    interval_seconds: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    confirmed: bool

    @property
    def end(self) -> int:
        """The candle's close, which is the next one's open."""
        return self.time + self.interval_seconds

    @property
    def turnover(self) -> float:
        """Volume in the quote coin, taken at the candle's typical price: the sample does not hold every trade."""
        return self.volume * (self.high + self.low + self.close) / 3
