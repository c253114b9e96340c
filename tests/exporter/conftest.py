"""An exporter on a clock that the test moves, with nothing known or with everything known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
from loguru import logger
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.status_file import StatusFile
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tests.alerts.conftest import inbox as inbox
from tests.alerts.conftest import logged as logged
from tests.exporter.certificates import Authority

NOW = 1_571_302_800.0
WAIT_SECONDS = 8.0
BTC = "BTC/USDT:USDT"
MODEL: dict[str, Any] = {
    "version": "v1",
    "standing": "provisional",
    "trained_at": NOW - 86_400,
    "data_end": NOW - 3600,
}


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
def status_file(tmp_path: Path) -> StatusFile:
    return StatusFile(tmp_path / "logs" / "bot_status.json")


@pytest.fixture
def exporter(clock: Clock) -> BotExporter:
    """An exporter that has been told nothing, and serves nothing."""
    return make(clock)


def make(
    clock: Clock, *, status_file: StatusFile | None = None, health_check_interval_seconds: float = 300.0
) -> BotExporter:
    """Return an exporter of one symbol; port 0 picks a free one."""
    return BotExporter(
        "btc",
        symbols=[(BTC, "1h")],
        outcomes=["no_signal", "entered"],
        port=0,
        clock=clock,
        status_file=status_file,
        health_check_interval_seconds=health_check_interval_seconds,
    )


@pytest.fixture
def full(exporter: BotExporter) -> BotExporter:
    """An exporter that has been told everything once."""
    tell_everything(exporter)
    return exporter


def tell_everything(exporter: BotExporter) -> None:
    """Call each of the exporter's calls, so that every metric has a sample and the bot is healthy."""
    exporter.heartbeat()
    exporter.contact("ws")
    exporter.clock_offset(0.25)
    with exporter.request():
        pass
    with suppress(TimeoutError), exporter.request("a test"):
        raise TimeoutError("no answer")
    exporter.rejection("insufficient_funds")
    exporter.connection(connected=True)
    exporter.candle(BTC, "1h", close_time=NOW - 10)
    exporter.decision(BTC, seconds=0.004)
    exporter.signal(BTC, "entered")
    exporter.regime(BTC, "trending_up")
    exporter.guard(
        "normal",
        size_multiplier=1.0,
        values={"win_rate": None, "losing_streak": 2, "drawdown": 0.01},
        limits={("win_rate", "paused"): 0.127, ("drawdown", "paused"): 0.15},
        limits_from="calibrated",
    )
    exporter.kill_switch(active=False)
    exporter.kill_switch_tested()
    exporter.state_lost("")
    exporter.unwritable("journal")
    exporter.model(**MODEL)
    exporter.promised(win_ratio=0.45, sharpe_ratio=1.2, max_drawdown_ratio=0.08)
    exporter.delivered(
        trades=20,
        win_ratio=0.4,
        sharpe_ratio=0.9,
        evalue=1.5,
        signals=24,
        gaps={"fees": 0.1},
        probation_share=0.25,
        sharpe_to_backtest=0.75,
    )
    exporter.shadow(trades_closed=3, win_ratio=0.5, drawdown_ratio=0.02)
    exporter.equity(9_900.0, peak=10_000.0, daily_pnl_ratio=-0.002)
    exporter.position(BTC, "long", size_ratio=0.45)
    exporter.trade(BTC, profit=85.0, fees=5.0)
    exporter.trade(BTC, profit=-40.0, fees=4.0)
    exporter.recent_trades(2)
    exporter.trading_expected(expected=True)
    exporter.audit(entries=12, head="abc")
    exporter.snapshot.status_written_at = WallTime(NOW)
    exporter.snapshot.status_limit_seconds = 600.0


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


Change = Callable[[BotExporter, Clock], object]


def late(seconds: float, *kept: str) -> Change:
    """Let time pass in which only the named things go on."""

    def change(exporter: BotExporter, clock: Clock) -> None:
        clock.now += seconds
        if "loop" in kept:
            exporter.heartbeat()
        if "contact" in kept:
            exporter.contact("ws")
        if "candle" in kept:
            exporter.candle(BTC, "1h", close_time=NOW)
        if "decision" in kept:
            exporter.decision(BTC)
        if "equity" in kept:
            exporter.equity(9_900.0)

    return change


@pytest.fixture
def healthy(full: BotExporter) -> BotExporter:
    """An exporter that knows everything, and of a status file only where a test is about it."""
    full.snapshot.status_limit_seconds = None
    return full


class Failing(Collector):
    """A collector of the bot's own that cannot say anything."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("of_my_own", "Comes before it fails.", value=1.0)
        raise OSError("no such device")


SECONDS = 10
HASH = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
HEALTH = Health(Verdict.DEGRADED, (Issue("drawdown_high", Verdict.DEGRADED, "12% are lost"),), ready=True)
Serve = Callable[[str], ExporterServer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("server")
    return authority


@pytest.fixture
def serve(tmp_path: Path, authority: Authority) -> Iterator[Serve]:
    """Serve by a web configuration file of this text."""
    servers = []

    def start(text: str) -> ExporterServer:
        file = tmp_path / "web.yml"
        file.write_text(text)
        registry = CollectorRegistry()
        Gauge("one", "A gauge.", registry=registry).set(1)
        server = ExporterServer(
            registry, host="127.0.0.1", port=0, health=lambda: HEALTH, status=dict, web_config_file=file
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key"
USERS = f"basic_auth_users: {{prometheus: {HASH!r}}}\n"


def get(server: ExporterServer, authority: Authority, *, cert: tuple[Path, Path] | None = None) -> requests.Response:
    files = (str(cert[0]), str(cert[1])) if cert else None
    return requests.get(f"{server.url}/metrics", verify=str(authority.cert), cert=files, timeout=SECONDS)
