"""The status file: bot and job write their own sections, and neither waits long for the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_exporter import BotExporter, StatusFile

from tests.exporter.conftest import MODEL, NOW, WAIT_SECONDS, Clock, make, samples, until


def test_each_section_says_when_it_was_written_and_when_it_goes_stale(status_file: StatusFile) -> None:
    status_file.replace({"bot": {"running": True}}, now=WallTime(NOW), lifetime_seconds=600)
    assert json.loads(status_file.path.read_text()) == {
        "schema_version": 1,
        "bot": {"running": True, "updated_at": NOW, "stale_after": NOW + 600},
    }


def test_a_writer_replaces_its_own_sections_and_keeps_the_others_with_their_age(status_file: StatusFile) -> None:
    status_file.replace({"bot": {"running": True}, "risk": {"equity": 1}}, now=WallTime(NOW), lifetime_seconds=600)
    status_file.replace({"retrain": {"decision": "kept"}}, now=WallTime(NOW + 5000), lifetime_seconds=60)
    status_file.replace({"bot": {"running": False}}, now=WallTime(NOW + 100), lifetime_seconds=600)
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
                    status_file.replace({section: {"number": number}}, now=WallTime(number), lifetime_seconds=1)
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
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import LockTimeoutError
from nightdesk_exporter import StatusFile
path, section = Path(sys.argv[1]), sys.argv[2]
file, number = StatusFile(path), 0
filler = "x" * 20_000  # more than a page: a write in place would be seen half done
while True:
    number += 1
    try:
        content = {"number": number, "filler": filler, "again": number}
        file.replace({section: content}, now=WallTime(number), lifetime_seconds=1)
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
    status_file.replace({"bot": {"number": 0}}, now=WallTime(NOW), lifetime_seconds=1)


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
        assert b"model_missing" not in before
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
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # from now on no file takes more
    while exporter.snapshot.counters["status_file_write_failures",] < 1:
        time.sleep(0.01)
    before = path.read_bytes()
    while exporter.snapshot.counters["status_file_write_failures",] < 3:
        time.sleep(0.01)
    assert path.read_bytes() == before
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    exporter.event("there is room again")
    while "there is room again" not in path.read_text():
        time.sleep(0.01)
    # The next write may be under way.
    while sorted(child.name for child in path.parent.iterdir()) != [".bot_status.json.lock", "bot_status.json"]:
        time.sleep(0.001)
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
    status_file.replace({"bot": {}}, now=WallTime(NOW), lifetime_seconds=1)
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
