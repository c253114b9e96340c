"""The strategy as the retrain job sees it, and the check that names a bad row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nightdesk_core.pipeline import DataError, Pipeline, TrainingError, WindowInfo
from nightdesk_core.registry import ModelRegistry
from nightdesk_core.settings import SettingsError
from nightdesk_trendbot.candles import Candles
from nightdesk_trendbot.labels import label_events
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline, check
from nightdesk_trendbot.settings import TrendbotSettings

from tests.trendbot.conftest import COUNT, DAY, HOUR, KNOWN, make_candles, silent

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
        TrendPipeline.from_settings({"trendbot": {"timeframe": "5m", "entry": {"breakouts": 3}}})
    assert raised.value.problems == (
        "timeframe: Input should be '1h'",
        "entry.breakouts: is not a key that exists here",
    )


def spoilt(column: str, row: int, value: float) -> Callable[[Candles], Candles]:
    """Return what puts a value into one cell."""

    def spoil(candles: Candles) -> Candles:
        changed = getattr(candles, column).copy()
        changed[row] = value
        return replace(candles, **{column: changed})

    return spoil


GOOD = make_candles(100, seed=3)
WHEN = "2017-07-14T05:00:00Z"
BAD: dict[str, tuple[Callable[[Candles], Candles], str]] = {
    "a price that is NaN": (spoilt("close", 5, np.nan), f"candle 5 ({WHEN}) holds a price that is not positive"),
    "a price that is infinite": (spoilt("high", 5, np.inf), f"candle 5 ({WHEN}) holds a price that is not positive"),
    "a price of 0": (spoilt("low", 5, 0.0), f"candle 5 ({WHEN}) holds a price that is not positive"),
    "a high below its close": (
        spoilt("high", 5, float(GOOD.low[5])),
        f"candle 5 ({WHEN}) has its open or close outside high and low",
    ),
    "a low above its open": (
        spoilt("low", 5, float(GOOD.high[5])),
        f"candle 5 ({WHEN}) has its open or close outside high and low",
    ),
    "a negative volume": (spoilt("volume", 5, -1.0), f"candle 5 ({WHEN}) has a negative volume"),
    "a volume that is NaN": (spoilt("volume", 5, np.nan), f"candle 5 ({WHEN}) has a negative volume"),
    "a row twice": (
        spoilt("time", 5, int(GOOD.time[4])),
        "candle 5 (2017-07-14T04:00:00Z) does not come after the row before it",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_that_cannot_be_true_is_named(what: str) -> None:
    spoil, message = BAD[what]
    with pytest.raises(DataError) as raised:
        check(spoil(GOOD), days=4)
    assert str(raised.value) == message
    assert raised.value.exit_code == 3


def test_of_several_bad_rows_the_first_is_named_and_the_others_counted() -> None:
    twice = spoilt("close", 9, -1.0)(spoilt("close", 7, np.nan)(GOOD))
    with pytest.raises(DataError, match=r"^candle 7 \(.*\) holds a price that is not positive, and 1 more$"):
        check(twice, days=4)


def test_good_candles_raise_nothing_and_missing_ones_are_a_warning() -> None:
    assert check(GOOD, days=4) == ()
    gaps = make_candles(100, seed=3, missing=(40, 41, 70))
    assert check(gaps, days=4) == ("3 of 100 candles are missing at the exchange",)
    assert check(GOOD, days=30) == ("the exchange has 4 of the 30 days asked for",)
