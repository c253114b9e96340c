"""A spool that cannot be had at the start is taken up once it can: nothing is lost or doubled, and people are told."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from nightdesk_alerts.delivery import spool, spool_writer
from nightdesk_alerts.delivery.outcome import Later
from nightdesk_core.files.durable import locked
from nightdesk_core.files.reader import InputError

from tests.alerts.conftest import PAUSED, ServedInbox, StartSender, only, until
from tests.alerts.ledger_desk import Desk
from tests.alerts.test_spool import left_by_a_bot, names_in, nobody


class Told:
    """What a sender says of what cannot be written."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, what: str, reason: str) -> None:
        self.all.append((what, reason))

    @property
    def problem(self) -> str | None:
        return self.all[-1][1] if self.all else None


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again every 0.2 s."""
    monkeypatch.setattr(spool_writer, "_LONGEST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(spool, "_LOCK_SECONDS", 0.05)


def test_a_folder_that_comes_late_is_used_from_then_on(tmp_path: Path, start: StartSender) -> None:
    told = Told()
    folder = tmp_path / "alerts"
    folder.touch()
    sender = start(nobody(), spool=folder / "spool.json", unwritable=told)
    sender.send_alert("X", **PAUSED)
    until(lambda: told.problem, "the spool to be told of")
    assert told.all[-1][0] == "alert spool"
    folder.unlink()
    until(lambda: names_in(folder / "spool.json") == ["X"], "the alert on disk")
    until(lambda: told.problem == "", "the end to be told")


def test_it_is_tried_again_where_nothing_is_sent(tmp_path: Path, start: StartSender) -> None:
    told = Told()
    (tmp_path / "alerts").touch()
    start(nobody(), spool=tmp_path / "alerts" / "spool.json", unwritable=told)
    until(lambda: told.problem, "the spool to be told of")
    (tmp_path / "alerts").unlink()
    until(lambda: told.problem == "", "the end to be told")


def test_what_another_bot_holds_is_taken_up_once_it_ends_and_nothing_is_lost_or_doubled(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]]
) -> None:
    path, told = tmp_path / "spool.json", Told()
    left_by_a_bot(path, start, "Old", "Both", "Over")
    with locked(tmp_path / ".spool.json.lock", timeout_seconds=1):
        sender = start(only(inbox, "discord"), spool=path, unwritable=told)
        sender.send_alert("Both", **PAUSED)
        sender.withdraw("Over")
        inbox.arrived("discord")
        until(lambda: told.problem, "the spool to be told of")
        assert "another bot's" in str(told.problem)
        assert names_in(path) == ["Both", "Old", "Over"]
    inbox.arrived("discord", 2)
    sender.send_alert("Last", **PAUSED)
    inbox.arrived("discord", 3)
    assert [message.alertname for message in inbox.find("discord")] == ["Both", "Old", "Last"]
    until(lambda: "Over" not in names_in(path), "the spool to forget it")
    assert len([text for level, text in logged if level == "ERROR" and "another bot's" in text]) == 1


def test_what_cannot_be_read_for_now_is_not_taken_for_damaged(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = tmp_path / "spool.json", Told()
    left_by_a_bot(path, start, "Old")

    def too_many(*_: Any, **__: Any) -> Any:
        cause = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        raise InputError(str(path), "cannot be read (Too many open files)") from cause

    with monkeypatch.context() as patched:
        patched.setattr("nightdesk_alerts.delivery.spool.read_json", too_many)
        start(only(inbox, "discord"), spool=path, unwritable=told)
        until(lambda: told.problem, "the spool to be told of")
    assert [message.alertname for message in inbox.arrived("discord")] == ["Old"]
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_a_bot_that_ends_without_its_spool_leaves_it_to_the_next(tmp_path: Path, start: StartSender) -> None:
    path, told = tmp_path / "spool.json", Told()
    with locked(tmp_path / ".spool.json.lock", timeout_seconds=1):
        sender = start(nobody(), spool=path, unwritable=told, close_seconds=0.2)
        until(lambda: told.problem, "the spool to be told of")
        sender.__exit__(None, None, None)
    start(nobody(), spool=path).send_alert("X", **PAUSED)
    until(lambda: names_in(path) == ["X"], "the next one's alert on disk")


def test_who_was_told_before_a_spool_that_opens_late_is_not_told_again_and_hears_of_the_end() -> None:
    before = Desk()
    for name in ("Holds", "Ends", "Ended"):
        before.send(name)
    before.pass_time(5)
    saved = json.loads(json.dumps(before.ledger.saved(before.now)))
    desk = Desk()
    desk.tick = 100.0
    desk.answers = {"discord": Later("down")}
    desk.send("Holds")
    desk.send("Ends")
    desk.pass_time(3)
    desk.withdraw("Ended")
    assert desk.ledger.restore(saved, desk.now, settle_seconds=30) == 0
    desk.withdraw("Ends")
    desk.answers = {}
    desk.pass_time(200)
    assert sorted(desk.heard()) == ["Ended resolved", "Ends resolved"]
