"""Candles with trends, calm and storms, a model trained on them once, and a live bot made of real parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_guard import KillLimits
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.live import bot
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.market.feed import Feed
from nightdesk_trendbot.model.labels import Events, label_events
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar, Candles

from tests.trendbot.live.parts import live_parts
from tests.trendbot.replay import Replay, ReplayClock, StreamOverError

HOUR = 3600
DAY = 24 * HOUR
FIRST_HOUR = 1_500_000_400 // DAY * DAY
COUNT = 5000
KNOWN = 3500
"""Candles that the shared model was trained on; the rest is its hold-out."""
FIRST, STOP = KNOWN, KNOWN + 260
"""The hours that a live bot is run through."""


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
def events(candles: Candles, settings: TrendbotSettings) -> Events:
    """What the shared model learnt from."""
    return label_events(candles.slice(0, KNOWN), settings)


@pytest.fixture(scope="session")
def model(events: Events, settings: TrendbotSettings) -> MetaModel:
    return train(events, settings, progress=silent)


MakeParts = Callable[..., LiveParts]
Trade = Callable[[LiveParts, Replay], Any]


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def publish(registry: ModelRegistry, model: MetaModel, **more: bytes) -> str:
    """Publish a model's bundle and return its version; `more` are further files, to make another version of it."""
    staged = registry.stage({**model.files(), **more})
    manifest = registry.publish(
        registry.seal(
            staged,
            strategy="nightdesk_trendbot.pipeline:TrendPipeline",
            train_start=MarketTime(0.0),
            train_end=MarketTime(10.0),
            last_label_end=MarketTime(9.0),
            data_end=MarketTime(20.0),
            data_fingerprint="f" * 64,
        )
    )
    return manifest.version


@pytest.fixture
def eager(settings: TrendbotSettings) -> TrendbotSettings:
    """A bot that enters on almost every signal."""
    return settings.model_copy(update={"entry": settings.entry.model_copy(update={"threshold": 0.05})})


@pytest.fixture
def make_parts(tmp_path: Path, registry: ModelRegistry, eager: TrendbotSettings) -> MakeParts:
    """Return the parts of a bot as a new process has them: all that lasts lies on disk."""
    nervous = GuardSettings.model_validate(
        {
            "cool_down_days": 1,
            "recovery": {"trades": 3, "wins_in_a_row": 2},
            "reduced": {"win_rate_standard_errors": 1, "losing_streak": 2, "drawdown_ratio": 0.05},
            "paused": {"win_rate_standard_errors": 2, "losing_streak": 4, "drawdown_ratio": 0.10},
        }
    )

    def make(settings: TrendbotSettings = eager, **more: Any) -> LiveParts:
        limits = KillLimits(floor_drawdown=0.5, daily_loss=0.5, leverage=10.0, stale_seconds=3 * HOUR)
        return live_parts(
            tmp_path, settings, **{"guard": nervous, "kill_limits": limits, "clock": ReplayClock(), **more}
        )

    return make


@pytest.fixture
def trade(monkeypatch: pytest.MonkeyPatch) -> Trade:
    """Run a bot on a replay until the replay ends."""

    async def run(parts: LiveParts, replay: Replay) -> None:
        assert isinstance(parts.clock, ReplayClock)
        parts.clock.replay = replay

        @asynccontextmanager
        async def open_exchange(*_: object) -> AsyncIterator[Replay]:
            yield replay

        class Watched(Feed):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                # The next thing happens once the feed has dealt with the last one.
                replay.idle = lambda: bool(self._streams._queue._getters)  # type: ignore[attr-defined]

        monkeypatch.setattr(bot, "open_exchange", open_exchange)
        monkeypatch.setattr(bot, "Feed", Watched)
        with pytest.raises(StreamOverError):
            await LiveBot(parts).run()

    return run
