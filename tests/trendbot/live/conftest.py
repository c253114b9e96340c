"""A champion, two markets, and settings for both: what a live bot is run with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.live import history
from nightdesk_trendbot.market import feed
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.trendbot.conftest import COUNT, HOUR, STOP, MakeParts, make_candles, publish
from tests.trendbot.live.against_backtest import backtest_of
from tests.trendbot.live.parts import forget
from tests.trendbot.replay import OTHER, SYMBOL


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once: a replay answers the same, however long one waits."""
    monkeypatch.setattr(feed, "backoff_seconds", lambda *_, **__: 0.0)
    monkeypatch.setattr(history, "FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture
def deployed(registry: ModelRegistry, model: MetaModel) -> MetaModel:
    """The champion, as a bot that loads it knows it."""
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    return replace(model, version=version)


@pytest.fixture(scope="session")
def markets(candles: Candles) -> Markets:
    return {SYMBOL: candles, OTHER: make_candles(COUNT, seed=5)}


@pytest.fixture
def both(eager: TrendbotSettings) -> TrendbotSettings:
    return eager.model_copy(update={"symbols": (SYMBOL, OTHER)})


@pytest.fixture
def held(make_parts: MakeParts, both: TrendbotSettings, markets: Markets, deployed: MetaModel) -> int:
    """An hour at whose beginning a bot holds a confirmed position in the second symbol."""
    parts = make_parts(both)
    run = backtest_of(parts, markets, deployed, stop=int(markets[OTHER].time[STOP - 1]))
    forget(parts)
    deals = (deal for deal in run.trades if deal.symbol == OTHER and deal.exit_time > deal.entry_time + 5 * HOUR)
    return int((next(deals).entry_time - int(markets[OTHER].time[0])) // HOUR) + 3
