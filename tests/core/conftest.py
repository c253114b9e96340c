"""Processes that end with the test, and trades to journal."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.trades import ClosedTrade

WAIT_SECONDS = 10.0

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Run Python source in a process of its own, with arguments; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(source: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", source, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=WAIT_SECONDS)


def line_of(process: subprocess.Popen[bytes]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; fail naming `what` once the time is up."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {WAIT_SECONDS:g} s for {what}")
        time.sleep(0.002)


def closed_trade(number: int = 1, *, profit: float = 12.5) -> ClosedTrade:
    """Return a trade that differs from others by its number."""
    return ClosedTrade(
        symbol="BTC/USDT:USDT",
        side="long",
        quantity=0.1 + number,
        entry_time=3600 * number,
        entry_price=9000.1,
        exit_time=3600 * (number + 1),
        exit_price=9180.3,
        exit_reason="target",
        fees=1.1,
        funding=0.0,
        profit=profit,
        equity_before=10_000.0,
        model_version="v1",
    )


def wait_for_exit(process: subprocess.Popen[bytes]) -> int:
    """Return a process's exit code; its output stays to be read."""
    return process.wait(timeout=WAIT_SECONDS)


def write_half(path: Path, content: str) -> None:
    """Append to a file what a process that died in its writing leaves: a line without its end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(content)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models", clock=lambda: WallTime(1_571_302_800.0))


def publish(registry: ModelRegistry, content: str) -> str:
    """Publish a bundle with one file and return its version."""
    staged = registry.stage({"model.txt": content.encode()})
    manifest = registry.publish(
        registry.seal(
            staged,
            strategy="tests:None",
            train_start=MarketTime(0.0),
            train_end=MarketTime(10.0),
            last_label_end=MarketTime(9.0),
            data_end=MarketTime(20.0),
            data_fingerprint="f" * 64,
        )
    )
    return manifest.version
