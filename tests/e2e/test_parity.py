"""A replay of two markets traded live gives the backtest's trades to the last bit, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk.settings import Settings
from nightdesk_core.clock import MarketTime
from nightdesk_core.files.reader import read_packed
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_core.models.champion import Standing
from nightdesk_guard import PerformanceGuard
from nightdesk_sandbox.exchange import ReplayExchange
from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
from nightdesk_trendbot.engine.state import read_state
from nightdesk_trendbot.live.decision_log import DecisionLog, log_path
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from nightdesk_trendbot.live.set_aside import set_aside
from nightdesk_trendbot.market.exchange import Exchange, open_exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.model import backtest, meta_model
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.labels import label_events, pooled
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS, Bar, Candles, Ints
from nightdesk_trendbot.signals.signal import Outcome

from tests.e2e.conftest import change, nightdesk, until
from tests.e2e.test_faults import FAULTS

SYMBOLS = ("BTC/USDT:USDT", "EUR/USDT:USDT")
INTERVAL = 3600
REPLAY_DAYS = 60
SPEED = 150

Start = Callable[[list[str]], "subprocess.Popen[bytes]"]


@pytest.fixture
def settings(settings_file: Path) -> Settings:
    """A short, fast replay, and a guard that is easily alarmed, so that it moves within it."""
    change(
        settings_file,
        "sandbox",
        {
            "replay_days": REPLAY_DAYS,
            "candles_per_second": SPEED,
            "symbols": ["BTCUSDT", "EURUSDT"],
            "funding_rate": 0.0003,
        },
    )
    change(
        settings_file,
        "trendbot",
        {
            "symbols": list(SYMBOLS),
            "barriers": {"mode": "volatility"},
            "entry": {"threshold": 0.45},
            "portfolio": {"correlation_threshold": 0.0, "correlated_daily_volatility": 0.011, "smallest_share": 0.1},
        },
    )
    tier = {"win_rate_standard_errors": 1.0, "losing_streak": 2, "drawdown_ratio": 0.01}
    harder = {"win_rate_standard_errors": 1.5, "losing_streak": 3, "drawdown_ratio": 0.014}
    easily = {"trades": 3, "wins_in_a_row": 2}
    # The kill switch is not what is tested here: prices are shocked, and markets stand still while bots catch up.
    patient = {"stale_minutes": 1e9, "floor_drawdown_ratio": 0.99}
    change(
        settings_file,
        "guard",
        {
            "window_trades": 5,
            "cool_down_days": 1,
            "reduced": tier,
            "paused": harder,
            "recovery": easily,
            "kill_switch": patient,
            "entries": {"stale_seconds": 1e9, "clock_offset_seconds": 1e9},
        },
    )
    change(settings_file, "operations", {"limits": {"daily_loss_ratio": 0.99, "leverage_ratio": 1e9}})
    # The decisions are packed several times meanwhile, and none goes.
    change(settings_file, "retention", {"decisions_megabytes": 1})
    return settings_module.load(settings_file)


def all_candles(settings: Settings) -> Markets:
    """Return the whole sample of every symbol as the bot sees it, with what the sandbox pays for funding."""
    found = {}
    samples = load_markets(settings.sandbox, home=settings.home)
    for symbol, sample in zip(settings.trendbot.symbols, samples.values(), strict=True):
        columns = (sample.time, sample.open, sample.high, sample.low, sample.close, sample.volume)
        candles = Candles(*columns, interval_seconds=3600)
        if interval(settings) != 3600:
            chart = Aggregate(HourlyCandles(sample, now=partial(float, sample.end)), interval(settings))
            longer = [chart.candle(index) for index in range(chart.confirmed())]
            # The replay may end within one: a bot sees it open.
            longer += [candle for candle in (chart.forming(),) if candle is not None]
            bars = [Bar(each.time, each.open, each.high, each.low, each.close, each.volume) for each in longer]
            candles = Candles.from_bars(bars, interval_seconds=interval(settings))
        rates = {int(time): settings.sandbox.funding_rate for time in candles.time if time % (8 * 3600) == 0}
        found[symbol] = candles.with_funding(rates)
    return found


def interval(settings: Settings) -> int:
    """Return the seconds between two candles of the bot."""
    return TIMEFRAME_SECONDS[settings.trendbot.timeframe]


def times(markets: Markets) -> Ints:
    """Return the opens of the first symbol's candles: they set the time."""
    return next(iter(markets.values())).time


