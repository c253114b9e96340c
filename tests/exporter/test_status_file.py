"""The status file: bot and job write their own sections, and neither waits long for the other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from nightdesk_core.files import LockTimeoutError, locked
from nightdesk_exporter import BotExporter, StatusFile

from tests.exporter.conftest import BTC, MODEL, NOW, WAIT_SECONDS, Clock, make, samples, until


@pytest.fixture
def status_file(tmp_path: Path) -> StatusFile:
    return StatusFile(tmp_path / "logs" / "bot_status.json")


def test_each_section_says_when_it_was_written_and_when_it_goes_stale(status_file: StatusFile) -> None:
    status_file.replace({"bot": {"running": True}}, now=NOW, lifetime_seconds=600)
    assert json.loads(status_file.path.read_text()) == {
        "schema_version": 1,
        "bot": {"running": True, "updated_at": NOW, "stale_after": NOW + 600},
    }


def test_a_writer_replaces_its_own_sections_and_keeps_the_others_with_their_age(status_file: StatusFile) -> None:
    status_file.replace({"bot": {"running": True}, "risk": {"equity": 1}}, now=NOW, lifetime_seconds=600)
    status_file.replace({"retrain": {"decision": "kept"}}, now=NOW + 5000, lifetime_seconds=60)
    status_file.replace({"bot": {"running": False}}, now=NOW + 100, lifetime_seconds=600)
    content = status_file.read()
    assert content["bot"] == {"running": False, "updated_at": NOW + 100, "stale_after": NOW + 700}
    assert content["risk"] == {"equity": 1, "updated_at": NOW, "stale_after": NOW + 600}
    assert content["retrain"]["updated_at"] == NOW + 5000


def test_writers_at_once_lose_nothing_of_each_other(status_file: StatusFile) -> None:
    rounds = 40
    seen_half = []

    def write(section: str) -> None:
        for number in range(1, rounds + 1):
            while True:
                try:
                    status_file.replace({section: {"number": number}}, now=number, lifetime_seconds=1)
                except LockTimeoutError:  # is the contract: skip, and come again
                    continue
                break

    def read(stop: threading.Event) -> None:
        last = {"bot": 0, "retrain": 0}
        while not stop.is_set():
            content = status_file.read()
            for section, before in last.items():
                number = content.get(section, {"number": before})["number"]
                if number < before or (before and section not in content):
                    seen_half.append(content)
                last[section] = number

    stop = threading.Event()
    reader = threading.Thread(target=read, args=(stop,))
    writers = [threading.Thread(target=write, args=(section,)) for section in ("bot", "retrain")]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(timeout=20)
    stop.set()
    reader.join(timeout=5)
    assert seen_half == []
    content = status_file.read()
    assert (content["bot"]["number"], content["retrain"]["number"]) == (rounds, rounds)


WRITER = """
import sys, time
from pathlib import Path
from nightdesk_core.files import LockTimeoutError
from nightdesk_exporter import StatusFile
path, section = Path(sys.argv[1]), sys.argv[2]
file, number = StatusFile(path), 0
filler = "x" * 20_000  # more than a page: a write in place would be seen half done
while True:
    number += 1
    try:
        file.replace({section: {"number": number, "filler": filler, "again": number}}, now=number, lifetime_seconds=1)
    except LockTimeoutError:
        pass
