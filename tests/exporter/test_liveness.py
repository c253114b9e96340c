"""Who may restart a bot: `/livez` fails where its loop stands still, and never for what it has lost or been told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from nightdesk_alerts.catalogue import HEALTH_CHECK
from nightdesk_exporter import HUNG_EXIT_CODE, BotExporter, StatusFile
from nightdesk_exporter.health.hang_watch import HangWatch, Patience
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.server import ExporterServer
from prometheus_client import CollectorRegistry

from tests.exporter.conftest import BTC, NOW, WAIT_SECONDS, Clock, late


def codes(exporter: BotExporter) -> tuple[int, int, int]:
    """Return what `/livez`, `/readyz` and `/healthz` answer."""
    live, ready, health = (
        requests.get(f"{exporter.url}/{path}", timeout=5).status_code for path in ("livez", "readyz", "healthz")
    )
    return live, ready, health


def in_drawdown(exporter: BotExporter) -> None:
    exporter.equity(5_000.0, peak=10_000.0, daily_pnl_ratio=0.0)


def in_a_losing_day(exporter: BotExporter) -> None:
    exporter.equity(5_000.0, peak=5_000.0, daily_pnl_ratio=-0.5)


def leveraged(exporter: BotExporter) -> None:
    exporter.position(BTC, "long", size_ratio=50.0)


@pytest.mark.parametrize("lost", [in_drawdown, in_a_losing_day, leveraged])
def test_what_was_lost_makes_a_bot_unhealthy_and_neither_dead_nor_unready(
    healthy: BotExporter, lost: Callable[[BotExporter], None]
) -> None:
    with healthy:
        lost(healthy)
        assert codes(healthy) == (200, 200, 503)


def test_a_bot_that_was_paused_or_killed_is_alive_and_has_what_it_needs(healthy: BotExporter) -> None:
    with healthy:
        healthy.guard("paused", reason="losing streak", size_multiplier=0.0)
        healthy.kill_switch(active=True, reason="by hand")
        assert codes(healthy)[:2] == (200, 200)


def test_a_loop_that_stands_still_is_dead_and_says_for_how_long(healthy: BotExporter, clock: Clock) -> None:
    with healthy:
        late(121, "contact", "candle", "decision", "equity")(healthy, clock)
        assert codes(healthy) == (503, 503, 503)
        answer = requests.get(f"{healthy.url}/livez", timeout=5).json()
        assert answer == {"alive": False, "cause": "no turn of the loop for 121 s, the limit is 120 s"}
        healthy.heartbeat()
        assert codes(healthy) == (200, 200, 200)


def test_a_clock_that_is_set_back_brings_no_dead_loop_to_life(healthy: BotExporter, clock: Clock) -> None:
    with healthy:
        clock.now += 7200
        healthy.heartbeat()
        clock.now -= 3600
        assert codes(healthy)[0] == 503


def test_a_bot_that_has_not_turned_yet_is_alive_but_not_ready(exporter: BotExporter) -> None:
    with exporter:
        assert codes(exporter) == (200, 503, 200)
        exporter.equity(5_000.0, peak=10_000.0)
        assert codes(exporter) == (200, 503, 503)


@pytest.mark.parametrize(
    "lacking",
    [
        lambda exporter, clock: late(301, "loop", "equity")(exporter, clock),
        lambda exporter, _: exporter.no_model(),
        lambda exporter, _: exporter.unwritable("journal", "No space left on device"),
    ],
    ids=["exchange", "model", "disk"],
)
def test_a_bot_without_what_it_trades_by_is_alive_and_not_ready(
    healthy: BotExporter, clock: Clock, lacking: Callable[[BotExporter, Clock], None]
) -> None:
    with healthy:
        lacking(healthy, clock)
        live, ready, _ = codes(healthy)
        assert (live, ready) == (200, 503)


def test_only_conditions_of_the_accounts_money_leave_a_bot_ready() -> None:
    ours = {condition.issue for condition, _ in HEALTH_CHECK if condition.of_the_account}
    assert ours == {"drawdown_high", "daily_loss_high", "leverage_high"}


def test_livez_is_answered_while_the_health_check_hangs() -> None:
    go_on = threading.Event()

    def hangs() -> Health:
        go_on.wait(WAIT_SECONDS)
        return Health(Verdict.HEALTHY, ())

    server = ExporterServer(CollectorRegistry(), host="127.0.0.1", port=0, health=hangs, status=dict)
    stuck = threading.Thread(target=lambda: requests.get(f"{server.url}/healthz", timeout=2 * WAIT_SECONDS))
    try:
        stuck.start()
        begun = time.monotonic()
        assert requests.get(f"{server.url}/livez", timeout=WAIT_SECONDS).json() == {"alive": True}
        assert time.monotonic() - begun < WAIT_SECONDS / 2
    finally:
        go_on.set()
        stuck.join()
        server.close()


# When a process may be ended.


def looks(patience: Patience, seconds: int, *, heartbeat: float, candle: float | None = None, each: float = 1) -> bool:
    """Return whether patience is over after so many looks, all of which saw the same."""
    over = False
    for _ in range(seconds):
        over = patience.is_over(each, heartbeat=heartbeat, candle=candle, limit_seconds=60.0)
    return over


def test_a_loop_gets_its_limit_and_no_more() -> None:
    patience = Patience()
    assert not looks(patience, 61, heartbeat=1.0)
    assert looks(patience, 1, heartbeat=1.0)
    assert not looks(patience, 61, heartbeat=2.0)


def test_a_candle_that_came_after_the_last_turn_is_worked_on_for_as_long_again() -> None:
    patience = Patience()
    assert not looks(patience, 50, heartbeat=1.0, candle=5.0)
    assert not looks(patience, 61, heartbeat=1.0, candle=6.0)
    assert looks(patience, 1, heartbeat=1.0, candle=6.0)


def test_candles_that_another_thread_brings_keep_no_hung_loop_alive() -> None:
    patience, over = Patience(), 0
    for second in range(200):
        over += looks(patience, 1, heartbeat=1.0, candle=float(second // 10))
    assert over > 0


def test_a_machine_that_slept_gives_the_loop_its_whole_limit_again() -> None:
    patience = Patience()
    assert not looks(patience, 5, heartbeat=1.0)
    assert not patience.is_over(100_000.0, heartbeat=1.0, candle=None, limit_seconds=60.0)


def test_a_farewell_that_hangs_delays_the_end_by_its_bound_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightdesk_exporter.health.hang_watch._LOOK_SECONDS", 0.01)
    monkeypatch.setattr("nightdesk_exporter.health.hang_watch._FAREWELL_SECONDS", 0.1)
    ended: list[int] = []
    over, never = threading.Event(), threading.Event()

    def end(code: int) -> None:
        ended.append(code)
        over.set()

    def farewell(_: str) -> None:
        never.wait(WAIT_SECONDS)

    HangWatch(lambda _: "it hangs", farewell=farewell, end=end).start()
    assert over.wait(WAIT_SECONDS)
    assert ended == [HUNG_EXIT_CODE]
    never.set()


HANGS = """
import sys, time
from pathlib import Path
from nightdesk_exporter import BotExporter, Limits

