"""Requests for a retrain: what is asked, what is merged, what is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.audit import AuditError, AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.models.requests import FILE_NAME, RetrainRequest, RetrainRequestError, RetrainRequests

from tests.core.conftest import Start, line_of, wait_for_exit

NOW = 1_571_302_800.0
DAY = 86_400.0
ADD = """
import sys
from pathlib import Path
from nightdesk_core.audit import AuditLog
from nightdesk_core.models.requests import RetrainRequests
requests = RetrainRequests(Path(sys.argv[1]), AuditLog(Path(sys.argv[1]) / "audit.jsonl"))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    requests.add("guard", f"event {number}", sys.argv[3], at=float(number + int(sys.argv[4])))
"""


@dataclass
class Desk:
    """Requests beside an audit log, under a clock that stands still until it is set."""

    folder: Path
    now: float = NOW
    audit: AuditLog = field(init=False)
    requests: RetrainRequests = field(init=False)

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.folder / "audit.jsonl", clock=lambda: WallTime(self.now))
        self.requests = RetrainRequests(self.folder, self.audit, clock=lambda: WallTime(self.now))

    def ask(self, cause: Any = "guard", reason: str = "win rate 20%", *, at: float = 5.0) -> RetrainRequest:
        request = self.requests.add(cause, reason, "bot", at=at)
        assert request is not None
        return request

    def answer(self, *keys: str) -> None:
        self.audit.append("verdict", {"requests": list(keys)}, actor="retrain")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def events(desk: Desk) -> list[str]:
    desk.audit.verify()
    return [entry.event for entry in desk.audit.entries()]


def test_without_a_file_nothing_is_pending_and_none_is_made(desk: Desk) -> None:
    assert desk.requests.pending() == []
    assert not desk.folder.exists()


def test_a_request_is_on_disk_and_audited_once_it_was_added(desk: Desk) -> None:
    request = desk.ask(reason=" win rate 20% ")
    assert (request.cause, request.reason, request.actor, request.requested_at) == (
        "guard",
        "win rate 20%",
        "bot",
        WallTime(NOW),
    )
    assert request.count == 1
    assert request.key.startswith("guard-")
    assert Desk(desk.folder).requests.pending() == [request]
    (entry,) = desk.audit.entries()
    assert entry.details == {
        "key": request.key,
        "cause": "guard",
        "reason": "win rate 20%",
        "at": 5.0,
        "request": request.key,
    }


def test_the_same_event_asked_for_twice_is_one_request(desk: Desk) -> None:
    request = desk.ask(at=5)
    assert desk.ask(reason="told again after a crash", at=5.0) == request
    assert events(desk) == ["retrain_requested"]


def test_the_same_time_under_another_cause_is_another_event(desk: Desk) -> None:
    desk.ask("guard")
    desk.ask("expectation", "e-value 21")
    assert [request.cause for request in desk.requests.pending()] == ["guard", "expectation"]


def test_another_event_of_the_same_cause_merges_with_the_first_reason_and_the_newest(desk: Desk) -> None:
    first = desk.ask(reason="reduced", at=5)
    desk.now += 2 * DAY
    desk.ask(reason="paused", at=6)
    merged = desk.ask(reason="paused once more", at=7)
    assert (merged.key, merged.count, merged.requested_at) == (first.key, 3, WallTime(NOW))
    assert (merged.reason, merged.newest_reason) == ("reduced", "paused once more")
    assert desk.requests.pending() == [merged]
    assert [entry.details["request"] for entry in desk.audit.entries()] == [first.key] * 3


def test_a_request_is_done_exactly_when_a_verdict_lists_its_key(desk: Desk) -> None:
    request = desk.ask()
    for event in ("failed", "dry_run", "rotated"):
        desk.audit.append(event, {"requests": [request.key]}, actor="retrain")
    desk.answer("guard-000000000000")
    desk.audit.append("verdict", {}, actor="a release without requests")
    assert desk.requests.pending() == [request]
    desk.answer(request.key)
    assert desk.requests.pending() == []


def test_an_event_that_a_verdict_answered_asks_for_nothing_more_however_late_it_is_told_again(desk: Desk) -> None:
    desk.answer(desk.ask("manual").key)
    desk.now += 400 * DAY
    assert desk.requests.add("manual", "again", "bot", at=5.0) is None
    assert desk.requests.pending() == []


def test_what_was_asked_while_the_job_ran_stays_pending_with_its_own_reason(desk: Desk) -> None:
    first = desk.ask(reason="reduced", at=5)
    later = desk.ask(reason="paused", at=6)
    desk.answer(first.key)
    (pending,) = desk.requests.pending()
    assert pending.keys == later.keys[1:]
    assert (pending.reason, pending.count) == ("paused", 1)


@pytest.mark.parametrize(("days", "opens"), [(6.99, False), (7.0, True)])
@pytest.mark.parametrize("cause", ["guard", "expectation", "model_age"])
def test_an_automatic_cause_opens_nothing_within_seven_days_of_its_verdict(
    cause: Any, days: float, opens: bool, desk: Desk
) -> None:
    desk.answer(desk.ask(cause, at=5).key)
    desk.now += days * DAY
    request = desk.requests.add(cause, "again", "bot", at=6.0)
    assert (request is not None) is opens
    assert bool(desk.requests.pending()) is opens


def test_the_window_after_a_verdict_is_as_long_as_it_is_said_to_be(desk: Desk) -> None:
    replayed = RetrainRequests(desk.folder, desk.audit, merge_seconds=30.0, clock=lambda: WallTime(desk.now))
    desk.answer(desk.ask(at=5).key)
    desk.now += 29
    assert replayed.add("guard", "again", "bot", at=6.0) is None
    desk.now += 1
    assert replayed.add("guard", "again", "bot", at=6.0) is not None


def test_a_verdict_on_one_cause_holds_back_no_other_and_never_a_person(desk: Desk) -> None:
    desk.answer(desk.ask("guard", at=5).key, desk.ask("manual", at=5).key)
    desk.ask("expectation", at=6)
    desk.ask("manual", at=6)
    assert [request.cause for request in desk.requests.pending()] == ["expectation", "manual"]


def test_what_was_answered_leaves_the_file_with_the_next_request(desk: Desk) -> None:
    desk.answer(desk.ask("manual", at=5).key)
    desk.ask("manual", at=6)
    assert len(json.loads(desk.requests.path.read_bytes())) == 1


@pytest.mark.parametrize(
    ("cause", "reason", "at", "message"),
    [
        ("guard", "  ", 5.0, "a retrain request needs a reason"),
        ("moon", "full", 5.0, "cause: Input should be 'guard', 'expectation', 'model_age' or 'manual'$"),
        ("guard", "paused", float("nan"), "at: Input should be a finite number$"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_what_is_wrong(
    cause: Any, reason: str, at: float, message: str, desk: Desk
) -> None:
    with pytest.raises(RetrainRequestError, match=message):
        desk.requests.add(cause, reason, "bot", at=at)
    assert desk.requests.pending() == []
    assert events(desk) == []


def test_a_broken_audit_log_is_named_because_it_alone_knows_what_was_answered(desk: Desk) -> None:
    desk.ask()
    with desk.audit.path.open("a") as file:
        file.write("[]\n")
    for use in (desk.requests.pending, desk.ask):
        with pytest.raises(AuditError) as raised:
            use()
        assert (raised.value.path, raised.value.line) == (desk.audit.path, 2)


EVENT = {"key": "guard-1", "cause": "guard", "reason": "r", "actor": "bot", "at": 1.0, "requested_at": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[{",
        "{}",
        "7",
        '["guard"]',
        '[{"key": "guard-1"}]',
        json.dumps([{**EVENT, "cause": "moon"}]),
        json.dumps([{**EVENT, "reason": 5}]),
        json.dumps([{**EVENT, "at": "yesterday"}]),
        json.dumps([{**EVENT, "requested_at": None}]),
        json.dumps([{**EVENT, "colour": "red"}]),
    ],
)
def test_a_damaged_file_is_kept_audited_and_answered_by_one_request_in_its_place(content: str, desk: Desk) -> None:
    desk.folder.mkdir()
    desk.requests.path.write_text(content)
    (request,) = desk.requests.pending()
    assert (request.cause, request.actor) == ("manual", "nightdesk")
    (aside,) = desk.folder.glob(f"{FILE_NAME}.damaged-*")
    assert aside.read_text() == content
    assert request.reason == f"{FILE_NAME} was damaged, so what it asked for is unknown; it is kept as {aside.name}"
    (entry,) = desk.audit.entries()
    assert (entry.event, entry.details["kept_as"]) == ("retrain_requests_damaged", aside.name)
    assert desk.requests.pending() == [request]


def test_a_request_added_to_a_damaged_file_stands_beside_the_one_in_its_place(desk: Desk) -> None:
    desk.folder.mkdir()
    desk.requests.path.write_text("{")
    desk.ask("guard")
    assert [request.cause for request in desk.requests.pending()] == ["manual", "guard"]


def test_two_processes_ask_at_once_and_none_is_lost(tmp_path: Path, start: Start) -> None:
    askers = [start(ADD, tmp_path, 40, actor, first) for actor, first in (("bot", 0), ("schedule", 30))]
    assert [line_of(asker) for asker in askers] == ["ready", "ready"]
    for asker in askers:
        assert asker.stdin is not None
        asker.stdin.write(b"go\n")
        asker.stdin.flush()
    assert [wait_for_exit(asker) for asker in askers] == [0, 0]
    desk = Desk(tmp_path)
    (request,) = desk.requests.pending()
    assert request.count == 70, "ten events were told by both"
    assert len(events(desk)) == 70
