"""The reference strategy as the retrain job sees it: the pipeline protocol of `nightdesk_core.models.pipeline`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import delayed
from nightdesk_core.clock import iso
from nightdesk_core.models.bundle import MANIFEST, Manifest
from nightdesk_core.models.pipeline import Backtest, DataError, Fitted, Progress, TrainingError, WindowInfo
from nightdesk_core.settings import validate

from nightdesk_trendbot.model import meta_model as models
from nightdesk_trendbot.model.backtest import Markets, evaluate
from nightdesk_trendbot.model.labels import label_events, pooled
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.parallel import done_in_parallel
from nightdesk_trendbot.model.strategy import Deployment, Strategy
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS


@dataclass(frozen=True)
class CandleWindow:
    """Candles of every symbol that were collected and found sane."""

    markets: Markets
    info: WindowInfo


class TrendPipeline:
    """Collects candles through ccxt, fits the meta-model, backtests with the live engine."""

    def __init__(self, settings: TrendbotSettings, *, home: Path = Path()) -> None:
        self.settings = settings
        self._data_dir = home / settings.data_dir
        self._interval = TIMEFRAME_SECONDS[settings.timeframe]

    @classmethod
    def from_settings(cls, document: Mapping[str, Any]) -> Self:
        """Return the pipeline for the section `trendbot`, its data in `home`. Raises `SettingsError`."""
        settings = validate(TrendbotSettings, document.get("trendbot", {}), source="trendbot")
        return cls(settings, home=Path(document.get("home", ".")))

    def collect(self, *, days: float, progress: Progress) -> CandleWindow:
        """Return the last `days` of candles of every symbol up to the exchange's now.

        Raises `DataError` where they cannot be had, or naming every row that nothing may be trained on.
        """
        # Exchange and store are large, and the process that judges a bundle anew needs neither.
        from nightdesk_trendbot.candle_store.gather import gather
        from nightdesk_trendbot.candle_store.report import examine, report

        settings = self.settings
        market = asyncio.run(
            gather(settings, self._data_dir, days=days, progress=lambda share: progress("collect", share))
        )
        examined = examine(market, interval_seconds=self._interval, days=days)
        examined.refuse(settings.timeframe)
        markets = examined.markets
        digest = hashlib.sha256()
        for symbol, candles in markets.items():
            digest.update(f"{symbol} {candles.fingerprint()}\n".encode())
        fingerprint = digest.hexdigest()
        info = WindowInfo(
            start=float(min(candles.time[0] for candles in markets.values())),
            end=float(max(candles.time[-1] for candles in markets.values()) + self._interval),
            rows=sum(len(candles) for candles in markets.values()),
            fingerprint=fingerprint,
            warnings=examined.warnings(),
            report=report(
                market,
                examined,
                source=settings.exchange.source,
                timeframe=settings.timeframe,
                fingerprint=fingerprint,
            ),
        )
        return CandleWindow(markets, info)

    def fit(self, window: CandleWindow, *, until: float, progress: Progress) -> Fitted:
        """Train on the breakouts whose trades ended an embargo before `until`. Raises `TrainingError`."""
        embargo = self.settings.model.embargo_hours * 3600
        known = [candles.before(until - self._interval + 1) for candles in window.markets.values()]
        events = pooled(done_in_parallel([delayed(label_events)(candles, self.settings) for candles in known]))
        events = events.select(events.label_end <= until - embargo)
        if len(events) == 0:
            raise TrainingError(f"no breakout is labelled before {iso(until)}: collect more history")
        model = train(events, self.settings, progress=progress)
        return Fitted(
            files=model.files(),
            train_start=window.info.start,
            train_end=until,
            last_label_end=float(events.label_end.max()),
            training_rows=len(events),
            summary={
                "events": len(events),
                "share_won": float(events.won.mean()),
                "uniqueness": float(events.uniqueness.mean()),
                "ensemble_weights": list(model.weights),
                "threshold": Strategy(self.settings).threshold(model, self.settings.typical_daily_volatility),
                "calibration_slope": model.calibration.slope,
                "importance": model.importance(),
            },
        )

    def load(self, folder: Path) -> MetaModel:
        """Return the model in a bundle's folder, staged or published. Raises `BundleError`."""
        manifest = Manifest.read(folder) if (folder / MANIFEST).exists() else None
        return models.load(folder, manifest)

    def backtest(self, model: MetaModel, window: CandleWindow, *, start: float, end: float) -> Backtest:
        """Return what `model` does on the candles that open in [start, end)."""
        steps = [candles.between(start, end).time for candles in window.markets.values()]
        if len(np.unique(np.concatenate(steps))) < 2:
            raise DataError(f"there are no candles between {iso(start)} and {iso(end)}")
        return evaluate(window.markets, self.settings, Deployment(model), start=start, end=end)
