"""The live loop on a scripted exchange: it trades the backtest, through a restart, and nothing without a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_core.clock import TimeScale
from nightdesk_core.journal import Journal, JournalError, journal_path
from nightdesk_core.pipeline import DataError
from nightdesk_core.registry import ModelRegistry
from nightdesk_exporter import BotExporter
from nightdesk_guard import KillSwitch, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot import backtest, live
from nightdesk_trendbot.candles import Bar, Candles
from nightdesk_trendbot.champion import ChampionWatch
from nightdesk_trendbot.decisions import DecisionLog, log_path
from nightdesk_trendbot.live import LiveBot, LiveParts
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import Outcome
from nightdesk_trendbot.strategy import Deployment

from tests.trendbot.conftest import HOUR, KNOWN, publish

FIRST, STOP = KNOWN, KNOWN + 260


class StreamOverError(Exception):
    """The stream has nothing more to say."""


class Replay:
    """An exchange that tells candles `first` up to `stop`, one message for each hour's end."""

    def __init__(self, candles: Candles, first: int, stop: int) -> None:
        self.candles = candles
        self.first = first
        self.hours = iter(range(first, stop))
        self.hour = first
        self.on_hour: Callable[[int], None] = lambda _: None

    async def load(self, symbol: str) -> None:
        assert symbol == "BTC/USDT:USDT"

    async def now(self) -> float:
        return float(self.candles.time[self.hour]) + 1.0

    async def bars(self, _symbol: str, _timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        assert interval_seconds == HOUR
        first, last = (int(np.searchsorted(self.candles.time, time)) for time in (start, stop))
        assert last <= self.hour, "a candle was asked for that is not over"
        return [self.candles.bar(index) for index in range(first, last)]

    async def watch(self, _symbol: str, _timeframe: str) -> list[Bar]:
        try:
            self.hour = next(self.hours)
        except StopIteration:
            raise StreamOverError from None
        self.on_hour(self.hour)
        current = self.candles.bar(self.hour)
        begun = current._replace(high=current.open, low=current.open, close=current.open, volume=0.0)
        return [self.candles.bar(self.hour - 1), begun]

    async def hang_up(self) -> None:
        raise AssertionError("the stream never fails")


@pytest.fixture
def eager(settings: TrendbotSettings) -> TrendbotSettings:
    """A bot that enters on almost every signal."""
    return settings.model_copy(update={"entry": settings.entry.model_copy(update={"threshold": 0.05})})


@pytest.fixture
def make_parts(tmp_path: Path, registry: ModelRegistry, eager: TrendbotSettings) -> Callable[[], LiveParts]:
    """Return the parts of a bot as a new process has them: all that lasts lies on disk."""
    nervous = GuardSettings.model_validate(
        {
            "cool_down_days": 1,
            "reduced": {"win_rate_standard_errors": 1, "losing_streak": 2, "drawdown_ratio": 0.05},
            "paused": {"win_rate_standard_errors": 2, "losing_streak": 4, "drawdown_ratio": 0.10},
        }
    )

    def make() -> LiveParts:
        return LiveParts(
            settings=eager,
            journal=Journal(journal_path(tmp_path, "btc")),
            decisions=DecisionLog(log_path(tmp_path, "btc")),
            watch=ChampionWatch(registry, eager.sizing),
            kill_switch=KillSwitch(tmp_path),
            guard=PerformanceGuard(nervous, break_even_win_rate=0.38),
            exporter=BotExporter("btc", symbols=[(eager.symbol, "1h")], outcomes=list(Outcome), port=0),
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

        monkeypatch.setattr(live, "open_exchange", open_exchange)
        with pytest.raises(StreamOverError):
            await LiveBot(parts).run()

    return run


async def test_live_trades_the_backtest_through_a_restart_with_the_guard_on(
    make_parts: Callable[[], LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    middle = FIRST + 130
    parts = make_parts()
    await trade(parts, Replay(candles, FIRST, middle))
    parts.journal.close()
    parts = make_parts()
    await trade(parts, Replay(candles, middle + 4, STOP))

    expected = backtest.run(
        candles,
        parts.settings,
        first=FIRST,
        stop=STOP - 1,
        deployments=[(0, Deployment(replace(model, version=version)))],
        guard=parts.guard,
        flat_at_end=False,
    )
    assert parts.journal.trades() == list(expected.trades)
    assert parts.journal.equity() == list(zip(expected.close_time, expected.equity, strict=True))
    assert parts.journal.transitions() == list(expected.transitions)
    assert len(expected.trades) >= 5
    assert expected.transitions
    snapshot = parts.exporter.snapshot
    assert snapshot.equity_peak == expected.state.peak_equity
    assert snapshot.guard == expected.state.guard.status.value
    assert not [key for key in snapshot.counters if key[0] == "instrumentation_errors"]


async def test_known_failure_16_with_a_model_that_cannot_be_loaded_the_bot_says_so_and_trades_nothing(
    make_parts: Callable[[], LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    (registry.folder / version / "lightgbm.txt").write_text("damaged")
    parts = make_parts()
    await trade(parts, Replay(candles, FIRST, FIRST + 100))
    assert parts.journal.trades() == []
    assert len(parts.journal.equity()) == 99
    snapshot = parts.exporter.snapshot
    assert snapshot.counters["model_load_failures",] == 1
    assert snapshot.counters["signals", parts.settings.symbol, Outcome.BLOCKED_NO_MODEL] > 0
    assert snapshot.counters["signals", parts.settings.symbol, Outcome.ENTERED] == 0
    assert (snapshot.model, snapshot.model_known) == (None, True)
    assert [issue.name for issue in parts.exporter.health().issues] == ["model_missing"]


async def test_the_kill_switch_stops_entries_and_leaves_what_is_open(
    make_parts: Callable[[], LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    parts = make_parts()
    replay = Replay(candles, FIRST, STOP)
    opened_at: list[float] = []

    def kill_once_something_is_open(_hour: int) -> None:
        if parts.exporter.snapshot.positions.get(parts.settings.symbol) is not None and not opened_at:
            opened_at.append(parts.exporter.snapshot.market_time or 0.0)
            parts.kill_switch.activate("a test", actor="test")

    replay.on_hour = kill_once_something_is_open
    await trade(parts, replay)
    trades = parts.journal.trades()
    assert len(trades) == 1
    assert trades[0].entry_time <= opened_at[0] < trades[0].exit_time
    assert parts.exporter.snapshot.counters["signals", parts.settings.symbol, Outcome.BLOCKED_KILL_SWITCH] > 0


async def test_the_journal_of_another_market_is_refused(
    make_parts: Callable[[], LiveParts], trade: Callable[[LiveParts, Replay], Any], candles: Candles
) -> None:
    parts = make_parts()
    await trade(parts, Replay(candles, FIRST, FIRST + 10))
    elsewhere = replace(parts, settings=parts.settings.model_copy(update={"symbol": "ETH/USDT:USDT"}))
    with pytest.raises(JournalError) as raised:
        LiveBot(elsewhere)
    assert raised.value.reason == (
        "is of another market (symbol 'BTC/USDT:USDT', now 'ETH/USDT:USDT');"
        " set it aside, or give the bot another bot.state_dir"
    )


async def test_an_exchange_that_lies_before_the_journal_is_refused(
    make_parts: Callable[[], LiveParts], trade: Callable[[LiveParts, Replay], Any], candles: Candles
) -> None:
    parts = make_parts()
    await trade(parts, Replay(candles, FIRST, FIRST + 100))
    parts.journal.close()
    with pytest.raises(DataError, match="lies before the journal's last candle"):
        await trade(make_parts(), Replay(candles, FIRST, FIRST + 50))
