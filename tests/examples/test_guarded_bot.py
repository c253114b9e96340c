"""The example of a bot with a guard: short, as the guide shows it, and it stops when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from nightdesk_guard import Guard, GuardStatus, KillSwitch

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "guarded_bot.py"
WAIT_SECONDS = 20.0


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the example and yield its address; it must end by Ctrl-C, and by nothing before."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE)],
        cwd=folder,
        env={**os.environ, "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test that was started in the background ignores Ctrl-C, and what it starts inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=WAIT_SECONDS)
            assert said.rstrip().endswith("KeyboardInterrupt"), said
        finally:
            process.kill()


def wait_for(url: str, *lines: str) -> str:
    """Wait until the metrics have each of the lines, and return them."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        metrics = requests.get(f"{url}/metrics", timeout=5).text
        if all(f"\n{line}\n" in metrics for line in lines):
            return metrics
        assert time.monotonic() < deadline, metrics
        time.sleep(0.1)


def state(name: str) -> str:
    return f'tradebot_guard_state{{tradebot_guard_state="{name}"}} 1.0'


def open_position(count: int) -> str:
    return f'tradebot_open_positions{{side="long",symbol="BTC/USDT"}} {count}.0'


def test_it_has_fewer_than_forty_lines_and_the_guide_shows_it() -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 40
    assert f"```python\n{text}```" in (CHECKOUT / "docs" / "own-bot.md").read_text()


def test_a_file_kill_closes_its_position_and_lets_it_enter_nothing_until_somebody_resumes(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "state")
    with running(tmp_path) as url:
        wait_for(url, state("normal"), "tradebot_kill_switch_active 0.0", open_position(1))
        switch.kill_file.touch()
        metrics = wait_for(url, "tradebot_kill_switch_active 1.0", open_position(0))
        assert "\ntradebot_instrumentation_errors_total{" not in metrics
        assert switch.state().activations == 1
        switch.resume("a test", actor="ann")
        wait_for(url, "tradebot_kill_switch_active 0.0", open_position(1))


def test_a_restart_keeps_it_paused_and_it_trades_in_the_shadow(tmp_path: Path) -> None:
    with Guard(tmp_path / "state", break_even_win_rate=0.5) as guard:
        for _ in range(14):
            guard.trade(profit=-10.0, risk=100.0)
        assert guard.equity(10_000.0, leverage=0.0) is GuardStatus.PAUSED
    for _ in range(2):
        with running(tmp_path) as url:
            blocked = 'tradebot_signals_total{outcome="blocked_guard",symbol="BTC/USDT"} 2.0'
            metrics = wait_for(url, state("paused"), open_position(0), blocked)
            assert 'outcome="entered"' not in metrics
            assert "\ntradebot_shadow_drawdown_ratio " in metrics
