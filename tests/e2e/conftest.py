"""Whole programs on free ports, in a home of their own, with bounded waits."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Settings with free ports, their home beside them, and the checkout's cache of candles and tools."""
    names = ("bot", "exchange", "inbox", "smtp", "pages", "prometheus", "pushgateway", "alertmanager", "grafana")
    document = {
        "home": "home",
        "sandbox": {"cache_dir": str(CHECKOUT / "var" / "cache")},
        "stack": {"ports": dict(zip(names, free_ports(len(names)), strict=True))},
    }
    path = tmp_path / "nightdesk.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def change(path: Path, section: str, values: dict[str, Any]) -> None:
    """Set values in one section of a settings file."""
    document = yaml.safe_load(path.read_text())
    document[section] = {**document.get(section, {}), **values}
    path.write_text(yaml.safe_dump(document))


def nightdesk(settings_file: Path, *arguments: str) -> list[str]:
    """Return the command for the project's own command line."""
    return [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), *arguments]


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Start programs that end with the test; what they print goes to files in the test's folder."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        with (tmp_path / f"program-{len(started)}.log").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


def our_share() -> float:
    """Return how much of a processor whoever wants one gets at this moment, 1 where there is one for each."""
    wanted = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    cores = os.cpu_count() or 1
    return cores / max(cores, wanted)


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float) -> None:
    """Wait until the condition holds; fail naming `what` once the time is up. It passes slowly on a busy machine."""
    left, looked = seconds, time.monotonic()
    while not await condition():
        if left < 0:
            pytest.fail(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(0.1)
        now = time.monotonic()
        left -= (now - looked) * our_share()
        looked = now
