"""A strategy with no market behind it, and a job around it."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from nightdesk.stack.tools import Tools
from nightdesk_alerts import AlertSender
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.pipeline import Backtest, Fitted, Pipeline, Progress, WindowInfo
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_core.trades import ClosedTrade
from nightdesk_exporter import Alerting, StatusFile
from nightdesk_retrain import job
from nightdesk_retrain.parts import JobParts
from nightdesk_retrain.schedule import Schedule
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings

DAY = 86_400
MARKET_END = 1_000 * DAY
WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class FakeWindow:
    """Says what there is, and holds nothing."""

    info: WindowInfo


@dataclass(frozen=True)
class FakeModel:
    """What it earns on average in a day; its noise is the market's, the same for every model."""

    daily_edge: float
    trades: int


@dataclass
class FakePipeline:
    """Fits whatever `daily_edge` says. It records what it was asked."""

    daily_edge: float = 0.002
    history_days: float = 730.0
    market_end: float = MARKET_END
    error: Exception | None = None
    trades: int = 60

    def __post_init__(self) -> None:
        self.backtests: list[tuple[float, float, float]] = []
        self.loaded: dict[str, dict[str, str]] = {}
        self.fitted_until: list[float] = []
        self.unreadable: set[str] = set()

    @classmethod
    def from_settings(cls, document: Mapping[str, Any]) -> Self:
        return cls(**document.get("fake", {}))

    def collect(self, *, days: float, progress: Progress) -> FakeWindow:
        progress("collect", 0.5)
        start = self.market_end - min(days, self.history_days) * DAY
        return FakeWindow(WindowInfo(start, self.market_end, 1000, "f" * 64))

    def fit(self, window: FakeWindow, *, until: float, progress: Progress) -> Fitted:
        if self.error is not None:
            raise self.error
        self.fitted_until.append(until)
        return Fitted(
            files={"model.json": json.dumps({"daily_edge": self.daily_edge, "trades": self.trades}).encode()},
            train_start=window.info.start,
            train_end=until,
            last_label_end=until - 2 * DAY,
            training_rows=500,
            summary={"events": 500},
        )

    def load(self, folder: Path) -> FakeModel:
        content = json.loads((folder / "model.json").read_text())
        if folder.name in self.unreadable:
            raise BundleError(folder, "was trained on other features than this release computes; retrain")
        self.loaded[folder.name] = hashes(folder)
        return FakeModel(**content)

    def backtest(self, model: FakeModel, window: FakeWindow, *, start: float, end: float) -> Backtest:
        self.backtests.append((model.daily_edge, start, end))
        days = tuple(range(int(start) + DAY, int(end) + 1, DAY))
        returns = tuple(model.daily_edge + random.Random(day).gauss(0, 0.01) for day in days)
        trades = tuple(trade(number, won=number % 3 != 0) for number in range(model.trades))
        return Backtest(start, end, days, returns, trades)


def trade(number: int, *, won: bool) -> ClosedTrade:
    """Return a trade that wins 20 or loses 10."""
    return ClosedTrade(
        symbol="BTC/USDT:USDT",
        side="long",
        quantity=1.0,
        entry_time=number * 3600,
        entry_price=100.0,
        exit_time=number * 3600 + 1800,
        exit_price=101.0,
        exit_reason="target" if won else "stop",
        fees=0.1,
        funding=0.0,
        profit=20.0 if won else -10.0,
        equity_before=10_000.0,
        model_version="",
    )


def events(parts: JobParts) -> list[str]:
    """Return what the audit log recorded, and check its chain."""
    parts.audit.verify()
    return [entry.event for entry in parts.audit.entries()]


def status(parts: JobParts) -> dict[str, Any]:
    """Return the job's section of the status file."""
    section: dict[str, Any] = parts.status_file.read()["retrain"]
    return section


def champion_of(parts: JobParts) -> str | None:
    """Return the version that the pointer names; its bundle must be intact."""
    champion = parts.registry.champion()
    if champion is None:
        return None
    parts.registry.bundle(champion.version)
    return champion.version


@pytest.fixture
def first(parts: JobParts) -> str:
    """Bootstrap, and return the first champion's version."""
    return job.run(parts, trigger="manual", bootstrap=True).version


