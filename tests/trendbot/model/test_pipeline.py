"""The strategy as the retrain job sees it, and the check that names a bad row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nightdesk_core.models.pipeline import DataError, Pipeline, TrainingError, WindowInfo
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.settings import SettingsError
from nightdesk_trendbot.model.labels import label_events
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.trendbot.conftest import COUNT, DAY, HOUR, KNOWN, silent

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def pipeline(settings: TrendbotSettings) -> TrendPipeline:
    fits_the_protocol: Pipeline[Any, Any] = TrendPipeline(settings)
    assert isinstance(fits_the_protocol, TrendPipeline)
    return fits_the_protocol


@pytest.fixture(scope="module")
def window(candles: Candles) -> CandleWindow:
    info = WindowInfo(float(candles.time[0]), float(candles.time[-1] + HOUR), COUNT, candles.fingerprint())
    return CandleWindow({SYMBOL: candles}, info)


def test_a_fit_learns_nothing_from_its_holdout_nor_from_the_embargo_before_it(
    pipeline: TrendPipeline, window: CandleWindow, settings: TrendbotSettings, registry: ModelRegistry
) -> None:
    candles = window.markets[SYMBOL]
    labels = label_events(candles.slice(0, KNOWN), settings).label_end
    until = float(labels.max() + HOUR)  # so that the embargo holds at least one label back
    known = int(np.searchsorted(candles.time, until))
    fitted = pipeline.fit(window, until=until, progress=silent)
    assert fitted.train_end == until
    assert fitted.last_label_end <= until - DAY
    assert fitted.last_label_end > until - 10 * DAY
    cut = CandleWindow({SYMBOL: candles.slice(0, known)}, window.info)
    assert pipeline.fit(cut, until=until, progress=silent).files == fitted.files
    assert fitted.training_rows == fitted.summary["events"] > 200
    model = pipeline.load(registry.stage(fitted.files))
    assert model.threshold(settings.entry.threshold) == fitted.summary["threshold"]
    backtest = pipeline.backtest(model, window, start=until, end=window.info.end)
    assert (backtest.start, backtest.end) == (until, window.info.end)
    assert len(backtest.days) == len(backtest.daily_returns)
    assert all(until <= trade.entry_time < window.info.end for trade in backtest.trades)


def test_history_that_holds_no_label_is_refused(pipeline: TrendPipeline, window: CandleWindow) -> None:
    with pytest.raises(TrainingError) as raised:
        pipeline.fit(window, until=float(window.markets[SYMBOL].time[300]), progress=silent)
    assert str(raised.value) == "no breakout is labelled before 2017-07-26T12:00:00Z: collect more history"


def test_a_backtest_on_no_candles_is_refused(pipeline: TrendPipeline, window: CandleWindow, model: Any) -> None:
    with pytest.raises(DataError, match=r"there are no candles between .* and 1970-01-02T00:00:00Z"):
        pipeline.backtest(model, window, start=0.0, end=float(DAY))


def test_a_pipeline_is_made_from_its_section_of_the_settings() -> None:
    assert TrendPipeline.from_settings({}).settings == TrendbotSettings()
    chosen = TrendPipeline.from_settings({"trendbot": {"symbols": ["ETH/USDT:USDT"]}}).settings
    assert chosen.symbols == ("ETH/USDT:USDT",)
    with pytest.raises(SettingsError) as raised:
        TrendPipeline.from_settings({"trendbot": {"timeframe": "7m", "entry": {"breakouts": 3}}})
    assert raised.value.problems == (
        "timeframe: Input should be '1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '12h' or '1d'",
        "entry.breakouts: is not a key that exists here",
    )