with BotExporter("mine", symbols=[], port=0, limits=Limits(heartbeat_seconds=1), status_file=Path(sys.argv[1]),
                 exit_when_hung=sys.argv[2] == "wished") as exporter:
    exporter.heartbeat()
    print("turned", flush=True)
    if sys.argv[3] == "turns":
        for _ in range(25):
            exporter.heartbeat()
            time.sleep(0.1)
    def hang_here():
        time.sleep(5)
    if sys.argv[3] == "hangs":
        hang_here()
"""


def run_bot(status: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a bot to its end."""
    command = [sys.executable, "-c", HANGS, str(status), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_process_whose_loop_hangs_ends_with_its_code_and_says_where(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    ended = run_bot(status, "wished", "hangs")
    assert ended.returncode == HUNG_EXIT_CODE == 75
    assert "the bot ends by itself, as its loop hung: no turn of the loop for" in ended.stderr
    assert "in hang_here" in ended.stderr
    bot = StatusFile(status).read()["bot"]
    assert bot["running"] is False
    assert re.match("itself, as its loop hung", bot["stopped_by"])


def test_a_process_that_turns_or_was_not_told_to_is_let_be(tmp_path: Path) -> None:
    assert run_bot(tmp_path / "one.json", "wished", "turns").returncode == 0
    assert run_bot(tmp_path / "other.json", "not wished", "hangs").returncode == 0


def test_a_process_that_was_stopped_for_longer_than_its_limit_is_let_be(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGS, str(tmp_path / "status.json"), "wished", "turns"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == "turned\n"
        os.kill(bot.pid, signal.SIGSTOP)
        time.sleep(2.5)
        os.kill(bot.pid, signal.SIGCONT)
        assert bot.wait(60) == 0


def test_ready_is_false_by_what_is_unhealthy_alone(healthy: BotExporter) -> None:
    assert healthy.health().verdict is Verdict.HEALTHY
    assert healthy.health().ready
    healthy.clock_offset(10.0)
    assert (healthy.health().verdict, healthy.health().ready) == (Verdict.DEGRADED, True)
    assert healthy.snapshot.started_at.seconds <= NOW
