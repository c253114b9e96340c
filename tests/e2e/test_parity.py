"""A replay traded live gives the backtest's trades to the cent, whatever happens on the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from nightdesk import settings as settings_module
from nightdesk import wiring
from nightdesk.settings import Settings
from nightdesk_core.journal import Journal, journal_path
from nightdesk_core.registry import ModelRegistry, Standing
from nightdesk_guard import PerformanceGuard
from nightdesk_sandbox.sample import load_candles
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_trendbot import backtest, model
from nightdesk_trendbot.candles import Candles
from nightdesk_trendbot.engine import Engine, EngineState, break_even_win_rate
from nightdesk_trendbot.live import STATE_KEY
from nightdesk_trendbot.strategy import Deployment
from nightdesk_trendbot.training import label_events, train

from tests.e2e.conftest import change, nightdesk, until

REPLAY_DAYS = 60
SPEED = 150

Start = Callable[[list[str]], "subprocess.Popen[bytes]"]


@pytest.fixture
def settings(settings_file: Path) -> Settings:
    """A short, fast replay, and a guard that is easily alarmed, so that it moves within it."""
    change(settings_file, "sandbox", {"replay_days": REPLAY_DAYS, "candles_per_second": SPEED})
    tier = {"win_rate_standard_errors": 1.0, "losing_streak": 2, "drawdown_ratio": 0.01}
    harder = {"win_rate_standard_errors": 2.0, "losing_streak": 3, "drawdown_ratio": 0.02}
    change(settings_file, "guard", {"window_trades": 5, "cool_down_days": 2, "reduced": tier, "paused": harder})
    return settings_module.load(settings_file)


def all_candles(settings: Settings) -> Candles:
    """Return the whole sample as the bot sees it."""
    sample = load_candles(settings.sandbox, home=settings.home)
    columns = (sample.time, sample.open, sample.high, sample.low, sample.close, sample.volume)
    return Candles(*columns, interval_seconds=3600)


def install(settings: Settings, candles: Candles, *, seed: int, standing: Standing) -> str:
    """Train on what lies before the replay, make the model the champion, and return its version."""
    registry = ModelRegistry(settings.path(settings.bot.models_dir))
    known = candles.slice(0, len(candles) - REPLAY_DAYS * 24)
    chosen = settings.trendbot.model.model_copy(update={"seed": seed})
    fitted = train(label_events(known, settings.trendbot), chosen, progress=lambda _stage, _share: None)
    staged = registry.stage(fitted.files())
    ends = float(known.time[-1])
    manifest = registry.publish(
        staged,
        strategy="test",
        train_start=0,
        train_end=ends,
        last_label_end=ends,
        data_end=ends,
        data_fingerprint="",
    )
    before = registry.champion()
    registry.promote(manifest.version, standing=standing, instead_of=None if before is None else before.version)
    return manifest.version


def last_close(settings: Settings) -> int:
    """Return the close of the last candle that the bot has committed; 0 before the first."""
    path = journal_path(wiring.state_dir(settings), settings.bot.name)
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        # The bot may have created the file and not yet its tables.
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
            return 0
        row = connection.execute("SELECT value FROM state WHERE key = ?", (STATE_KEY,)).fetchone()
    return 0 if row is None else int(json.loads(row[0])["last_close"])


def served(settings: Settings) -> AbstractAsyncContextManager[ExchangeHandle]:
    """Serve the exchange where the bot's settings expect it."""
    return serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange"))


def assert_same_as_backtest(settings: Settings, candles: Candles, deployments: list[tuple[int, Deployment]]) -> Journal:
    """Hold the journal against the engine over the same candles, to the last bit, and return it."""
    journal = Journal(journal_path(wiring.state_dir(settings), settings.bot.name))
    stored = journal.load(STATE_KEY)
    assert stored is not None
    equity = journal.equity()
    expected = backtest.run(
        candles,
        settings.trendbot,
        first=int(np.searchsorted(candles.time, equity[0][0] - candles.interval_seconds)),
        stop=int(np.searchsorted(candles.time, stored["last_close"])),
        deployments=deployments,
        guard=PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(settings.trendbot)),
        flat_at_end=False,
    )
    assert journal.trades() == list(expected.trades)
    assert equity == list(zip(expected.close_time, expected.equity, strict=True))
    assert journal.transitions() == list(expected.transitions)
    state, reached = EngineState.from_json(stored), expected.state
    if state.last_open >= state.last_close:
        # The bot was stopped after the next candle had opened, so that its open is behind it as well.
        price = float(candles.open[np.searchsorted(candles.time, state.last_open)])
        engine = Engine(settings.trendbot, interval_seconds=candles.interval_seconds, guard=None)
        reached = engine.at_open(reached, time=state.last_open, price=price)
    assert (state.account, state.guard) == (reached.account, reached.guard)
    return journal


