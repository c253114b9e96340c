"""The live loop on a scripted exchange: it trades the backtest, through a restart, and nothing without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.clock import TimeScale
from nightdesk_core.journal import DamagedJournalError, Journal, JournalError, journal_path
from nightdesk_core.pipeline import DataError
from nightdesk_core.registry import ModelRegistry
from nightdesk_exporter import BotExporter
from nightdesk_guard import KillSwitch, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot import backtest, broker, live
from nightdesk_trendbot.backtest import Markets
from nightdesk_trendbot.candles import Bar, Candles
from nightdesk_trendbot.champion import ChampionWatch
from nightdesk_trendbot.decisions import DecisionLog, log_path
from nightdesk_trendbot.feed import Feed, Step
from nightdesk_trendbot.live import LiveBot, LiveParts
from nightdesk_trendbot.market import STATE_KEY, restored
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import PortfolioSettings, TrendbotSettings
from nightdesk_trendbot.signals import Outcome
from nightdesk_trendbot.state import EngineState, equity
from nightdesk_trendbot.strategy import Deployment

from tests.trendbot.conftest import COUNT, HOUR, KNOWN, bars_of, make_candles, publish

FIRST, STOP = KNOWN, KNOWN + 260


class StreamOverError(Exception):
    """The stream has nothing more to say."""


SYMBOL = "BTC/USDT:USDT"
OTHER = "EUR/USDT:USDT"
FUNDING = 0.0005


class Replay:
    """An exchange that tells the hours from `first` up to `stop`, one message a symbol for each hour's end."""

    def __init__(self, markets: Markets, first: int, stop: int) -> None:
        self.markets = markets
        self.times = next(iter(markets.values())).time
        self.hours = iter(range(first, stop))
        self.hour = first
        self.told: dict[str, int] = {}
        self.on_hour: Callable[[int], None] = lambda _: None
        self.idle: Callable[[], bool] = lambda: True

    async def load(self, symbols: tuple[str, ...]) -> None:
        assert symbols == tuple(self.markets)

    async def now(self) -> float:
        return float(self.times[self.hour]) + 1.0

    async def open_markets(self, symbols: tuple[str, ...]) -> frozenset[str]:
        return frozenset(symbol for symbol in symbols if self.forming(symbol) is not None)

    async def bars(self, symbol: str, _timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        assert interval_seconds == HOUR
        over = self.markets[symbol].between(start, min(stop, self.times[self.hour]))
        forming = self.forming(symbol)
        return [*bars_of(over), *([forming] if forming is not None and start <= forming.time < stop else [])]

    def forming(self, symbol: str) -> Bar | None:
        time = self.times[self.hour]
        candles = self.markets[symbol].between(time, time + 1)
        if len(candles) == 0:
            return None
        current = candles.bar(0)
        return current._replace(high=current.open, low=current.open, close=current.open, volume=0.0, funding=0.0)

    async def funding(self, _symbol: str, *, start: int, stop: int, every_seconds: int) -> dict[int, float]:
        return dict.fromkeys(range(-(-start // every_seconds) * every_seconds, stop, every_seconds), FUNDING)

    async def watch(self, symbol: str, _timeframe: str) -> list[Bar]:
        while True:
            await asyncio.sleep(0)
            if not self.idle():
                continue
            waiting = [
                other for other in self.markets if self.told.get(other) != self.hour and self.forming(other) is not None
            ]
            if symbol in waiting:
                break
            if symbol == next(iter(self.markets)) and not waiting:
                try:
                    self.hour = next(self.hours)
                except StopIteration:
                    raise StreamOverError from None
                self.on_hour(self.hour)
        self.told[symbol] = self.hour
        forming = self.forming(symbol)
        assert forming is not None
        return [forming]

    async def hang_up(self) -> None:
        raise AssertionError("the stream never fails")


@pytest.fixture
def eager(settings: TrendbotSettings) -> TrendbotSettings:
    """A bot that enters on almost every signal."""
    return settings.model_copy(update={"entry": settings.entry.model_copy(update={"threshold": 0.05})})


@pytest.fixture
def make_parts(tmp_path: Path, registry: ModelRegistry, eager: TrendbotSettings) -> Callable[..., LiveParts]:
    """Return the parts of a bot as a new process has them: all that lasts lies on disk."""
    nervous = GuardSettings.model_validate(
        {
            "cool_down_days": 1,
            "reduced": {"win_rate_standard_errors": 1, "losing_streak": 2, "drawdown_ratio": 0.05},
            "paused": {"win_rate_standard_errors": 2, "losing_streak": 4, "drawdown_ratio": 0.10},
        }
    )

    def make(settings: TrendbotSettings = eager) -> LiveParts:
        return LiveParts(
            settings=settings,
            journal=Journal(journal_path(tmp_path, "btc")),
            decisions=DecisionLog(log_path(tmp_path, "btc")),
            watch=ChampionWatch(registry, settings),
            kill_switch=KillSwitch(tmp_path),
            guard=PerformanceGuard(nervous, break_even_win_rate=0.38),
            exporter=BotExporter(
                "btc", symbols=[(symbol, "1h") for symbol in settings.symbols], outcomes=list(Outcome), port=0
            ),
            scale=TimeScale(),
            contact_limit_seconds=300.0,
        )

    return make


@pytest.fixture
def trade(monkeypatch: pytest.MonkeyPatch) -> Callable[[LiveParts, Replay], Any]:
    """Run a bot on a replay until the replay ends."""

    async def run(parts: LiveParts, replay: Replay) -> None:
        @asynccontextmanager
        async def open_exchange(*_: object) -> AsyncIterator[Replay]:
            yield replay

        class Watched(Feed):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                # The next thing happens once the feed has dealt with the last one.
                replay.idle = lambda: bool(self._streams._queue._getters)  # type: ignore[attr-defined]

        monkeypatch.setattr(live, "open_exchange", open_exchange)
        monkeypatch.setattr(live, "Feed", Watched)
        with pytest.raises(StreamOverError):
            await LiveBot(parts).run()

    return run


def assert_same_as_backtest(parts: LiveParts, markets: Markets, model: MetaModel, *, stop: int) -> backtest.Run:
    """Hold the journal against the engine over the same candles, to the last bit."""
    time = next(iter(markets.values())).time
    settled = {int(moment): FUNDING for moment in time if moment % (8 * HOUR) == 0}
    expected = backtest.run(
        {symbol: candles.with_funding(settled) for symbol, candles in markets.items()},
        parts.settings,
        start=float(time[FIRST]),
        end=stop,
        deployments=[(0, Deployment(model))],
        guard=parts.guard,
        flat_at_end=False,
    )
    assert parts.journal.trades() == list(expected.trades)
    assert parts.journal.equity() == list(zip(expected.close_time, expected.equity, strict=True))
    assert parts.journal.transitions() == list(expected.transitions)
    assert any(trade.funding != 0 for trade in expected.trades)
    return expected


async def test_live_trades_the_backtest_through_a_restart_with_the_guard_on(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    middle = FIRST + 130
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, middle))
    parts.journal.close()
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, middle + 4, STOP))

    expected = assert_same_as_backtest(
        parts, {SYMBOL: candles}, replace(model, version=version), stop=int(candles.time[STOP - 1])
    )
    assert len(expected.trades) >= 5
    assert expected.transitions
    snapshot = parts.exporter.snapshot
    assert snapshot.equity_peak == expected.state.peak_equity
    assert snapshot.guard == expected.state.guard.status.value
    assert not [key for key in snapshot.counters if key[0] == "instrumentation_errors"]


async def test_two_symbols_that_share_one_equity_trade_the_backtest_live_through_a_restart(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    eager: TrendbotSettings,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    """The second market pauses at weekends, and its positions count together with the first one's."""
    paused = tuple(hour for hour in range(COUNT) if hour % 168 >= 120)
    markets = {SYMBOL: candles, OTHER: make_candles(COUNT, seed=5, missing=paused)}
    together = PortfolioSettings(correlation_threshold=0.0, correlated_daily_volatility=0.011, smallest_share=0.1)
    settings = eager.model_copy(update={"symbols": tuple(markets), "portfolio": together})
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    parts = make_parts(settings)
    await trade(parts, Replay(markets, FIRST, FIRST + 200))
    parts.journal.close()
    parts = make_parts(settings)
    await trade(parts, Replay(markets, FIRST + 230, FIRST + 500))

    stop = int(candles.time[FIRST + 499])
    expected = assert_same_as_backtest(parts, markets, replace(model, version=version), stop=stop)
    assert {trade.symbol for trade in expected.trades} == set(markets)
    alone = settings.model_copy(update={"portfolio": PortfolioSettings(correlation_threshold=1.0)})
    unbound = backtest.run(
        markets,
        alone,
        start=float(candles.time[FIRST]),
        end=stop,
        deployments=[(0, Deployment(model))],
        guard=parts.guard,
        flat_at_end=False,
    )
    assert sum(trade.quantity for trade in unbound.trades) > sum(trade.quantity for trade in expected.trades)


async def test_known_failure_16_with_a_model_that_cannot_be_loaded_the_bot_says_so_and_trades_nothing(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    (registry.folder / version / "lightgbm.txt").write_text("damaged")
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
    assert names == {"model_missing", "model_not_loaded", "clock_skewed"}  # the replay is of the past


async def test_the_kill_switch_stops_entries_and_leaves_what_is_open(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    opened_at: list[float] = []

    def kill_once_something_is_open(_hour: int) -> None:
        if parts.exporter.snapshot.positions.get(SYMBOL) is not None and not opened_at:
            opened_at.append(parts.exporter.snapshot.market_time or 0.0)
            parts.kill_switch.activate("a test", actor="test")

    replay.on_hour = kill_once_something_is_open
    await trade(parts, replay)
    trades = parts.journal.trades()
    assert len(trades) == 1
    assert trades[0].entry_time <= opened_at[0] < trades[0].exit_time
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_KILL_SWITCH] > 0


@pytest.mark.parametrize("lifted", [False, True])
async def test_an_order_that_waits_is_taken_back_by_the_kill_switch_though_it_was_lifted_before_the_next_open(
    lifted: bool,
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    registry.promote(publish(registry, model), standing="champion", instead_of=None)
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    killed_at: list[int] = []

    def kill_while_an_order_waits() -> None:
        state = parts.journal.load(STATE_KEY)
        if state is None or killed_at or not EngineState.from_json(state).books[SYMBOL].account.waiting:
            return
        killed_at.append(state["last_close"])
        parts.kill_switch.activate("a test", actor="test")
        if lifted:
            parts.kill_switch.resume("it was one", actor="test")

    on_step = LiveBot._on_step

    def then_kill(bot: LiveBot, step: Step) -> None:
        on_step(bot, step)
        kill_while_an_order_waits()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LiveBot, "_on_step", then_kill)
        await trade(parts, replay)
    assert len(killed_at) == 1
    entries = [deal.entry_time for deal in parts.journal.trades()]
    assert killed_at[0] not in entries
    assert bool(entries) is lifted


async def test_the_journal_of_another_market_is_refused(
    make_parts: Callable[..., LiveParts], trade: Callable[[LiveParts, Replay], Any], candles: Candles
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 10))
    exchange = parts.settings.exchange.model_copy(update={"id": "binance"})
    elsewhere = replace(parts, settings=parts.settings.model_copy(update={"exchange": exchange}))
    with pytest.raises(JournalError) as raised:
        LiveBot(elsewhere)
    assert raised.value.reason == (
        "is of another market (exchange 'bybit', now 'binance'); set it aside, or give the bot another bot.state_dir"
    )


async def test_symbols_may_come_and_go_and_what_they_earned_stays(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    eager: TrendbotSettings,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    registry.promote(publish(registry, model), standing="champion", instead_of=None)
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, STOP))
    stored = restored(parts.journal, parts.settings)
    assert stored is not None
    both = restored(parts.journal, eager.model_copy(update={"symbols": (OTHER, SYMBOL)}))
    assert both is not None
    assert list(both.books) == [OTHER, SYMBOL]
    assert equity(both, {}) == pytest.approx(stored.equity)
    other = eager.model_copy(update={"symbols": (OTHER,)})
    flat = replace(stored, books={SYMBOL: replace(stored.books[SYMBOL], account=broker.flat(12.5))})
    held = replace(flat, books={SYMBOL: replace(flat.books[SYMBOL], account=broker.flat(12.5)._replace(side=1))})
    parts.journal.save(STATE_KEY, held.to_json())
    with pytest.raises(JournalError, match="holds a position in BTC/USDT:USDT, which trendbot"):
        restored(parts.journal, other)
    parts.journal.save(STATE_KEY, flat.to_json())
    without = restored(parts.journal, other)
    assert without is not None
    assert (list(without.books), without.cash) == ([OTHER], flat.cash + 12.5)


async def test_a_state_that_is_not_one_of_ours_is_a_damaged_journal(make_parts: Callable[..., LiveParts]) -> None:
    parts = make_parts()
    parts.journal.save(STATE_KEY, {"last_close": 5})
    with pytest.raises(DamagedJournalError, match="its state is not one that this release wrote"):
        LiveBot(parts)


async def test_an_exchange_that_lies_before_the_journal_is_refused(
    make_parts: Callable[..., LiveParts], trade: Callable[[LiveParts, Replay], Any], candles: Candles
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 100))
    parts.journal.close()
    with pytest.raises(DataError, match="lies before the journal's last candle"):
        await trade(make_parts(), Replay({SYMBOL: candles}, FIRST, FIRST + 50))
