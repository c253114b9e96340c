"""Candles as columns, and the digest that says two stretches are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, get_args

import numpy as np
from nightdesk_core.markets import timeframe_seconds
from numpy.typing import NDArray

from nightdesk_trendbot.settings import Timeframe

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIMEFRAME_SECONDS = {name: timeframe_seconds(name) for name in get_args(Timeframe)}


class Bar(NamedTuple):
    """One candle. `time` is its open in Unix seconds (market time)."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    funding: float = 0.0
    """The sum of the rates that longs pay to shorts from `time` until its close; 0 where nothing is settled."""


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True)
class Candles:
    """N candles, oldest first: columns of shape (N,), prices in the quote currency, `time` each candle's open."""

    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    interval_seconds: int
    funding: Floats = field(default_factory=_none)
    """The sum of the rates that longs pay to shorts within each candle; all 0 where it is not given."""

    def __post_init__(self) -> None:
        if len(self.funding) == 0:
            object.__setattr__(self, "funding", np.zeros(len(self.time)))

    def __len__(self) -> int:
        return len(self.time)

    def bar(self, index: int) -> Bar:
        """Return one candle."""
        return Bar(
            int(self.time[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
            float(self.funding[index]),
        )

    def slice(self, start: int, stop: int) -> Candles:
        """Return the candles from index `start` up to `stop`."""
        return _part(self, np.s_[start:stop])

    def without(self, times: Collection[int]) -> Candles:
        """Return the candles but for those that open at some times (market time)."""
        return _part(self, ~np.isin(self.time, np.array([*times], dtype=np.int64))) if times else self

    def before(self, end: float) -> Candles:
        """Return the candles that open before a market time."""
        return self.slice(0, int(np.searchsorted(self.time, end)))

    def between(self, start: float, end: float) -> Candles:
        """Return the candles that open in [start, end) (market time)."""
        return self.slice(int(np.searchsorted(self.time, start)), int(np.searchsorted(self.time, end)))

    def with_funding(self, rates: Mapping[int, float]) -> Candles:
        """Return the same candles with the rates that were settled within them, by market time."""
        settled = by_candle(rates, interval_seconds=self.interval_seconds)
        opened = np.array(list(settled), dtype=np.int64)
        place = np.searchsorted(self.time, opened)
        known = np.append(self.time, -1)[place] == opened
        funding = np.zeros(len(self))
        funding[place[known]] = np.array(list(settled.values()), dtype=np.float64)[known]
        return replace(self, funding=funding)

    def columns(self) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
        """Return time, open, high, low, close, volume."""
        return self.time, self.open, self.high, self.low, self.close, self.volume

    def fingerprint(self) -> str:
        """Return the SHA-256 over all columns."""
        digest = hashlib.sha256(str(self.interval_seconds).encode())
        for column in (*self.columns(), self.funding):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    @classmethod
    def from_bars(cls, bars: list[Bar], *, interval_seconds: int) -> Candles:
        """Return bars, oldest first, as columns."""
        time = np.array([bar.time for bar in bars], dtype=np.int64)
        prices = np.array([bar[1:] for bar in bars], dtype=np.float64).reshape(len(bars), 6)
        open_, high, low, close, volume, funding = (prices[:, column].copy() for column in range(6))
        return cls(time, open_, high, low, close, volume, interval_seconds, funding)


def _part(candles: Candles, part: slice | NDArray[np.bool_]) -> Candles:
    return Candles(
        candles.time[part],
        candles.open[part],
        candles.high[part],
        candles.low[part],
        candles.close[part],
        candles.volume[part],
        candles.interval_seconds,
        candles.funding[part],
    )


def by_candle(rates: Mapping[int, float], *, interval_seconds: int) -> dict[int, float]:
    """Return the sum of the rates, by their market time, that are settled within each candle, by its open."""
    found: dict[int, float] = {}
    for time in sorted(rates):
        opened = time // interval_seconds * interval_seconds
        found[opened] = found.get(opened, 0.0) + rates[time]
    return found
