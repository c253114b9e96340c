"""`nightdesk audit`: is the log whole, would the gate rule the same again, and which model traded when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from nightdesk.bot.parts import _report_audit
from nightdesk.cli.main import app
from nightdesk.settings import load
from nightdesk_core.audit import AuditError, AuditHead, AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import BotExporter, StatusFile
from typer.testing import CliRunner

VERDICT = {
    "version": "v2",
    "verdict": "promoted",
    "trigger": "guard",
    "reason": "every criterion is met",
    "data": {"rows": 17_000, "fingerprint": "abc", "end": 1_571_302_800.0},
    "training": {"start": 1_500_000_000.0, "end": 1_550_000_000.0},
}


class Desk:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "nightdesk.yml"
        self.file.write_text("home: .\n")
        (folder / "state").mkdir()
        self.now = 1_571_302_800.0
        self.log = AuditLog(folder / "state" / "audit.jsonl", clock=lambda: WallTime(self.now))
        self.status_file = StatusFile(folder / "logs" / "bot_status.json")

    def append(self, event: str, **details: Any) -> AuditHead:
        self.now += 3600
        return self.log.append(event, details, actor="test")

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["--settings", str(self.file), "audit", *arguments])

    def said(self, *arguments: str) -> list[str]:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        lines: list[str] = done.stdout.splitlines()
        return lines


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def note(desk: Desk, head: AuditHead, section: str = "bot") -> None:
    anchor = {"audit": {"length": head.length, "digest": head.digest}}
    desk.status_file.replace({section: anchor}, now=WallTime(time.time()), lifetime_seconds=60)


def test_a_whole_log_says_how_far_it_is_anchored(desk: Desk) -> None:
    note(desk, desk.append("one"), "retrain")
    note(desk, desk.append("two"))
    head = desk.append("three")
    assert desk.said("verify") == [
        f"3 entries, intact; head {head.digest}",
        "the first 2 are anchored in the status file; a cut of what came after them would not show",
    ]


def test_a_cut_tail_shows_against_what_the_bot_noted(desk: Desk) -> None:
    desk.append("one")
    note(desk, desk.append("two"))
    first, _ = desk.log.path.read_bytes().splitlines(keepends=True)
    desk.log.path.write_bytes(first)
    error = desk.run("verify").exception
    assert isinstance(error, AuditError)
    assert error.reason == "is missing: an anchor has seen 2 lines, and a tail was cut off"


def test_a_log_that_is_gone_is_a_complaint_until_a_person_renews_it(desk: Desk) -> None:
    note(desk, desk.append("one"), "retrain")
    note(desk, desk.append("two"))
    for path in desk.log.path.parent.iterdir():
        path.unlink()  # its own anchor, too: the status file still knows
    assert isinstance(desk.run("verify").exception, AuditError)
    assert desk.said("renew", "--reason", "the disk was cleaned") == [
        f"{desk.log.path} begins anew; its first entry says why"
    ]
    (entry,) = desk.log.entries()
    assert entry.details["reason"] == "the disk was cleaned"
    assert desk.said("verify")[0].startswith("1 entries, intact")
    assert isinstance(desk.run("renew", "--reason", "again").exception, NightdeskError)


def test_what_the_bot_reports_of_its_audit_log(desk: Desk) -> None:
    settings = load(desk.file)
    with BotExporter("btc", symbols=[], port=0) as exporter:
        desk.append("one")
        _report_audit(settings, exporter)
        assert (exporter.snapshot.audit_missing, exporter.snapshot.gauges["audit_entries",]) == ("", 1)
        desk.log.path.unlink()
        _report_audit(settings, exporter)
        assert [issue.name for issue in exporter.health().issues if issue.name.startswith("audit")] == ["audit_missing"]
        desk.said("renew", "--reason", "a test")
        _report_audit(settings, exporter)
        assert exporter.snapshot.audit_missing == ""


def test_which_model_traded_when_why_and_on_what_data(desk: Desk) -> None:
    desk.append("rotated", version="v1", standing="provisional")
    desk.append("verdict", **VERDICT)
    desk.append("rotated", version="v2", standing="probation")
    taken = {"version": "v2", "reason": "it broke its promise"}
    desk.append("rolled_back", version="v1", standing="provisional", rollback=taken)
    assert desk.said("champion", "--at", "2019-10-17T12:30") == [
        "v2, probation, since 2019-10-17T12:00:00Z (entry 3, rotated)",
        "verdict: promoted, trigger guard: every criterion is met",
        "trained on 2017-07-14T02:40:00Z to 2019-02-12T19:33:20Z, judged until 2019-10-17T09:00:00Z",
        "data: 17000 rows, fingerprint abc",
    ]
    assert desk.said("champion") == [
        "v1, provisional, since 2019-10-17T13:00:00Z (entry 4, rolled_back)",
        "it came back for v2: it broke its promise",
        "the audit log holds no verdict on it",
    ]
    error = desk.run("champion", "--at", "2019-10-17T09:30").exception
    assert str(error) == "no model was champion then, as far as the audit log knows"


def test_a_verdict_that_is_not_there_is_named(desk: Desk) -> None:
    error = desk.run("replay", "v7").exception
    assert isinstance(error, NightdeskError)
    assert str(error) == "the audit log holds no verdict v7; `nightdesk models list` prints the versions"
