"""What is not yet delivered lies on disk: it survives a kill, a damaged file, a full disk, and knows no secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_alerts.delivery import spool_writer
from nightdesk_alerts.delivery.spool import open_spool

from tests.alerts.conftest import PAUSED, TOKEN, WAIT_SECONDS, Counts, ServedInbox, StartSender, free_port, only, until

BOT = """
import sys, time
from pathlib import Path
from nightdesk_alerts import Alerting, AlertSender
with AlertSender("btc", alerting=Alerting(discord_webhook_url=sys.argv[1]), spool=Path(sys.argv[2])) as sender:
    sender.send_alert("TradebotGuardPaused", severity="critical", summary="Paused.")
    sender.send_alert("Event", severity="info", summary="An event.", lasting=False)
    time.sleep(60)
"""


def text_of(spool: Path) -> str:
    """Return what lies in a spool, nothing where there is none."""
    return spool.read_text() if spool.exists() else ""


def names_in(spool: Path) -> list[str]:
    """Return the alerts that a spool holds."""
    text = text_of(spool)
    return sorted(alert["labels"]["alertname"] for alert in json.loads(text)["alerts"]) if text else []


def nobody() -> Alerting:
    """Return a channel where nobody listens."""
    return Alerting(discord_webhook_url=f"http://127.0.0.1:{free_port()}/{TOKEN}")


def left_by_a_bot(spool: Path, start: StartSender, *names: str, lasting: bool = True) -> None:
    """Have a bot end with these alerts undelivered."""
    sender = start(nobody(), spool=spool, close_seconds=0.2)
    for name in names:
        sender.send_alert(name, **PAUSED, lasting=lasting)
    until(lambda: names_in(spool) == sorted(names), "the spool")
    sender.__exit__(None, None, None)


def test_what_a_killed_bot_had_not_delivered_goes_out_after_its_restart(
    tmp_path: Path, inbox: ServedInbox, start: StartSender
) -> None:
    spool = tmp_path / "spool.json"
    url = f"http://127.0.0.1:{free_port()}/{TOKEN}"
    bot = subprocess.Popen([sys.executable, "-c", BOT, url, str(spool)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: names_in(spool) == ["Event", "TradebotGuardPaused"], "the spool")
    finally:
        bot.send_signal(signal.SIGKILL)
        bot.wait(timeout=10)
    assert spool.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in spool.read_text()
    start(only(inbox, "discord"), spool=spool)
    assert {message.alertname for message in inbox.arrived("discord", 2)} == {"Event", "TradebotGuardPaused"}
    until(lambda: text_of(spool).count('"discord": ') == 2, "the spool to know that both were told")


def test_what_the_bot_withdraws_after_its_restart_never_goes_out(
    tmp_path: Path, inbox: ServedInbox, start: StartSender
) -> None:
    spool = tmp_path / "spool.json"
    left_by_a_bot(spool, start, "Over", "Still")
    sender = start(only(inbox, "discord"), spool=spool, settle_seconds=0.5)
    sender.withdraw("Over")
    assert [message.alertname for message in inbox.arrived("discord")] == ["Still"]
    until(lambda: "Over" not in names_in(spool), "the spool to forget it")


def test_what_the_bot_sends_again_after_its_restart_goes_out_at_once_and_once(
    tmp_path: Path, inbox: ServedInbox, start: StartSender
) -> None:
    spool = tmp_path / "spool.json"
    left_by_a_bot(spool, start, "Still")
    sender = start(only(inbox, "discord"), spool=spool, settle_seconds=60)
    sender.send_alert("Still", **PAUSED)
    inbox.arrived("discord")
    sender.send_alert("Last", **PAUSED, lasting=False)
    assert [message.alertname for message in inbox.arrived("discord", 2)] == ["Still", "Last"]


def test_a_bot_that_crashes_and_starts_again_and_again_repeats_nothing(
    tmp_path: Path, inbox: ServedInbox, start: StartSender
) -> None:
    spool = tmp_path / "spool.json"
    for _ in range(3):
        sender = start(only(inbox, "discord"), spool=spool)
        sender.send_alert("TradebotGuardPaused", **PAUSED)
        inbox.arrived("discord")
        until(lambda: '"discord": ' in text_of(spool), "the spool to know who was told")
        sender.__exit__(None, None, None)
    assert len(inbox.find("discord")) == 1


def test_who_was_told_before_a_restart_hears_of_the_end_after_it(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightdesk_alerts.delivery.entry._HOLD_SECONDS", 0.0)
    spool = tmp_path / "spool.json"
    sender = start(only(inbox, "discord"), spool=spool)
    sender.send_alert("TradebotKillSwitchActive", **PAUSED)
    inbox.arrived("discord")
    sender.__exit__(None, None, None)
    start(only(inbox, "discord"), spool=spool, settle_seconds=60).withdraw("TradebotKillSwitchActive")
    assert [message.status for message in inbox.arrived("discord", 2)] == ["firing", "resolved"]


def test_what_is_out_of_date_is_dropped_and_counted(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    spool = tmp_path / "spool.json"
    left_by_a_bot(spool, start, "Old")
    content = json.loads(spool.read_text())
    content["alerts"][0]["ends_at"] = 1.0
    spool.write_text(json.dumps(content))
    for _ in range(2):
        with AlertSender("btc", alerting=only(inbox, "discord"), spool=spool, count=counts):
            until(lambda: names_in(spool) == [], "the spool to forget it")
    assert inbox.find() == []
    counts.reach("alerts_dropped expired", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2, "alerts": []}',
        b'{"version": 1, "alerts": {}}',
        b'{"version": 1, "alerts": [1, {}]}',
        b'{"version": 1, "alerts": [{"labels": {"alertname": "X"}}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_spool_is_set_aside_and_alerts_go_on(
    content: bytes, tmp_path: Path, inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]]
) -> None:
    spool = tmp_path / "spool.json"
    spool.write_bytes(content)
    start(only(inbox, "discord"), spool=spool).send_alert("X", **PAUSED)
    inbox.arrived("discord")
    (aside,) = tmp_path.glob("spool.json.damaged-*Z")
    assert aside.read_bytes() == content
    assert [level for level, _ in logged if level == "ERROR"] == ["ERROR"]
    until(lambda: names_in(spool) == ["X"], "a spool that works")


def test_what_can_be_read_of_a_damaged_spool_goes_out(tmp_path: Path, inbox: ServedInbox, start: StartSender) -> None:
    spool = tmp_path / "spool.json"
    left_by_a_bot(spool, start, "Whole")
    content = json.loads(spool.read_text())
    content["alerts"].insert(0, {"labels": 1})
    spool.write_text(json.dumps(content))
    start(only(inbox, "discord"), spool=spool)
    assert inbox.arrived("discord")[0].alertname == "Whole"


@pytest.mark.parametrize("problem", ["full", "folder", "file in the way"])
def test_a_disk_that_takes_nothing_delays_no_alert_and_is_said_once(
    problem: str,
    tmp_path: Path,
    inbox: ServedInbox,
    start: StartSender,
    logged: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spool = tmp_path / "alerts" / "spool.json"
    if problem == "full":

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr("nightdesk_alerts.delivery.spool.write_json_atomic", full)
    elif problem == "folder":
        spool.mkdir(parents=True)
    else:
        (tmp_path / "alerts").touch()
    sender = start(only(inbox, "discord"), spool=spool)
    for name in ("X", "Y", "Z"):
        sender.send_alert(name, **PAUSED)
    inbox.arrived("discord", 3)
    sender.__exit__(None, None, None)
    assert len([level for level, _ in logged if level == "ERROR"]) == 1


def test_a_spool_that_opens_late_loses_nothing_and_doubles_nothing(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool.json"
    left_by_a_bot(spool, start, "Old", "Both")
    monkeypatch.setattr(spool_writer, "_OPENING_SECONDS", 0.1)
    goes_on = threading.Event()

    def slow(*arguments: Any) -> Any:
        goes_on.wait(WAIT_SECONDS)
        return open_spool(*arguments)

    monkeypatch.setattr(spool_writer, "open_spool", slow)
    sender = start(only(inbox, "discord"), spool=spool, settle_seconds=0.1)
    sender.send_alert("Both", **PAUSED)
    inbox.arrived("discord")
    goes_on.set()
    sender.send_alert("New", **PAUSED)
    inbox.arrived("discord", 3)
    sender.__exit__(None, None, None)
    assert sorted(str(message.alertname) for message in inbox.find("discord")) == ["Both", "New", "Old"]


def test_what_is_neither_delivered_nor_kept_when_the_bot_ends_is_counted(start: StartSender, counts: Counts) -> None:
    sender = start(nobody(), close_seconds=0.2)
    sender.send_alert("X", **PAUSED)
    sender.__exit__(None, None, None)
    counts.reach("alerts_dropped unsaved", 1)


def test_a_second_bot_with_the_same_spool_goes_on_without_it(
    tmp_path: Path, inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]]
) -> None:
    spool = tmp_path / "spool.json"
    start(nobody(), spool=spool).send_alert("First", **PAUSED)
    until(lambda: names_in(spool) == ["First"], "the spool")
    start(only(inbox, "discord"), spool=spool).send_alert("Second", **PAUSED)
    assert inbox.arrived("discord")[0].alertname == "Second"
    assert names_in(spool) == ["First"]
    assert f"{spool} is another bot's" in "".join(text for _, text in logged)


def test_an_alert_sent_again_and_again_is_not_written_again(tmp_path: Path, start: StartSender) -> None:
    spool = tmp_path / "spool.json"
    sender = start(nobody(), spool=spool)
    sender.send_alert("X", **PAUSED, lasting=False)
    until(lambda: names_in(spool) == ["X"], "the spool")
    before = spool.stat().st_ino
    for _ in range(100):
        sender.send_alert("X", **PAUSED, lasting=False)
    sender.__exit__(None, None, None)
    assert spool.stat().st_ino == before


def test_a_burst_of_alerts_is_whole_on_disk_when_the_bot_ends(
    tmp_path: Path, start: StartSender, counts: Counts
) -> None:
    spool = tmp_path / "spool.json"
    sender = start(nobody(), spool=spool, close_seconds=1)
    for number in range(100):
        sender.send_alert(f"X{number:02}", **PAUSED)
    sender.__exit__(None, None, None)
    assert names_in(spool) == [f"X{number:02}" for number in range(100)]
    assert counts["alerts_dropped unsaved"] == 0
