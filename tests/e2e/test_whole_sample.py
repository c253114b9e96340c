"""Over the whole sample of both markets: every way through the engine gives the same trades; the demo makes enough."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nightdesk.settings import load
from nightdesk_core.files import stored
from nightdesk_core.models.pipeline import WindowInfo
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_guard import PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.settings import SandboxSettings
from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
from nightdesk_trendbot.engine.state import read_state
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.labels import label_events, pooled
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.settings import ModelSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.e2e.conftest import CHECKOUT

INTERVAL = 3600
DAY = 86_400
SYMBOLS = {"BTCUSDT": "BTC/USDT:USDT", "EURUSDT": "EUR/USDT:USDT"}
FUNDING = 0.0001


@pytest.fixture(scope="module")
def markets() -> Markets:
    """The whole sample, as a bot would collect it, with some funding."""
    samples = load_markets(
        SandboxSettings.model_validate({"symbols": list(SYMBOLS), "cache_dir": CHECKOUT / "var" / "cache"}),
        home=CHECKOUT,
    )
    found = {}
    for symbol, sample in samples.items():
        columns = (sample.time, sample.open, sample.high, sample.low, sample.close, sample.volume)
        rates = {int(time): FUNDING for time in sample.time if time % (8 * INTERVAL) == 0}
        found[SYMBOLS[symbol]] = Candles(*columns, interval_seconds=INTERVAL).with_funding(rates)
    return found


@pytest.fixture(scope="module")
def both() -> TrendbotSettings:
    """The settings as they are shipped, but for the second symbol."""
    return TrendbotSettings(symbols=tuple(SYMBOLS.values()))


@pytest.fixture(scope="module")
def make_model(markets: Markets, both: TrendbotSettings) -> Callable[[int], MetaModel]:
    """Train a model on the first two thirds of the sample, from a seed."""
    until = ends(markets)[0] + (ends(markets)[1] - ends(markets)[0]) * 2 / 3
    events = pooled([label_events(candles.before(until), both) for candles in markets.values()])

    def make(seed: int) -> MetaModel:
        chosen = both.model_copy(update={"model": ModelSettings(seed=seed)})
        return replace(train(events, chosen, progress=lambda _stage, _share: None), version=f"seed-{seed}")

    return make


def ends(markets: Markets) -> tuple[float, float]:
    """Return when the first candle of all opens and when the last one closes."""
    opened = [int(candles.time[0]) for candles in markets.values()]
    closed = [int(candles.time[-1]) + INTERVAL for candles in markets.values()]
    return float(min(opened)), float(max(closed))


def test_the_compiled_backtest_is_the_loop_s_to_the_last_bit(
    markets: Markets, both: TrendbotSettings, make_model: Callable[[int], MetaModel]
) -> None:
    start, end = ends(markets)
    used = Deployment(make_model(7))
    compiled = backtest.evaluate(markets, both, used, start=start, end=end)
    loop = backtest.run(markets, both, start=start, end=end, deployments=[(0, used)], guard=None, flat_at_end=True)
    assert compiled.trades == loop.trades
    _, returns = backtest.daily_returns(np.array(loop.close_time), np.array(loop.equity), start=both.initial_equity)
    assert compiled.daily_returns == tuple(float(value) for value in returns)
    assert loop.equity[-1] == pytest.approx(both.initial_equity + sum(trade.profit for trade in loop.trades), abs=0.005)
    assert {trade.symbol for trade in loop.trades} == set(markets)
    assert len(loop.trades) > 250
    assert any(trade.funding != 0 for trade in loop.trades)


def test_restarts_change_nothing_with_the_guard_and_sizing_on_and_a_model_swap_midway(
    markets: Markets,
    both: TrendbotSettings,
    make_model: Callable[[int], MetaModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run over the sample is many that each go on from what the journal would hold of the one before."""
    first, last = ends(markets)
    swap = int(first + (last - first) / 2) // INTERVAL * INTERVAL
    deployments = [(0, Deployment(make_model(7), 0.25)), (swap, Deployment(make_model(8)))]
    # Easily alarmed, and by the win rate first of all: that is what remembers most.
    tiers = {
        "reduced": {"win_rate_standard_errors": 0.5, "losing_streak": 4, "drawdown_ratio": 0.05},
        "paused": {"win_rate_standard_errors": 1.0, "losing_streak": 6, "drawdown_ratio": 0.10},
    }
    nervous = GuardSettings.model_validate({"window_trades": 10, "cool_down_days": 5, **tiers})
    guard = PerformanceGuard(nervous, break_even_win_rate=break_even_win_rate(Rules.of(both)))

    def trade(start: float, end: float) -> backtest.Run:
        return backtest.run(
            markets, both, start=start, end=end, deployments=deployments, guard=guard, flat_at_end=False
        )

    whole = trade(first, last)
    held = [trade.entry_time + INTERVAL for trade in whole.trades[::25]]
    edges = sorted({first, *map(float, held), float(swap), last})
    parts = [trade(edges[0], edges[1])]
    for start, end in itertools.pairwise(edges[1:]):
        written = json.dumps(stored.plain(parts[-1].state))
        with monkeypatch.context() as patched:
            # A run begins with a new state; these begin with what is left of the one before.
            patched.setattr(
                backtest, "new_state", lambda *_, written=written: read_state(json.loads(written), source="a test")
            )
            parts.append(trade(start, end))

    assert len(parts) > 8
    assert any(book.account.side != 0 for part in parts[:-1] for book in part.state.books.values())
    assert [trade for part in parts for trade in part.trades] == list(whole.trades)
    assert [value for part in parts for value in part.equity] == list(whole.equity)
    assert [moved for part in parts for moved in part.transitions] == list(whole.transitions)
    assert parts[-1].state == whole.state
    assert whole.state.peak_equity == max(both.initial_equity, *whole.equity)
    assert {trade.model_version for trade in whole.trades} == {"seed-7", "seed-8"}
    assert {moved.after for moved in whole.transitions} == {"reduced", "paused", "normal"}


def test_in_the_demo_s_replay_the_first_champion_makes_at_least_60_trades(markets: Markets, tmp_path: Path) -> None:
    """At full size, guard off; trained as the demo's bootstrap does: before its hold-out, which ends at the replay."""
    settings = load(CHECKOUT / "nightdesk.yml")
    assert settings.trendbot.model_copy(update={"exchange": TrendbotSettings().exchange}) == TrendbotSettings()
    traded = {symbol: replace(markets[symbol], funding=np.zeros(0)) for symbol in settings.trendbot.symbols}
    replayed = next(iter(load_markets(settings.sandbox, home=settings.home).values()))
    now = replay_start(replayed, settings.sandbox.replay_days)
    known = {
        symbol: candles.between(now - settings.retrain.history_days * DAY, now) for symbol, candles in traded.items()
    }
    start, end = ends(known)
    pipeline = TrendPipeline(settings.trendbot)
    fitted = pipeline.fit(
        CandleWindow(known, WindowInfo(start=start, end=end, rows=0, fingerprint="")),
        until=end - settings.retrain.holdout_days * DAY,
        progress=lambda _stage, _share: None,
    )
    champion = pipeline.load(ModelRegistry(tmp_path).stage(fitted.files))

    whole = CandleWindow(traded, WindowInfo(start=start, end=ends(traded)[1], rows=0, fingerprint=""))
    replay = pipeline.backtest(champion, whole, start=float(now), end=ends(traded)[1])
    assert (replay.end - replay.start) / DAY == pytest.approx(180, abs=1)
    assert len(replay.trades) >= 60
