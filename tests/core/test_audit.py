"""The audit log: what was edited, removed or reordered shows, and a torn line does not stop it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk_core.audit import GENESIS, AuditError, AuditHead, AuditLog
from nightdesk_core.clock import WallTime

from tests.core.conftest import Start, line_of, wait_for_exit, write_half

APPEND = """
import sys
from pathlib import Path
from nightdesk_core.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    log.append("counted", {"number": number}, actor=sys.argv[2])
"""

Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """Five entries, a second apart."""
    times = iter(range(1_571_300_000, 1_571_400_000))
    log = AuditLog(tmp_path / "audit.jsonl", clock=lambda: WallTime(float(next(times))))
    for number in range(5):
        log.append("counted", {"number": number}, actor="bot")
    return log


def change(log: AuditLog, edit: Callable[[Lines], Lines]) -> None:
    """Rewrite the log's lines."""
    log.path.write_bytes(b"".join(edit(log.path.read_bytes().splitlines(keepends=True))))


def test_an_entry_says_who_did_what_when_and_carries_the_hash_before_it(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", clock=lambda: WallTime(1_571_302_800.0))
    head = log.append("promoted", {"version": "v1"}, actor="retrain")
    line = (
        b'{"actor":"retrain","details":{"version":"v1"},"event":"promoted",'
        b'"previous":"' + GENESIS.encode() + b'","seq":1,"time":"2019-10-17T09:00:00Z"}'
    )
    assert log.path.read_bytes() == line + b"\n"
    assert head == AuditHead(1, hashlib.sha256(line).hexdigest())
    assert log.append("kept", {}, actor="retrain").length == 2
    assert [entry.previous for entry in log.entries()] == [GENESIS, head.digest]


def test_an_intact_chain_verifies_to_its_head(log: AuditLog) -> None:
    head = log.verify()
    assert head.length == 5
    assert head.digest == hashlib.sha256(log.path.read_bytes().splitlines()[-1]).hexdigest()


def test_a_log_that_does_not_exist_is_an_empty_chain(tmp_path: Path) -> None:
    assert AuditLog(tmp_path / "none.jsonl").verify() == AuditHead(0, GENESIS)


def test_an_edited_line_is_found_at_the_line_after_it(log: AuditLog) -> None:
    change(log, lambda lines: [line.replace(b'"number":2', b'"number":9') for line in lines])
    with pytest.raises(AuditError) as raised:
        log.verify()
    assert raised.value.line == 4
    assert str(raised.value) == (f"{log.path}, line 4: does not carry the hash of the line before it: one was edited")


def test_a_removed_line_is_found(log: AuditLog) -> None:
    change(log, lambda lines: lines[:2] + lines[3:])
    with pytest.raises(AuditError) as raised:
        log.verify()
    assert (raised.value.line, raised.value.reason) == (3, "says it is entry 4: a line was removed or moved")


def test_a_reordered_line_is_found(log: AuditLog) -> None:
    change(log, lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
    with pytest.raises(AuditError) as raised:
        log.verify()
    assert (raised.value.line, raised.value.reason) == (2, "says it is entry 3: a line was removed or moved")


def test_a_removed_line_whose_followers_were_renumbered_is_found(log: AuditLog) -> None:
    def renumber(lines: Lines) -> Lines:
        return [
            lines[0],
            *(line.replace(b'"seq":%d' % (n + 1), b'"seq":%d' % n) for n, line in enumerate(lines[2:], 2)),
        ]

    change(log, renumber)
    with pytest.raises(AuditError) as raised:
        log.verify()
    assert raised.value.line == 2


@pytest.mark.parametrize("content", [b"not json\n", b"[]\n", b"5\n", b"\n"])
def test_a_line_that_is_no_entry_is_named_and_stops_the_writer(content: bytes, log: AuditLog) -> None:
    change(log, lambda lines: [*lines, content])
    with pytest.raises(AuditError) as raised:
        log.verify()
    assert raised.value.line == 6
    before = log.path.read_bytes()
    with pytest.raises(AuditError) as raised:
        log.append("counted", {}, actor="bot")
    assert raised.value.reason.startswith("is not an audit entry (")
    assert raised.value.reason.endswith("); run `nightdesk audit verify`")
    assert log.path.read_bytes() == before


def test_a_tail_that_was_cut_shows_only_against_the_anchor(log: AuditLog) -> None:
    anchor = log.verify()
    change(log, lambda lines: lines[:-1])
    assert log.verify() != anchor


def test_a_torn_last_line_is_set_aside_recorded_and_continued(log: AuditLog) -> None:
    write_half(log.path, '{"actor":"bot","det')
    assert log.verify().length == 5
    head = log.append("counted", {"number": 5}, actor="bot")
    assert log.verify() == head
    entries = list(log.entries())
    assert [(entry.seq, entry.event) for entry in entries[-2:]] == [(6, "torn_line_set_aside"), (7, "counted")]
    assert entries[-2].details == {"bytes": 19}
    assert (log.path.parent / "audit.jsonl.torn").read_text() == '{"actor":"bot","det\n'


def test_a_log_that_holds_only_a_torn_line_begins_anew(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    write_half(log.path, "{")
    log.append("counted", {}, actor="bot")
    assert [entry.event for entry in log.entries()] == ["torn_line_set_aside", "counted"]
    assert log.verify().length == 2


def test_details_that_are_not_json_write_nothing(log: AuditLog) -> None:
    before = log.path.read_bytes()
    with pytest.raises(ValueError, match="Out of range float"):
        log.append("counted", {"number": float("nan")}, actor="bot")
    assert log.path.read_bytes() == before


def test_two_processes_append_at_once_to_one_chain(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [start(APPEND, path, actor, 80) for actor in ("bot", "retrain")]
    assert [line_of(writer) for writer in writers] == ["ready", "ready"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [wait_for_exit(writer) for writer in writers] == [0, 0]
    log = AuditLog(path)
    assert log.verify().length == 160
    for actor in ("bot", "retrain"):
        assert [entry.details["number"] for entry in log.entries() if entry.actor == actor] == list(range(80))
    turns = [entry.actor for entry in log.entries()]
    assert len(set(turns[:81])) == 2, "one had ended before the other began"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_changed_byte_anywhere_but_in_the_last_line_is_always_found(log: AuditLog, data: st.DataObject) -> None:
    intact = log.path.read_bytes()
    end_of_checked = intact.rstrip(b"\n").rfind(b"\n")
    at = data.draw(st.integers(0, end_of_checked))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != intact[at]))
    log.path.write_bytes(intact[:at] + bytes([changed]) + intact[at + 1 :])
    with pytest.raises(AuditError):
        log.verify()
    log.path.write_bytes(intact)
    assert json.loads(log.path.read_bytes().splitlines()[0])["seq"] == 1


def test_a_tail_that_was_cut_and_one_that_was_rewritten_show_against_an_anchor(log: AuditLog) -> None:
    whole = log.verify()
    lines = log.path.read_bytes().splitlines(keepends=True)
    assert log.verify([whole, AuditHead(1, hashlib.sha256(lines[0][:-1]).hexdigest()), AuditHead(0, GENESIS)]) == whole
    log.path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(AuditError, match=f"line {len(lines)}: is missing: an anchor has seen {len(lines)} lines"):
        log.verify([whole])
    (log.path.parent / "audit.jsonl.anchor").unlink()
    log.append("something else", {}, actor="mallory")
    with pytest.raises(AuditError, match=f"line {len(lines)}: is not the line that was anchored"):
        log.verify([whole])
