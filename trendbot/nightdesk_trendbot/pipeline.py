"""The reference strategy as the retrain job sees it: the pipeline protocol of `nightdesk_core.pipeline`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from nightdesk_core.bundle import MANIFEST, Manifest
from nightdesk_core.clock import iso
from nightdesk_core.pipeline import Backtest, DataError, Fitted, Progress, TrainingError, WindowInfo
from nightdesk_core.settings import validate

from nightdesk_trendbot import model as models
from nightdesk_trendbot.backtest import Markets, evaluate
from nightdesk_trendbot.candles import TIMEFRAME_SECONDS, Candles
from nightdesk_trendbot.exchange import Exchange, SilentListener, open_exchange, persistently
from nightdesk_trendbot.funding import funding_rates
from nightdesk_trendbot.labels import label_events, pooled
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.strategy import Deployment, Strategy
from nightdesk_trendbot.training import train

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class CandleWindow:
    """Candles of every symbol that were collected and found sane."""

    markets: Markets
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
        """Return the last `days` of candles of every symbol up to the exchange's now. Raises `DataError`."""
        markets = asyncio.run(self._collect(days, progress))
        warnings = [
            f"{symbol}: {warning}" for symbol, candles in markets.items() for warning in check(candles, days=days)
        ]
        digest = hashlib.sha256()
        for symbol, candles in markets.items():
            digest.update(f"{symbol} {candles.fingerprint()}\n".encode())
        info = WindowInfo(
            start=float(min(candles.time[0] for candles in markets.values())),
            end=float(max(candles.time[-1] for candles in markets.values()) + self._interval),
            rows=sum(len(candles) for candles in markets.values()),
            fingerprint=digest.hexdigest(),
            warnings=tuple(warnings),
        )
        return CandleWindow(markets, info)

    async def _collect(self, days: float, progress: Progress) -> Markets:
        symbols = self.settings.symbols
        async with open_exchange(self.settings.exchange, SilentListener()) as exchange:
            await persistently(lambda: exchange.load(symbols), "loading the markets")
            now = int(await persistently(exchange.now, "asking for the time"))
            stop = now // self._interval * self._interval
            start = stop - int(days * _DAY_SECONDS)
            found = {}
            for number, symbol in enumerate(symbols):

                def part(share: float, before: int = number) -> None:
                    progress("collect", (before + share) / len(symbols))

                found[symbol] = await self._candles(exchange, symbol, start, stop, part)
        return found

    async def _candles(
        self, exchange: Exchange, symbol: str, start: int, stop: int, progress: Callable[[float], None]
    ) -> Candles:
        bars = await persistently(
            lambda: exchange.bars(
                symbol,
                self.settings.timeframe,
                start=start,
                stop=stop,
                interval_seconds=self._interval,
                progress=progress,
            ),
            f"collecting candles of {symbol}",
        )
        if not bars:
            raise DataError(f"the exchange has no candles of {symbol} {self.settings.timeframe} from {iso(start)} on")
        rates = await persistently(
            lambda: funding_rates(exchange, self.settings.costs, symbol, start=start, stop=stop),
            f"collecting the funding of {symbol}",
        )
        return Candles.from_bars(bars, interval_seconds=self._interval).with_funding(rates)

    def fit(self, window: CandleWindow, *, until: float, progress: Progress) -> Fitted:
        """Train on the breakouts whose trades ended an embargo before `until`. Raises `TrainingError`."""
        embargo = self.settings.model.embargo_hours * 3600
        known = [candles.before(until - self._interval + 1) for candles in window.markets.values()]
        events = pooled(Parallel()(delayed(label_events)(candles, self.settings) for candles in known))
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
            },
        )

    def load(self, folder: Path) -> MetaModel:
        """Return the model in a bundle's folder, staged or published. Raises `BundleError`."""
        manifest = Manifest.read(folder) if (folder / MANIFEST).exists() else None
        return models.load(folder, manifest)

    def backtest(self, model: MetaModel, window: CandleWindow, *, start: float, end: float) -> Backtest:
        """Return what `model` does on the candles that open in [start, end)."""
        steps = {int(time) for candles in window.markets.values() for time in candles.between(start, end).time}
        if len(steps) < 2:
            raise DataError(f"there are no candles between {iso(start)} and {iso(end)}")
        return evaluate(window.markets, self.settings, Deployment(model), start=start, end=end)


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