"""


def test_a_reader_in_a_tight_loop_against_two_writers_that_are_killed_sees_no_broken_file(
    status_file: StatusFile,
) -> None:
    random = Random(4)

    def start(section: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WRITER, str(status_file.path), section])

    writers = {section: start(section) for section in ("bot", "retrain")}
    try:
        until(lambda: set(status_file.read()) >= {"bot", "retrain"}, "both writers' first sections")
        reads, kills, newest = 0, 0, {"bot": 0, "retrain": 0}
        next_kill = time.monotonic()
        while kills < 12 or reads < 2_000:
            content = json.loads(status_file.path.read_bytes())  # raises where it is half-written
            reads += 1
            assert set(content) == {"schema_version", "bot", "retrain"}
            for section in newest:
                found = content[section]
                assert found["number"] == found["again"] == found["updated_at"] == found["stale_after"] - 1
                assert len(found["filler"]) == 20_000
            if time.monotonic() >= next_kill:
                section = random.choice(("bot", "retrain"))
                writers[section].kill()
                writers[section].wait(timeout=WAIT_SECONDS)
                writers[section] = start(section)
                kills += 1
                next_kill = time.monotonic() + random.uniform(0.1, 0.4)
    finally:
        for writer in writers.values():
            writer.kill()
            writer.wait(timeout=WAIT_SECONDS)
    # What a killed writer leaves behind is a part file of its own, and no lock.
    status_file.replace({"bot": {"number": 0}}, now=NOW, lifetime_seconds=1)


def test_a_writer_waits_200_ms_for_the_lock_then_skips_and_counts_and_comes_again(
    status_file: StatusFile, clock: Clock, messages: list[str]
) -> None:
    with make(clock, status_file=status_file, health_check_interval_seconds=0.3) as exporter:
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        with locked(status_file.path.with_name(".bot_status.json.lock"), timeout_seconds=0):
            begun = time.monotonic()
            exporter.no_model()
            blocked = time.monotonic() - begun
            until(lambda: failures(exporter) == 1, "a write that is skipped")
            waited = time.monotonic() - begun
            before = status_file.path.read_bytes()
        assert blocked < 0.05  # the loop only rings a bell
        assert 0.2 <= waited < 2.0
        assert b"no_model" not in before
        until(lambda: "model_missing" in status_file.path.read_text(), "the write that was skipped")
    assert [message for message in messages if "status file" in message] == [
        f"the status file was not written: {status_file.path.with_name('.bot_status.json.lock')}"
        " is still held by another process after 0.2 s",
        "the status file is written again",
    ]


def failures(exporter: BotExporter) -> float:
    return exporter.snapshot.counters["status_file_write_failures",]


@pytest.mark.parametrize("where", ["a file where the folder should be", "a file system that takes nothing"])
def test_a_folder_that_cannot_be_written_is_counted_and_the_bot_goes_on(
    where: str, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    folder = tmp_path / "logs" if where.startswith("a file where") else Path("/proc/nightdesk")
    with make(clock, status_file=StatusFile(folder / "bot_status.json")) as exporter:
        until(lambda: failures(exporter) > 0, "a write that fails")
        exporter.model(**MODEL)
        assert samples(exporter, "model_loaded") == ["tradebot_model_loaded 1.0"]
        clock.now += 601
        assert "status_file_stale" in [issue.name for issue in exporter.health().issues]
        assert samples(exporter, "status_file_limit_seconds") == ["tradebot_status_file_limit_seconds 600.0"]
        assert requests.get(f"{exporter.url}/metrics", timeout=5).status_code == 200


FULL_DISK = """
import resource, sys, time
from pathlib import Path
from nightdesk_exporter import BotExporter
path = Path(sys.argv[1])
with BotExporter("btc", symbols=[], port=0, status_file=path, health_check_interval_seconds=0.05) as exporter:
    while exporter.snapshot.status_written_at is None:
        time.sleep(0.01)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # from now on no file takes more
    while exporter.snapshot.counters["status_file_write_failures",] < 3:
        time.sleep(0.01)
    assert path.read_bytes() == before
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    exporter.event("there is room again")
    while "there is room again" not in path.read_text():
        time.sleep(0.01)
    assert sorted(child.name for child in path.parent.iterdir()) == [".bot_status.json.lock", "bot_status.json"]
