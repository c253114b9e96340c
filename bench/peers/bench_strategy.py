"""The reference strategy on a seeded random walk: all of the job but the exchange. Its settings say how long it is."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from nightdesk_core.models.pipeline import Progress, WindowInfo
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS, Candles

END = 1_700_006_400
"""Market time at which every history ends, but for `days_ago`; a midnight."""
_DAY_SECONDS = 86_400


def random_walk(bars: int, interval_seconds: int, *, seed: int) -> Candles:
    """Return candles whose daily volatility is 3.5%, with the fat tails of a market."""
    random = np.random.default_rng(seed)
    volatility = 0.035 * np.sqrt(interval_seconds / _DAY_SECONDS)
    close = 30_000 * np.exp(np.cumsum(random.standard_t(4, bars) * volatility / np.sqrt(2)))
    opened = np.concatenate([[30_000.0], close[:-1]])
    spread = random.random((2, bars)) * volatility / 2
    time = END - interval_seconds * np.arange(bars, 0, -1, dtype=np.int64)
    high, low = np.maximum(opened, close) * (1 + spread[0]), np.minimum(opened, close) * (1 - spread[1])
    return Candles(time, opened, high, low, close, random.random(bars) * 10, interval_seconds)


class BenchStrategy(TrendPipeline):
    """Every symbol has a walk of its own."""

    bars: int
    days_ago: float

    @classmethod
    def from_settings(cls, document: Mapping[str, Any]) -> Self:
        pipeline = super().from_settings(document)
        pipeline.bars, pipeline.days_ago = document["strategy"]["bars"], document["strategy"]["days_ago"]
        return pipeline

    def collect(self, *, days: float, progress: Progress) -> CandleWindow:
        # What a run holds of the exchange's client it holds here, too.
        importlib.import_module("nightdesk_trendbot.candle_store.gather")
        interval = TIMEFRAME_SECONDS[self.settings.timeframe]
        end = END - self.days_ago * _DAY_SECONDS
        markets = {
            symbol: random_walk(self.bars, interval, seed=seed).before(end)
            for seed, symbol in enumerate(self.settings.symbols)
        }
        digest = hashlib.sha256("".join(candles.fingerprint() for candles in markets.values()).encode()).hexdigest()
        start = float(min(candles.time[0] for candles in markets.values()))
        return CandleWindow(markets, WindowInfo(start, end, sum(map(len, markets.values())), digest))
