"""The status file: bot and job write their own sections, and neither waits long for the other."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.files import LockTimeoutError, locked
from nightdesk_exporter import BotExporter, StatusFile

from tests.exporter.conftest import MODEL, NOW, Clock, make, samples, until


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


def test_a_writer_waits_200_ms_for_the_lock_and_then_skips_and_counts(
    status_file: StatusFile, clock: Clock, messages: list[str]
) -> None:
    exporter = make(clock, status_file=status_file)
    exporter.model(MODEL)
    before = status_file.path.read_bytes()
    with locked(status_file.path.with_name(".bot_status.json.lock"), timeout_seconds=0):
        begun = time.monotonic()
        exporter.model(None)
        took = time.monotonic() - begun
    assert 0.2 <= took < 0.6
    assert samples(exporter, "status_file_write_failures_total") == ["tradebot_status_file_write_failures_total 1.0"]
    assert status_file.path.read_bytes() == before
    assert messages[-1].startswith("the status file was not written: ")
    exporter.model(None)
    assert status_file.read()["model"]["version"] is None


def test_a_folder_that_cannot_be_written_is_counted_and_the_bot_goes_on(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    exporter = make(clock, status_file=StatusFile(tmp_path / "logs" / "bot_status.json"))
    exporter.model(MODEL)
    assert samples(exporter, "status_file_write_failures_total")[0].endswith(" 1.0")
    assert samples(exporter, "model_loaded") == ["tradebot_model_loaded 1.0"]


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 99, "bot": {}}', "\ud800"])
def test_a_file_that_is_not_ours_reads_as_empty_and_is_replaced(content: str, status_file: StatusFile) -> None:
    status_file.path.parent.mkdir()
    status_file.path.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert status_file.read() == {"schema_version": 1}
    status_file.replace({"bot": {}}, now=NOW, lifetime_seconds=1)
    assert set(status_file.read()) == {"schema_version", "bot"}


def test_known_failure_13_it_is_written_at_the_configured_interval(status_file: StatusFile) -> None:
    with BotExporter("btc", symbols=[], port=0, status_file=status_file, status_interval_seconds=0.02) as exporter:
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
    with BotExporter("btc", symbols=[], port=0, status_file=status_file, status_interval_seconds=0.02) as exporter:
        until(lambda: exporter.snapshot.status_written_at is not None, "a write after the one that failed")
        errors = samples(exporter, "instrumentation_errors_total")
    assert errors == ['tradebot_instrumentation_errors_total{cause="status file: RuntimeError"} 1.0']


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
    }


def test_what_is_not_known_is_null(exporter: BotExporter) -> None:
    status = exporter.status()
    assert set(status) == {"bot", "trading", "model", "risk"}
    assert set(status["model"].values()) == {None}
    assert status["trading"]["guard"] is None
    assert status["trading"]["open_positions"] is None
    assert status["risk"]["drawdown_ratio"] is None
    assert json.loads(json.dumps(status)) == status


def test_a_guard_that_moves_is_in_the_file_at_once(status_file: StatusFile, clock: Clock) -> None:
    exporter = make(clock, status_file=status_file)
    exporter.guard("paused", size_multiplier=0.0, values={}, limits={})
    exporter.guard_moved("paused", reason="losing streak of 14 reaches 14")
    assert status_file.read()["trading"]["guard"] == "paused"
    exporter.kill_switch(active=False)
    exporter.kill_switch(active=True, reason="a test")
    assert status_file.read()["trading"]["kill_switch_reason"] == "a test"
