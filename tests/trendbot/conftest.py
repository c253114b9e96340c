"""Candles with trends, calm and storms, a model trained on them once, and settings that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nightdesk_core.registry import ModelRegistry
from nightdesk_trendbot import training
from nightdesk_trendbot.candles import Bar, Candles
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings

HOUR = 3600
DAY = 24 * HOUR
FIRST_HOUR = 1_500_000_400 // DAY * DAY
COUNT = 5000
KNOWN = 3500
"""Candles that the shared model was trained on; the rest is its hold-out."""


def make_candles(count: int, *, seed: int = 1, missing: tuple[int, ...] = ()) -> Candles:
    """Return hourly candles whose drift and volatility change every few days."""
    source = np.random.default_rng(seed)
    stretches = count // 60 + 1
    drift = np.repeat(source.normal(0, 0.0007, stretches), 60)[:count]
    volatility = np.repeat(0.005 * np.exp(source.normal(0, 0.4, stretches)), 60)[:count]
    steps = drift + volatility * source.standard_t(5, count)
    close = 9000 * np.exp(np.cumsum(np.clip(steps, -0.08, 0.08)))
    opened = np.concatenate([[9000.0], close[:-1]])
    width = volatility * close
    high = np.maximum(opened, close) + width * source.uniform(0, 0.6, count)
    low = np.minimum(opened, close) - width * source.uniform(0, 0.6, count)
    volume = source.uniform(10, 100, count)
    kept = np.setdiff1d(np.arange(count), missing)
    time = FIRST_HOUR + HOUR * kept.astype(np.int64)
    opened, high, low, close = (np.round(column[kept], 2) for column in (opened, high, low, close))
    return Candles(time, opened, high, low, close, np.round(volume[kept], 3), HOUR)


def bars_of(candles: Candles) -> list[Bar]:
    """Return candles one by one."""
    return [candles.bar(index) for index in range(len(candles))]


def silent(_stage: str, _share: float) -> None:
    """Hear of progress and say nothing."""


@pytest.fixture(scope="session")
def candles() -> Candles:
    return make_candles(COUNT)


@pytest.fixture(scope="session")
def settings() -> TrendbotSettings:
    """The settings as they are shipped."""
    return TrendbotSettings()


@pytest.fixture(scope="session")
def plain() -> TrendbotSettings:
    """Round numbers: 10% target, 5% stop, 4 hours, 1% fee, 2% slippage, 1,000 in cash."""
    return TrendbotSettings(
        initial_equity=1000,
        barriers=BarrierSettings(target_ratio=0.10, stop_ratio=0.05, holding_hours=4),
        costs=CostSettings(fee_ratio=0.01, slippage_ratio=0.02, slippage_scaled=False),
    )


@pytest.fixture(scope="session")
def events(candles: Candles, settings: TrendbotSettings) -> training.Events:
    """What the shared model learnt from."""
    return training.label_events(candles.slice(0, KNOWN), settings)


@pytest.fixture(scope="session")
def model(events: training.Events, settings: TrendbotSettings) -> MetaModel:
    return training.train(events, settings, progress=silent)


Publish = Callable[..., str]


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def publish(registry: ModelRegistry, model: MetaModel, **more: bytes) -> str:
    """Publish a model's bundle and return its version; `more` are further files, to make another version of it."""
    staged = registry.stage({**model.files(), **more})
    manifest = registry.publish(
        staged,
        strategy="nightdesk_trendbot.pipeline:TrendPipeline",
        train_start=0.0,
        train_end=10.0,
        last_label_end=9.0,
        data_end=20.0,
        data_fingerprint="f" * 64,
    )
    return manifest.version