"""


def test_a_disk_that_takes_no_more_leaves_the_old_file_and_is_written_again_once_it_does(
    status_file: StatusFile,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(status_file.path)], capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr.count(b"the status file was not written: ")) == (0, 1), done.stderr.decode()


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 99, "bot": {}}', "\ud800"])
def test_a_file_that_is_not_ours_reads_as_empty_and_is_replaced(content: str, status_file: StatusFile) -> None:
    status_file.path.parent.mkdir()
    status_file.path.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert status_file.read() == {"schema_version": 1}
    status_file.replace({"bot": {}}, now=NOW, lifetime_seconds=1)
    assert set(status_file.read()) == {"schema_version", "bot"}


def test_known_failure_13_it_is_written_at_the_configured_interval(status_file: StatusFile) -> None:
    with BotExporter(
        "btc", symbols=[], port=0, status_file=status_file, health_check_interval_seconds=0.02
    ) as exporter:
        seen = set()

        def written_often() -> bool:
            seen.add(exporter.snapshot.status_written_at)
            return len(seen) > 4

        until(written_often, "four writes at 20 ms")
    content = status_file.read()["bot"]
    assert content["stale_after"] - content["updated_at"] == pytest.approx(0.04)


def test_an_error_that_nobody_foresaw_does_not_end_the_regular_writing(
    status_file: StatusFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = status_file.replace, []

    def fail_once(*args: Any, **kwargs: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        replace(*args, **kwargs)

    monkeypatch.setattr(status_file, "replace", fail_once)
    with BotExporter(
        "btc", symbols=[], port=0, status_file=status_file, health_check_interval_seconds=0.02
    ) as exporter:
        until(lambda: exporter.snapshot.status_written_at is not None, "a write after the one that failed")
        errors = samples(exporter, "instrumentation_errors_total")
    assert errors == ['tradebot_instrumentation_errors_total{cause="keeper: RuntimeError"} 1.0']


def test_known_failure_13_with_a_long_interval_it_is_written_once_and_at_the_end(
    status_file: StatusFile, clock: Clock
) -> None:
    with make(clock, status_file=status_file) as exporter:
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        clock.now += 100
        assert status_file.read()["bot"]["updated_at"] == NOW
        assert status_file.read()["bot"]["stale_after"] == NOW + 600
    assert status_file.read()["bot"]["updated_at"] == NOW + 100


def test_known_failure_14_the_model_s_age_is_in_the_status(full: BotExporter, clock: Clock) -> None:
    clock.now += 86_400 / 2
    assert full.status()["model"] == {
        "version": "v1",
        "standing": "provisional",
        "trained_at": "2019-10-16T09:00:00Z",
        "age_days": 1.5,
        "data_end": "2019-10-17T08:00:00Z",
        "load_failure": None,
        "performance": {
            "live_trades": 20,
            "live_win_ratio": 0.4,
            "live_sharpe_ratio": 0.9,
            "backtest_win_ratio": 0.45,
            "backtest_sharpe_ratio": 1.2,
        },
    }


def test_the_status_holds_every_health_check_component_of_the_requirements(full: BotExporter) -> None:
    status = full.status()
    wanted = {
        "bot": {"running", "last_candle_received_at", "websocket_connected", "exchange_contact_at", "health", "issues"},
        "trading": {"guard", "regime", "open_positions", "recent_trades", "kill_switch"},
        "model": {"version", "age_days", "trained_at", "performance"},
        "risk": {"drawdown_ratio", "daily_pnl_ratio", "positions", "leverage_ratio"},
    }
    for section, keys in wanted.items():
        assert keys <= set(status[section])
        assert not [key for key in keys if status[section][key] is None], section


def test_an_issue_says_since_when_and_against_which_limit(full: BotExporter, clock: Clock) -> None:
    full.equity(9_400.0, peak=10_000.0, daily_pnl_ratio=0.0)
    clock.now += 10
    assert full.status()["bot"]["issues"] == [
        {
            "name": "drawdown_high",
            "verdict": "degraded",
            "cause": "the drawdown is 6.00%, the limit is 5.00%",
            "since": "2019-10-17T09:00:10Z",
            "limit": 0.05,
            "alert": "TradebotDrawdownHigh",
        }
    ]


def test_what_is_not_known_is_null(exporter: BotExporter) -> None:
    status = exporter.status()
    assert set(status) == {"bot", "trading", "model", "risk"}
    assert {key: value for key, value in status["model"].items() if value is not None} == {
        "performance": dict.fromkeys(status["model"]["performance"])
    }
    assert status["trading"]["guard"] is None
    assert status["trading"]["open_positions"] is None
    assert status["risk"]["drawdown_ratio"] is None
    assert json.loads(json.dumps(status)) == status


CHANGES: dict[str, tuple[Callable[[BotExporter], None], Callable[[dict[str, Any]], bool]]] = {
    "guard": (
        lambda exporter: exporter.guard("paused", reason="losing streak of 14 reaches 14"),
        lambda status: status["trading"]["guard"] == "paused",
    ),
    "kill switch": (
        lambda exporter: exporter.kill_switch(active=True, reason="a test"),
        lambda status: status["trading"]["kill_switch_reason"] == "a test",
    ),
    "regime": (
        lambda exporter: exporter.regime("BTC/USDT:USDT", "high_volatility"),
        lambda status: status["trading"]["regime"] == {"BTC/USDT:USDT": "high_volatility"},
    ),
    "model": (
        lambda exporter: exporter.model("v2", trained_at=NOW),
        lambda status: status["model"]["version"] == "v2",
    ),
    "health": (
        lambda exporter: exporter.equity(89.0, peak=100.0),
        lambda status: status["bot"]["health"] == "unhealthy",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_is_in_the_file_at_once(what: str, status_file: StatusFile, clock: Clock) -> None:
    change, is_there = CHANGES[what]
    with make(clock, status_file=status_file) as exporter:
        exporter.heartbeat()
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        change(exporter)
        begun = time.monotonic()
        until(lambda: is_there(status_file.read()), "the change")
        assert time.monotonic() - begun < 2.0  # the interval is five minutes


def test_health_that_a_scrape_finds_changed_is_in_the_file_at_once(status_file: StatusFile, clock: Clock) -> None:
    with make(clock, status_file=status_file) as exporter:
        exporter.heartbeat()
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        clock.now += 121
        requests.get(f"{exporter.url}/metrics", timeout=5)
        until(lambda: status_file.read()["bot"]["health"] == "unhealthy", "the new verdict")


def test_a_start_remembers_the_last_trade_and_the_equity_s_peak_and_day(status_file: StatusFile, clock: Clock) -> None:
    with make(clock, status_file=status_file) as exporter:
        exporter.trading_expected(expected=True)
        exporter.trade(BTC, profit=1.0)
        exporter.equity(100.0)
        exporter.equity(90.0)
    clock.now += 3600
    again = make(clock, status_file=status_file)
    again.trading_expected(expected=True)
    again.equity(95.0)
    assert samples(again, "last_trade_timestamp_seconds") == ["tradebot_last_trade_timestamp_seconds 1.5713028e+09"]
    assert again.snapshot.trading_expected_since == NOW
    assert samples(again, "drawdown_ratio") == [f"tradebot_drawdown_ratio {1 - 95 / 100}"]
    assert samples(again, "daily_pnl_ratio") == [f"tradebot_daily_pnl_ratio {95 / 100 - 1}"]


def test_a_new_day_begins_with_the_equity_of_the_day_before(exporter: BotExporter, clock: Clock) -> None:
    exporter.equity(100.0)
    exporter.equity(110.0)
    clock.now += 86_400
    exporter.equity(99.0)
    assert exporter.snapshot.daily_pnl_ratio == pytest.approx(-0.1)
    assert exporter.snapshot.equity_peak == 110.0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"bot": {"name": "eth"}, "risk": {"currency": "USDT", "equity_peak": 5.0}},
        {"bot": {"name": "btc"}, "risk": {"currency": "EUR", "equity_peak": 5.0}},
        {"bot": {"name": "btc"}, "risk": {"currency": "USDT", "equity_peak": "much"}, "trading": None},
        {"bot": [], "risk": 5},
    ],
)
def test_a_status_file_of_another_bot_or_an_odd_one_is_not_remembered(
    document: dict[str, Any], status_file: StatusFile, clock: Clock
) -> None:
    status_file.path.parent.mkdir()
    status_file.path.write_text(json.dumps({"schema_version": 1, **document}))
    assert make(clock, status_file=status_file).snapshot.equity_peak is None


def test_the_exception_that_ends_the_bot_is_in_its_last_status(status_file: StatusFile, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), make(clock, status_file=status_file):
        _ = 1 / 0
    assert status_file.read()["bot"]["running"] is False
    assert status_file.read()["bot"]["stopped_by"] == "ZeroDivisionError: division by zero"
    assert status_file.read()["bot"]["events"][-1]["level"] == "critical"


async def test_it_is_an_asynchronous_context_manager_too(status_file: StatusFile, clock: Clock) -> None:
    async with make(clock, status_file=status_file) as exporter:
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await asyncio.to_thread(requests.get, f"{exporter.url}/healthz", timeout=5)
    assert answer.json() == {"status": "unknown", "issues": []}
    assert status_file.read()["bot"]["running"] is False