def deployed(settings: Settings, version: str, *, size_share: float) -> Deployment:
    """Return a model of the registry as the bot deploys it."""
    loaded = model.load(wiring.registry(settings).bundle(version), None)
    return Deployment(replace(loaded, version=version), size_share)


async def test_live_equals_the_backtest_through_a_kill_and_a_model_swap(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    candles = all_candles(settings)
    first_version = install(settings, candles, seed=7, standing="provisional")
    interval = candles.interval_seconds
    beginning = len(candles) - REPLAY_DAYS * 24
    command = nightdesk(settings_file, "bot")

    async with (
        serve_exchange(
            settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")
        ) as handle,
        aiohttp.ClientSession() as session,
    ):

        async def reached(market_time: float) -> bool:
            return last_close(settings) >= market_time

        async def control(path: str) -> None:
            async with session.post(f"{handle.url}/sandbox/{path}") as answer:
                assert answer.ok

        async def caught_up() -> None:
            now = handle.exchange.replay.now() // interval * interval
            await until(lambda: reached(now), "the bot to catch up with the paused market", seconds=40)

        bot = programs(command)
        await until(lambda: reached(candles.time[beginning + 15 * 24]), "two weeks of trading", seconds=40)
        bot.kill()
        bot.wait()
        # However long the bot takes to come back, the market has not run to its end meanwhile.
        await control("pause")
        programs(command)
        await caught_up()
        await control("resume")
        await until(lambda: reached(candles.time[beginning + 30 * 24]), "a month of trading", seconds=40)

        await control("pause")
        await caught_up()
        swapped_after = last_close(settings)
        second_version = install(settings, candles, seed=11, standing="champion")
        await control("resume")
        await until(lambda: reached(candles.time[-1] - interval), "the replay's end", seconds=60)

    provisional_share = settings.trendbot.sizing.provisional_share
    journal = assert_same_as_backtest(
        settings,
        candles,
        [
            (0, deployed(settings, first_version, size_share=provisional_share)),
            (swapped_after + 1, deployed(settings, second_version, size_share=1.0)),
        ],
    )
    # The comparison means nothing unless all that it compares has happened.
    trades = journal.trades()
    assert len(trades) >= 15
    assert {trade.model_version for trade in trades} == {first_version, second_version}
    assert {"reduced", "paused", "normal"} <= {transition.after for transition in journal.transitions()}
    journal.close()


async def test_live_equals_the_backtest_through_a_dropped_a_silent_and_a_failing_exchange(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    candles = all_candles(settings)
    version = install(settings, candles, seed=7, standing="champion")
    beginning = len(candles) - REPLAY_DAYS * 24

    async with (
        serve_exchange(
            settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")
        ) as handle,
        aiohttp.ClientSession() as session,
    ):

        async def reached(day: int) -> bool:
            return last_close(settings) >= int(candles.time[beginning + day * 24])

        async def fault(name: str, seconds: float) -> None:
            async with session.post(f"{handle.url}/sandbox/fault", json={"name": name, "seconds": seconds}) as answer:
                assert answer.ok

        programs(nightdesk(settings_file, "bot"))
        await until(lambda: reached(5), "five days of trading", seconds=40)
        await fault("drop", 0.5)
        await until(lambda: reached(20), "trading after the connection was dropped", seconds=40)
        await fault("silence", 1)
        await until(lambda: reached(35), "trading after the stream was silent", seconds=40)
        await fault("error500", 1)
        await fault("drop", 0.2)
        await until(lambda: reached(REPLAY_DAYS - 1), "trading after the interface failed", seconds=60)

    journal = assert_same_as_backtest(settings, candles, [(0, deployed(settings, version, size_share=1.0))])
    assert len(journal.trades()) >= 15
    journal.close()