def install(settings: Settings, markets: Markets, *, seed: int, standing: Standing) -> str:
    """Train on what lies before the replay, make the model the champion, and return its version."""
    registry = home.registry(settings)  # its trial is over when it is promoted, as with the job
    ends = float(times(markets)[-REPLAY_DAYS * 86_400 // interval(settings)])
    model_settings = settings.trendbot.model.model_copy(update={"seed": seed})
    chosen = settings.trendbot.model_copy(update={"model": model_settings})
    events = pooled([label_events(candles.before(ends), chosen) for candles in markets.values()])
    fitted = train(events, chosen, progress=lambda _stage, _share: None)
    staged = registry.stage(fitted.files())
    manifest = registry.publish(
        registry.seal(
            staged,
            strategy="test",
            train_start=MarketTime(0),
            train_end=MarketTime(ends),
            last_label_end=MarketTime(ends),
            data_end=MarketTime(ends),
            data_fingerprint="",
        )
    )
    before = registry.champion()
    registry.promote(manifest.version, standing=standing, instead_of=None if before is None else before.version)
    return manifest.version


def last_close(settings: Settings) -> int:
    """Return the close of the last candle that the bot has committed; 0 before the first."""
    path = journal_path(home.state_dir(settings), settings.bot.name)
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


@asynccontextmanager
async def never_far_behind(settings: Settings, exchange: ReplayExchange) -> AsyncIterator[None]:
    """Hold the market while the bot lies a second behind it: on a busy machine it would come too late for all."""
    a_second = settings.sandbox.candles_per_second * INTERVAL

    async def hold() -> None:
        while True:
            behind = exchange.replay.now() - last_close(settings)
            if exchange.replay.state == "running" and behind > a_second:
                exchange.pause()
            elif exchange.replay.state == "paused" and behind < a_second / 2:
                exchange.run()
            await asyncio.sleep(0.02)

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding


def came_too_late(settings: Settings) -> dict[int, Outcome]:
    """Return at which closes the bot could enter nothing because it saw them too late, or by a wrong clock."""
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    return {record.time.whole_seconds: Outcome(record.late) for record in log.read() if record.late}


def assert_same_as_backtest(settings: Settings, markets: Markets, deployments: list[tuple[int, Deployment]]) -> Journal:
    """Hold the journal against the engine over the same candles, to the last bit, and return it."""
    journal = Journal(journal_path(home.state_dir(settings), settings.bot.name))
    stored = journal.load(STATE_KEY)
    assert stored is not None
    equity = journal.equity()
    expected = backtest.run(
        markets,
        settings.trendbot,
        start=equity[0][0].seconds - interval(settings),
        end=stored["last_close"],
        deployments=deployments,
        guard=PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot))),
        flat_at_end=False,
        blocked=came_too_late(settings),
        set_aside={
            symbol: [each.time.whole_seconds for each in kept] for symbol, kept in set_aside(journal, markets).items()
        },
    )
    assert journal.trades() == list(expected.trades)
    assert journal.trades(shadow=True) == list(expected.shadow_trades)
    assert [(time.seconds, value) for time, value in equity] == list(
        zip(expected.close_time, expected.equity, strict=True)
    )
    assert journal.transitions() == list(expected.transitions)
    state, reached = read_state(stored, source="the journal"), expected.state
    engine = Engine(settings.trendbot, interval_seconds=interval(settings), guard=None)
    for symbol, book in state.books.items():
        if book.last_open >= state.last_close:
            # The bot was stopped after the next candle had opened, so that its open is behind it as well.
            price = float(markets[symbol].between(book.last_open.seconds, book.last_open.seconds + 1).open[0])
            reached = engine.at_open(reached, symbol, time=book.last_open, price=price)
        assert book.account == reached.books[symbol].account
        if state.shadow is not None:
            assert reached.shadow is not None
            assert state.shadow.books[symbol].account == reached.shadow.books[symbol].account
    assert state.guard == reached.guard
    return journal


def assert_much_was_traded(settings: Settings, journal: Journal) -> None:
    """Fail where the bot hardly traded. Of its entries some come too late, or on a candle that is set aside."""
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    late = sum(record.late != "" and record.outcome == record.late for record in log.read())
    refused = sum(len(kept) for kept in set_aside(journal, SYMBOLS).values())
    traded = len(journal.trades())
    came = f"{traded} trades, {late} entries too late, {refused} candles refused"
    assert traded >= 8, came
    assert traded + late + refused >= 15, came


def deployed(settings: Settings, version: str, *, size_share: float) -> Deployment:
    """Return a model of the registry as the bot deploys it."""
    loaded = meta_model.load(home.registry(settings).bundle(version), None)
    return Deployment(replace(loaded, version=version), size_share)


