"""The reference strategy as the retrain job sees it: the pipeline protocol of `nightdesk_core.pipeline`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from nightdesk_core.bundle import MANIFEST, Manifest
from nightdesk_core.clock import iso
from nightdesk_core.pipeline import Backtest, DataError, Fitted, Progress, TrainingError, WindowInfo
from nightdesk_core.settings import validate

from nightdesk_trendbot import model as models
from nightdesk_trendbot.backtest import evaluate
from nightdesk_trendbot.candles import TIMEFRAME_SECONDS, Candles
from nightdesk_trendbot.exchange import SilentListener, open_exchange, persistently
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.strategy import Deployment
from nightdesk_trendbot.training import label_events, train

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class CandleWindow:
    """Candles that were collected and found sane."""

    candles: Candles
    info: WindowInfo


class TrendPipeline:
    """Collects candles through ccxt, fits the meta-model, backtests with the live engine."""

    def __init__(self, settings: TrendbotSettings) -> None:
        self.settings = settings
        self._interval = TIMEFRAME_SECONDS[settings.timeframe]

    @classmethod
    def from_settings(cls, document: Mapping[str, Any]) -> Self:
        """Return the pipeline for the section `trendbot`. Raises `SettingsError`."""
        return cls(validate(TrendbotSettings, document.get("trendbot", {}), source="trendbot"))

    def collect(self, *, days: float, progress: Progress) -> CandleWindow:
        """Return the last `days` of candles up to the exchange's now. Raises `DataError`."""
        candles = asyncio.run(self._collect(days, progress))
        warnings = check(candles, days=days)
        info = WindowInfo(
            start=float(candles.time[0]),
            end=float(candles.time[-1] + self._interval),
            rows=len(candles),
            fingerprint=candles.fingerprint(),
            warnings=warnings,
        )
        return CandleWindow(candles, info)

    async def _collect(self, days: float, progress: Progress) -> Candles:
        symbol, timeframe = self.settings.symbol, self.settings.timeframe
        async with open_exchange(self.settings.exchange, SilentListener()) as exchange:
            await persistently(lambda: exchange.load(symbol), "loading the markets")
            now = int(await persistently(exchange.now, "asking for the time"))
            stop = now // self._interval * self._interval
            bars = await persistently(
                lambda: exchange.bars(
                    symbol,
                    timeframe,
                    start=stop - int(days * _DAY_SECONDS),
                    stop=stop,
                    interval_seconds=self._interval,
                    progress=lambda share: progress("collect", share),
                ),
                "collecting candles",
            )
        if not bars:
            raise DataError(f"the exchange has no candles of {symbol} {timeframe} for the last {days:g} days")
        return Candles.from_bars(bars, interval_seconds=self._interval)

    def fit(self, window: CandleWindow, *, until: float, progress: Progress) -> Fitted:
        """Train on the breakouts whose trades ended an embargo before `until`. Raises `TrainingError`."""
        embargo = self.settings.model.embargo_hours * 3600
        known = int(np.searchsorted(window.candles.time + self._interval, until, side="right"))
        events = label_events(window.candles.slice(0, known), self.settings)
        events = events.select(events.label_end <= until - embargo)
        if len(events) == 0:
            raise TrainingError(f"no breakout is labelled before {iso(until)}: collect more history")
        model = train(events, self.settings.model, progress=progress)
        return Fitted(
            files=model.files(),
            train_start=float(window.candles.time[0]),
            train_end=until,
            last_label_end=float(events.label_end.max()),
            training_rows=len(events),
            summary={
                "events": len(events),
                "share_won": float(events.won.mean()),
                "threshold": model.threshold(self.settings.entry.threshold),
                "calibration_slope": model.calibration.slope,
            },
        )

    def load(self, folder: Path) -> MetaModel:
        """Return the model in a bundle's folder, staged or published. Raises `BundleError`."""
        manifest = Manifest.read(folder) if (folder / MANIFEST).exists() else None
        return models.load(folder, manifest)

    def backtest(self, model: MetaModel, window: CandleWindow, *, start: float, end: float) -> Backtest:
        """Return what `model` does on the candles that open in [start, end)."""
        first = int(np.searchsorted(window.candles.time, start))
        stop = int(np.searchsorted(window.candles.time, end))
        if stop - first < 2:
            raise DataError(f"there are no candles between {iso(start)} and {iso(end)}")
        return evaluate(window.candles, self.settings, Deployment(model), first=first, stop=stop)


def check(candles: Candles, *, days: float) -> tuple[str, ...]:
    """Return warnings about gaps and coverage. Raises `DataError` naming the first row that cannot be true."""
    _refuse(candles, np.diff(candles.time, prepend=candles.time[0] - 1) <= 0, "does not come after the row before it")
    prices = np.stack([candles.open, candles.high, candles.low, candles.close])
    _refuse(candles, ~np.isfinite(prices).all(axis=0) | (prices <= 0).any(axis=0), "holds a price that is not positive")
    high_enough = candles.high >= np.maximum(candles.open, candles.close)
    low_enough = candles.low <= np.minimum(candles.open, candles.close)
    _refuse(candles, ~(high_enough & low_enough), "has its open or close outside high and low")
    _refuse(candles, ~(candles.volume >= 0), "has a negative volume")
    span = int(candles.time[-1] - candles.time[0]) // candles.interval_seconds + 1
    warnings = []
    if span > len(candles):
        warnings.append(f"{span - len(candles)} of {span} candles are missing at the exchange")
    covered = span * candles.interval_seconds / _DAY_SECONDS
    if covered < days - 1:
        warnings.append(f"the exchange has {covered:.0f} of the {days:g} days asked for")
    return tuple(warnings)


def _refuse(candles: Candles, wrong: Any, what: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        first = int(rows[0])
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        raise DataError(f"candle {first} ({iso(float(candles.time[first]))}) {what}{more}")
