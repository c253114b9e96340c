"""The live loop on a scripted exchange: it trades the backtest, through a restart, and nothing without a model."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import DamagedJournalError, JournalError
from nightdesk_core.models.pipeline import DataError
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.state import equity
from nightdesk_trendbot.live import bot as bot_module
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from nightdesk_trendbot.live.stored_market import restored
from nightdesk_trendbot.market.events import Step
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.champion import ChampionWatch
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import PortfolioSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles
from nightdesk_trendbot.signals.signal import Outcome

from tests.trendbot.conftest import COUNT, FIRST, HOUR, STOP, MakeParts, Trade, make_candles
from tests.trendbot.live.against_backtest import assert_same_as_backtest, blocked_in
from tests.trendbot.live.parts import forget
from tests.trendbot.replay import OTHER, SYMBOL, Replay, ReplayClock

pytestmark = pytest.mark.usefixtures("no_waits")


async def test_live_trades_the_backtest_through_a_restart_with_the_guard_on(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    middle = FIRST + 130
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, middle))
    parts.journal.close()
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, middle + 4, STOP))

    expected = assert_same_as_backtest(parts, {SYMBOL: candles}, deployed, stop=int(candles.time[STOP - 1]))
    assert len(expected.trades) >= 5
    assert expected.transitions
    snapshot = parts.exporter.snapshot
    assert snapshot.equity_peak == expected.state.peak_equity
    assert snapshot.guard == expected.state.guard.status.value
    assert not [key for key in snapshot.counters if key[0] == "instrumentation_errors"]


async def test_a_bot_that_catches_up_beats_its_heart_and_records_and_obeys_between_any_two_candles(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 5))
    parts.journal.close()
    turns, at_candles = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    on_step = LiveBot._on_step

    def noted(self: LiveBot, step: Step) -> None:
        at_candles.append(turns)
        on_step(self, step)

    monkeypatch.setattr(LiveBot, "_on_step", noted)
    beside = asyncio.create_task(others())
    await trade(make_parts(), Replay({SYMBOL: candles}, FIRST + 100, FIRST + 102))
    beside.cancel()
    assert len(at_candles) > 90
    assert len(set(at_candles)) == len(at_candles)


async def test_what_comes_too_late_is_not_entered_and_the_rest_is_the_backtest_s(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    assert isinstance(parts.clock, ReplayClock)
    parts.clock.late_seconds = lambda hour: 500.0 * (hour % 3 == 0) if hour > FIRST + 5 else 0.0
    await trade(parts, Replay({SYMBOL: candles}, FIRST, STOP))

    blocked = blocked_in(parts)
    assert set(blocked.values()) == {Outcome.BLOCKED_STALE}
    assert 70 < len(blocked) < 90
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_STALE] > 0
    stop = int(candles.time[STOP - 1])
    expected = assert_same_as_backtest(parts, {SYMBOL: candles}, deployed, stop=stop, blocked=blocked)
    assert len(expected.trades) >= 5
    assert not {trade.entry_time for trade in expected.trades} & set(blocked)


class HeldTrial:
    """A trial of bundles that goes on until it is let go."""

    def __init__(self) -> None:
        self.go = Event()

    def __call__(self, _bundle: Path) -> None:
        assert self.go.wait(60)

    def remembered(self, _bundle: Path) -> str | None:
        return "" if self.go.is_set() else None


async def test_a_bot_whose_model_s_trial_hangs_starts_without_it_manages_its_position_and_takes_it_after_the_verdict(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    registry: ModelRegistry,
    deployed: MetaModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bot_module, "_TRIAL_PATIENCE_SECONDS", 0.1)
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, STOP))
    deal = next(each for each in parts.journal.trades() if each.exit_time > each.entry_time + 5 * HOUR)
    forget(parts)

    held_from = int(deal.entry_time - candles.time[0]) // HOUR + 3
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, held_from))
    before = parts.journal.trades()
    parts.journal.close()
    held = HeldTrial()
    try:
        watch = ChampionWatch(ModelRegistry(registry.folder, trial=held), parts.tuning.trendbot)
        parts = make_parts(watch=watch)
        begun = monotonic()
        await trade(parts, Replay({SYMBOL: candles}, held_from, STOP))
        assert monotonic() - begun < 30
        (closed,) = [each for each in parts.journal.trades() if each not in before]
        assert (closed.entry_time, closed.exit_time) == (deal.entry_time, deal.exit_time)
        assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_NO_MODEL] > 0
        assert watch.deployment is None
    finally:
        held.go.set()
    bot = LiveBot(parts)
    housekeeping = [asyncio.create_task(task) for task in bot._housekeeping.tasks()]
    async with asyncio.timeout(10):
        while watch.deployment is None:
            await asyncio.sleep(0.05)
    for task in housekeeping:
        task.cancel()
    assert bot._guard.model == watch.deployment.in_use


async def test_two_symbols_that_share_one_equity_trade_the_backtest_live_through_a_restart(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    eager: TrendbotSettings,
    deployed: MetaModel,
) -> None:
    """The second market pauses at weekends, and its positions count together with the first one's."""
    paused = tuple(hour for hour in range(COUNT) if hour % 168 >= 120)
    markets = {SYMBOL: candles, OTHER: make_candles(COUNT, seed=5, missing=paused)}
    together = PortfolioSettings(correlation_threshold=0.0, correlated_daily_volatility=0.011, smallest_share=0.1)
    settings = eager.model_copy(update={"symbols": tuple(markets), "portfolio": together})
    parts = make_parts(settings)
    await trade(parts, Replay(markets, FIRST, FIRST + 200))
    parts.journal.close()
    parts = make_parts(settings)
    await trade(parts, Replay(markets, FIRST + 230, FIRST + 500))

    stop = int(candles.time[FIRST + 499])
    expected = assert_same_as_backtest(parts, markets, deployed, stop=stop)
    assert {trade.symbol for trade in expected.trades} == set(markets)
    alone = settings.model_copy(update={"portfolio": PortfolioSettings(correlation_threshold=1.0)})
    unbound = backtest.run(
        markets,
        alone,
        start=float(candles.time[FIRST]),
        end=stop,
        deployments=[(0, Deployment(deployed))],
        guard=parts.tuning.performance,
        flat_at_end=False,
    )
    assert sum(trade.quantity for trade in unbound.trades) > sum(trade.quantity for trade in expected.trades)