def promoted_beside(parts: JobParts, pipeline: FakePipeline) -> str:
    """Let a clearly better model be promoted half a year later, and stand its probation; return its version."""
    pipeline.daily_edge, pipeline.market_end = 0.004, pipeline.market_end + 200 * DAY
    outcome = job.run(parts, trigger="schedule")
    assert outcome.standing == "probation"
    parts.registry.settle(outcome.version)
    return outcome.version


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def parts(tmp_path: Path, pipeline: FakePipeline) -> JobParts:
    """A job whose clock moves a second each time it is looked at."""
    ticks = itertools.count(1_571_302_800)

    def clock() -> WallTime:
        return WallTime(float(next(ticks)))

    fake: Pipeline[Any, Any] = pipeline
    audit = AuditLog(tmp_path / "state" / "audit.jsonl", clock=clock)
    return JobParts(
        bot="btc",
        rotation=ModelRotationSettings(),
        retrain=RetrainSettings(pipeline="tests.retrain.conftest:FakePipeline"),
        pipeline=fake,
        document={},
        registry=ModelRegistry(tmp_path / "models", clock=clock),
        requests=RetrainRequests(tmp_path / "state", audit, clock=clock),
        audit=audit,
        status_file=StatusFile(tmp_path / "logs" / "bot_status.json"),
        state_dir=tmp_path / "state",
        gateway="",
        textfile_dir=tmp_path / "metrics",
        alerts=AlertSender("btc", alerting=Alerting(enabled=False)),
        clock=clock,
        elsewhere=_here,
        settings_record={"model_rotation": {"min_trades": 50}},
    )


def _here(function: Callable[..., Any], *arguments: Any) -> Any:
    """Take a fresh process' place, which costs a second."""
    return function(*arguments)


def following(parts: JobParts, pipeline: FakePipeline) -> JobParts:
    """Return the job of another strategy, which a fresh process would find, too."""

    def elsewhere(
        _backtests: object, _dotted: str, _document: object, folder: Path, window: Any, stretches: Any
    ) -> Any:
        model = pipeline.load(folder)
        return [pipeline.backtest(model, window, start=start, end=end) for start, end in stretches]

    return replace(parts, pipeline=pipeline, elsewhere=elsewhere)


def rotating(parts: JobParts, **changes: Any) -> JobParts:
    """Return the job with other settings of the rotation."""
    return replace(parts, rotation=parts.rotation.model_copy(update=changes))


def schedule_of(parts: JobParts, **changes: Any) -> Schedule:
    """Return the schedule that looks after the job."""
    schedule = Schedule(
        state_dir=parts.state_dir,
        requests=parts.requests,
        registry=parts.registry,
        bot=parts.bot,
        gateway=parts.gateway,
        textfile_dir=parts.textfile_dir,
        interval_seconds=parts.interval_seconds,
        model_age_seconds=90 * DAY,
        clock=parts.clock,
    )
    return replace(schedule, **changes)


def files_of(parts: JobParts) -> dict[str, bytes]:
    """Return every file below the models folder by its path."""
    folder = parts.registry.folder
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def pushgateway(tools: Tools) -> Iterator[str]:
    """A real Pushgateway on a free port, as host:port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [str(tools.pushgateway), f"--web.listen-address={address}", "--log.level=error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _is_ready(address):
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.fail("the Pushgateway does not start")
            time.sleep(0.02)
        yield address
    finally:
        process.kill()
        process.wait(timeout=WAIT_SECONDS)


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def pushed(address: str, bot: str) -> dict[str, float]:
    """Return the samples that the gateway holds of a bot: name and labels without job, bot and instance."""
    found = {}
    for line in requests.get(f"http://{address}/metrics", timeout=5).text.splitlines():
        if line.startswith("tradebot_") and f'bot="{bot}"' in line:
            series, value = line.rsplit(" ", 1)
            name, labels = series.rstrip("}").split("{")
            kept = [label for label in labels.split(",") if label.split("=")[0] not in ("bot", "instance", "job")]
            found[f"{name.removeprefix('tradebot_')}{{{','.join(kept)}}}".removesuffix("{}")] = float(value)
    return found
