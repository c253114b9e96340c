"""The examples of a bot of one's own: short, as the guide shows them, and healthy when they are run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((CHECKOUT / "examples").glob("own_bot*.py"))
WAIT_SECONDS = 20.0


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def running(example: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test that was started in the background ignores Ctrl-C, and what it starts inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_there_is_one_for_a_loop_and_one_for_asyncio() -> None:
    assert [path.name for path in EXAMPLES] == ["own_bot.py", "own_bot_asyncio.py"]


def test_it_has_at_most_thirty_lines_and_the_guide_shows_it(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) <= 30
    assert f"```python\n{text}```" in (CHECKOUT / "docs" / "own-bot.md").read_text()


def test_it_runs_is_healthy_and_ends_by_ctrl_c(example: Path, running: subprocess.Popen[str], tmp_path: Path) -> None:
    assert running.stdout is not None
    url = running.stdout.readline().strip()
    wait_for_health(url)
    metrics = requests.get(f"{url}/metrics", timeout=5).text
    for name in (
        "candle_last_received_timestamp_seconds",
        "decision_last_timestamp_seconds",
        "equity",
        "drawdown_ratio",
        "model_loaded",
    ):
        assert f"\ntradebot_{name}" in metrics
    assert "tradebot_instrumentation_errors_total{" not in metrics
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
    if example.name == "own_bot.py":
        assert json.loads((tmp_path / "bot_status.json").read_text())["bot"]["running"] is False


def wait_for_health(url: str) -> None:
    """Wait until the bot says that it is healthy: it has decided, and nothing is missing."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        answer = requests.get(f"{url}/healthz", timeout=5).json()
        metrics = requests.get(f"{url}/metrics", timeout=5).text
        if answer["status"] == "healthy" and "\ntradebot_equity{" in metrics:
            return
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
