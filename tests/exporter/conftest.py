"""An exporter on a clock that the test moves, with nothing known or with everything known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from loguru import logger
from nightdesk_core.trades import ClosedTrade
from nightdesk_exporter import BotExporter, ModelInUse, Position
from nightdesk_exporter.status_file import StatusFile
from prometheus_client.exposition import generate_latest

NOW = 1_571_302_800.0
WAIT_SECONDS = 8.0
BTC = "BTC/USDT:USDT"
TRADE = ClosedTrade(
    symbol=BTC,
    side="long",
    quantity=0.5,
    entry_time=3600,
    entry_price=9000.0,
    exit_time=7200,
    exit_price=9180.0,
    exit_reason="target",
    fees=5.0,
    funding=0.0,
    profit=85.0,
    equity_before=10_000.0,
    model_version="v1",
)
MODEL = ModelInUse(version="v1", standing="provisional", trained_at=NOW - 86_400, data_end=NOW - 3600, loaded_at=NOW)


class Clock:
    """Wall time that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exporter(clock: Clock) -> BotExporter:
    """An exporter that has been told nothing, and serves nothing."""
    return make(clock)


def make(clock: Clock, *, status_file: StatusFile | None = None, status_interval_seconds: float = 300.0) -> BotExporter:
    """Return an exporter of one symbol; port 0 picks a free one."""
    return BotExporter(
        "btc",
        symbols=[(BTC, "1h")],
        outcomes=["no_signal", "entered"],
        port=0,
        clock=clock,
        status_file=status_file,
        status_interval_seconds=status_interval_seconds,
    )


@pytest.fixture
def full(exporter: BotExporter, clock: Clock) -> BotExporter:
    """An exporter that has been told everything once."""
    exporter.heartbeat()
    exporter.contact("rest")
    exporter.contact("ws")
    exporter.clock_offset(0.25)
    exporter.request()
    exporter.request(failure="RequestTimeout")
    exporter.connection(connected=True)
    exporter.expect_candles(BTC, "1h", interval_seconds=3600)
    exporter.candle(BTC, "1h", close_time=NOW - 10)
    exporter.decision(BTC, outcome="entered", regime="trending_up")
    exporter.guard(
        "normal",
        size_multiplier=1.0,
        values={"win_rate": None, "losing_streak": 2, "drawdown": 0.01},
        limits={("win_rate", "paused"): 0.127, ("drawdown", "paused"): 0.15},
    )
    exporter.guard_moved("normal", reason="no limit reached after 7 days in reduced")
    exporter.kill_switch(active=False)
    exporter.model(MODEL)
    exporter.account(equity=9_900.0, peak=10_000.0, daily_pnl_ratio=-0.002)
    exporter.position(BTC, Position(BTC, "long", 0.45))
    exporter.trade(TRADE)
    exporter.trade(replace(TRADE, profit=-40.0, fees=4.0))
    exporter.recent_trades(2)
    exporter.trading_expected(expected=True)
    exporter.snapshot.status_written_at = NOW
    return exporter


def scrape(exporter: BotExporter) -> str:
    """Return the whole exposition as text."""
    return generate_latest(exporter.registry).decode()


def samples(exporter: BotExporter, name: str) -> list[str]:
    """Return the sample lines whose metric is exactly `tradebot_<name>`."""
    full_name = f"tradebot_{name}"
    return [line for line in scrape(exporter).splitlines() if line.split("{")[0].split(" ")[0] == full_name]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; fail naming `what` once the time is up."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {WAIT_SECONDS:g} s for {what}")
        time.sleep(0.002)


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """Return what is logged, message by message."""
    caught: list[str] = []
    sink = logger.add(lambda message: caught.append(message.record["message"]), level="DEBUG")
    yield caught
    logger.remove(sink)