async def test_known_failure_16_with_a_model_that_cannot_be_loaded_the_bot_says_so_and_trades_nothing(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    registry: ModelRegistry,
    deployed: MetaModel,
) -> None:
    (registry.folder / deployed.version / "lightgbm.txt").write_text("damaged")
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 100))
    assert parts.journal.trades() == []
    assert len(parts.journal.equity()) == 99
    snapshot = parts.exporter.snapshot
    assert snapshot.counters["model_load_failures",] == 1
    assert snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_NO_MODEL] > 0
    assert snapshot.counters["signals", SYMBOL, Outcome.ENTERED] == 0
    assert (snapshot.model, snapshot.model_known) == (None, True)
    names = {issue.name for issue in parts.exporter.health().issues}
    assert names == {"model_missing", "model_not_loaded"}


async def test_the_journal_of_another_market_is_refused(make_parts: MakeParts, trade: Trade, candles: Candles) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 10))
    exchange = parts.tuning.trendbot.exchange.model_copy(update={"id": "binance"})
    other = parts.tuning.trendbot.model_copy(update={"exchange": exchange})
    elsewhere = replace(parts, tuning=replace(parts.tuning, trendbot=other))
    with pytest.raises(JournalError) as raised:
        LiveBot(elsewhere)
    assert raised.value.reason == (
        "is of another market (exchange 'bybit', now 'binance'); set it aside, or give the bot another bot.state_dir"
    )


async def test_symbols_may_come_and_go_and_what_they_earned_stays(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    eager: TrendbotSettings,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, STOP))
    found = restored(parts.journal, parts.tuning.trendbot)
    assert found is not None
    both = restored(parts.journal, eager.model_copy(update={"symbols": (OTHER, SYMBOL)}))
    assert both is not None
    assert list(both.books) == [OTHER, SYMBOL]
    assert equity(both, {}) == pytest.approx(found.equity)
    other = eager.model_copy(update={"symbols": (OTHER,)})
    flat = replace(found, books={SYMBOL: replace(found.books[SYMBOL], account=broker.flat(12.5))})
    held = replace(flat, books={SYMBOL: replace(flat.books[SYMBOL], account=broker.flat(12.5)._replace(side=1))})
    parts.journal.save(STATE_KEY, stored.plain(held))
    kept = restored(parts.journal, other)
    assert kept is not None
    assert (list(kept.books), kept.books[SYMBOL].account.side) == ([OTHER, SYMBOL], 1)
    parts.journal.save(STATE_KEY, stored.plain(flat))
    without = restored(parts.journal, other)
    assert without is not None
    assert (list(without.books), without.cash) == ([OTHER], flat.cash + 12.5)


async def test_a_state_that_is_not_one_of_ours_is_a_damaged_journal(make_parts: MakeParts) -> None:
    parts = make_parts()
    parts.journal.save(STATE_KEY, {"last_close": 5})
    with pytest.raises(DamagedJournalError, match="its state is not one that this release wrote"):
        LiveBot(parts)


async def test_an_exchange_that_lies_before_the_journal_is_refused(
    make_parts: MakeParts, trade: Trade, candles: Candles
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 100))
    parts.journal.close()
    with pytest.raises(DataError, match="lies before the journal's last candle"):
        await trade(make_parts(), Replay({SYMBOL: candles}, FIRST, FIRST + 50))