async def test_live_equals_the_backtest_through_a_kill_and_a_model_swap(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    markets = all_candles(settings)
    first_version = install(settings, markets, seed=7, standing="provisional")
    time = times(markets)[-REPLAY_DAYS * 24 :]
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

        async def stop_market_after(days: int) -> None:
            """Pause it by its own time: on a busy machine the bot may lie far behind it."""

            async def there() -> bool:
                return handle.exchange.replay.now() >= float(time[days * 24])

            await until(there, f"{days} days of the market", seconds=60)
            await control("pause")

        async def caught_up() -> None:
            now = handle.exchange.replay.now() // INTERVAL * INTERVAL
            await until(lambda: reached(now), "the bot to catch up with the paused market", seconds=40)

        bot = programs(command)
        await stop_market_after(days=15)
        bot.kill()
        bot.wait()
        programs(command)
        await caught_up()
        await control("resume")
        await stop_market_after(days=30)
        await caught_up()
        swapped_after = last_close(settings)
        second_version = install(settings, markets, seed=11, standing="probation")
        await control("resume")
        await until(lambda: reached(time[-1]), "the replay's end", seconds=60)

    provisional_share = settings.trendbot.sizing.provisional_share
    journal = assert_same_as_backtest(
        settings,
        markets,
        [
            (0, deployed(settings, first_version, size_share=provisional_share)),
            (swapped_after + 1, replace(deployed(settings, second_version, size_share=1.0), on_probation=True)),
        ],
    )
    # The comparison means nothing unless all that it compares has happened.
    trades = journal.trades()
    assert len(trades) >= 15
    assert {trade.model_version for trade in trades} == {first_version, second_version}
    assert {trade.symbol for trade in trades} == set(SYMBOLS)
    assert any(trade.funding != 0 for trade in trades)
    assert {"reduced", "paused", "normal"} <= {transition.after for transition in journal.transitions()}
    journal.close()


async def test_live_equals_the_backtest_with_candles_of_four_hours(
    settings_file: Path, settings: Settings, programs: Start
) -> None:
    change(settings_file, "trendbot", {"timeframe": "4h", "barriers": {"mode": "volatility", "holding_hours": 96}})
    change(settings_file, "sandbox", {"candles_per_second": 4 * SPEED})
    settings = settings_module.load(settings_file)
    markets = all_candles(settings)
    version = install(settings, markets, seed=7, standing="champion")
    end = float(times(markets)[-1])

    async def reached() -> bool:
        return last_close(settings) >= end

    async with served(settings):
        programs(nightdesk(settings_file, "bot"))
        await until(reached, "the replay's end", seconds=60)
    journal = assert_same_as_backtest(settings, markets, [(0, deployed(settings, version, size_share=1.0))])
    assert len(journal.trades()) >= 3
    assert len(journal.equity()) > 300
    journal.close()


async def test_live_equals_the_backtest_where_one_market_s_candles_cannot_be_true_and_answers_are_none(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    """One candle a day of the second market, through a kill; the exchange's own words are sometimes a page of HTML."""
    change(settings_file, "sandbox", {"candles_per_second": SPEED / 2, "replay_days": 30})
    settings = settings_module.load(settings_file)
    markets = all_candles(settings)
    version = install(settings, markets, seed=7, standing="champion")
    end = float(times(markets)[-1])

    async def reached(market_time: float) -> bool:
        return last_close(settings) >= market_time

    async with served(settings) as handle, aiohttp.ClientSession() as session:

        async def begin(**fault: object) -> None:
            async with session.post(f"{handle.url}/sandbox/fault", json=fault) as answer:
                assert answer.ok

        await begin(name="impossible", symbol="EURUSDT", every=24, seconds=3600)
        bot = programs(nightdesk(settings_file, "bot"))
        await until(lambda: reached(end - 20 * 86_400), "ten days of the replay", seconds=60)
        bot.kill()
        bot.wait()
        programs(nightdesk(settings_file, "bot"))
        await until(lambda: reached(end - 12 * 86_400), "eighteen days of the replay", seconds=60)
        await begin(name="wrong_answer", seconds=1)
        await until(lambda: reached(end), "the replay's end", seconds=60)
    journal = assert_same_as_backtest(settings, markets, [(0, deployed(settings, version, size_share=1.0))])
    kept = set_aside(journal, SYMBOLS)
    replayed = [each for each in kept[SYMBOLS[1]] if each.time >= journal.equity()[0][0]]
    assert 15 <= len(replayed) <= 60
    assert len({each.reason for each in kept[SYMBOLS[1]]}) >= 6
    assert len(journal.trades()) >= 3
    journal.close()


async def test_live_equals_the_backtest_through_every_fault_and_random_pairs_of_them(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    change(settings_file, "sandbox", {"candles_per_second": SPEED / 2})
    settings = settings_module.load(settings_file)
    markets = all_candles(settings)
    version = install(settings, markets, seed=7, standing="champion")
    chosen = random.Random(20)
    rounds = [[name] for name in FAULTS] + [chosen.sample(sorted(FAULTS), 2) for _ in range(12)]
    chosen.shuffle(rounds)

    async with served(settings) as handle, aiohttp.ClientSession() as session:

        async def begin(name: str) -> None:
            fault = {**FAULTS[name], "seconds": 0.3}
            async with session.post(f"{handle.url}/sandbox/fault", json=fault) as answer:
                assert answer.ok

        async def reached(market_time: float) -> bool:
            return last_close(settings) >= market_time

        async def is_past(market_time: float) -> bool:
            return handle.exchange.replay.now() >= market_time

        bot = programs(nightdesk(settings_file, "bot"))
        time = times(markets)[-REPLAY_DAYS * 24 :]
        await until(lambda: reached(time[24]), "a day of trading", seconds=40)
        # By the market's time: the day of its shock says how many entries even the backtest makes, of 26 from 16 to 32.
        begins = float(time[12 * 24])
        for names in rounds:
            await until(partial(is_past, begins), "the next faults' hour", seconds=60)
            begins = handle.exchange.replay.now() + 26 * INTERVAL
            for name in names:
                await begin(name)
        await until(partial(is_past, begins), "the end of the last fault", seconds=60)
        faulty_until = handle.exchange.replay.now()
        await until(lambda: reached(time[-24]), "the replay's end", seconds=60)
        bot.kill()
        bot.wait()
        async with open_exchange(settings.trendbot.exchange, SilentListener()) as exchange:
            await exchange.load(SYMBOLS)
            markets = {symbol: await after_the_shocks(exchange, symbol, candles) for symbol, candles in markets.items()}

    assert faulty_until < time[-24], "the faults outlasted the replay"
    journal = assert_same_as_backtest(settings, markets, [(0, deployed(settings, version, size_share=1.0))])
    assert_much_was_traded(settings, journal)
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    assert log.parts(), "the decisions were never packed"
    decided = b"".join([*map(read_packed, log.parts()), log.path.read_bytes()]).splitlines()
    keys = [(line["time"], line["symbol"]) for line in map(json.loads, decided)]
    assert len(keys) == len(set(keys)), "a candle was decided on twice"
    journal.close()


async def after_the_shocks(exchange: Exchange, symbol: str, candles: Candles) -> Candles:
    """Return a market's candles as they are once its prices were shocked; the last may be forming still."""
    first, stop = int(candles.time[0]), (await exchange.now()).whole_seconds + INTERVAL
    told = await exchange.told(symbol, "1h", start=first, stop=stop, interval_seconds=INTERVAL)
    rates = dict(zip(candles.time.tolist(), candles.funding.tolist(), strict=True))
    return Candles.from_bars(list(told.bars), interval_seconds=INTERVAL).with_funding(rates)


async def test_live_equals_the_backtest_through_kills_at_random_points(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    """Twenty kills; NIGHTDESK_KILLS says another number. The guard moves, positions are held, models decide."""
    kills = int(os.environ.get("NIGHTDESK_KILLS", "20"))
    days = REPLAY_DAYS * max(1, kills // 60)
    change(settings_file, "sandbox", {"candles_per_second": days * 24 / (8 + kills * 0.7), "replay_days": days})
    settings = settings_module.load(settings_file)
    markets = all_candles(settings)
    version = install(settings, markets, seed=7, standing="champion")

    async with served(settings) as handle, never_far_behind(settings, handle.exchange):
        command = [sys.executable, "-m", "tests.e2e.crashes", str(settings_file), "0.9", str(kills), "20"]
        killer = programs(command)

        async def reached_the_end() -> bool:
            assert killer.poll() is None, "a bot ended by itself"
            return last_close(settings) >= int(times(markets)[-1])

        await until(reached_the_end, "the replay's end", seconds=60 + 2 * kills)
        killer.terminate()
        killer.wait(timeout=10)

    journal = assert_same_as_backtest(settings, markets, [(0, deployed(settings, version, size_share=1.0))])
    assert_much_was_traded(settings, journal)
    assert {"reduced", "paused", "normal"} <= {transition.after for transition in journal.transitions()}
    journal.close()
