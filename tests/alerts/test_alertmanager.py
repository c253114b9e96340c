"""With a real Alertmanager: one alert whoever reports it, through its restarts, and people told where it is gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import requests
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_alerts.channels.webhook import fingerprint
from nightdesk_alerts.delivery.entry import Entry

from tests.alerts.conftest import PAUSED, Counts, ServedInbox, StartSender, free_port, only, until

pytestmark = pytest.mark.servers

LABELS = {"alertname": "TradebotGuardPaused", "severity": "critical", "bot": "btc"}


class Alertmanager:
    """A real one, whose every alert goes to the inbox as `webhook` to a name. It can be killed and started again."""

    def __init__(self, tools: Tools, folder: Path, webhook: str) -> None:
        self._tools = tools
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        route = {"receiver": "inbox", "group_by": ["alertname", "bot"], "group_wait": "0s", "group_interval": "1s"}
        receivers = [{"name": "inbox", "webhook_configs": [{"url": webhook}]}]
        (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": receivers}))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(self._tools.alertmanager), f"--config.file={self._folder / 'alertmanager.yml'}"]
        command += [f"--storage.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--cluster.listen-address="], stdout=log, stderr=subprocess.STDOUT
            )
        until(self._ready, "Alertmanager to be ready")

    def kill(self) -> None:
        """Kill it: alerts that only it knows are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it has."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/api/v2/alerts", timeout=5).json()
        return found

    def report(self, *, seconds: float = 240, **labels: str) -> None:
        """Report an alert as Prometheus does, with an end `seconds` from now."""
        now = datetime.now(UTC)
        alert = {
            "labels": {**LABELS, **labels},
            "annotations": {"summary": PAUSED["summary"]},
            "startsAt": (now - timedelta(seconds=2)).isoformat(),
            "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
            "generatorURL": "http://prometheus.example/graph?g0.expr=x",
        }
        requests.post(f"{self.url}/api/v2/alerts", json=[alert], timeout=5).raise_for_status()

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).ok
        except requests.ConnectionError:
            return False


StartAlertmanager = Callable[[], Alertmanager]


@pytest.fixture
def alertmanager(tools: Tools, tmp_path: Path, inbox: ServedInbox) -> Iterator[StartAlertmanager]:
    """Start Alertmanagers that end with the test."""
    with ExitStack() as stack:
        count = 0

        def begin() -> Alertmanager:
            nonlocal count
            count += 1
            server = Alertmanager(tools, tmp_path / f"alertmanager-{count}", f"{inbox.url}/webhook/am{count}")
            stack.callback(server.kill)
            server.start()
            return server

        yield begin


@contextmanager
def reporting(tools: Tools, folder: Path, alertmanager: str) -> Iterator[None]:
    """Run a real Prometheus, for the block, with a rule that reports our alert at all times."""
    folder.mkdir()
    rule = {
        "alert": LABELS["alertname"],
        "expr": "vector(1)",
        "labels": {"severity": "critical", "bot": "btc"},
        "annotations": {"summary": PAUSED["summary"]},
    }
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": [rule]}]}))
    config = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}]},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [str(tools.prometheus), f"--config.file={folder / 'prometheus.yml'}"]
    # What it sends before it has found Alertmanager is lost until it sends again: in a minute, by default.
    command += ["--rules.alert.resend-delay=1s"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{free_port()}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def entries_of(sender: AlertSender) -> list[Entry]:
    """Return what is in a sender's ledger, looked at on the sender's own thread."""
    answer: SimpleQueue[list[Entry]] = SimpleQueue()
    sender._calls.put(lambda worker: answer.put(list(worker.ledger.entries.values())))
    return answer.get(timeout=10)


def through(*servers: Alertmanager, inbox: ServedInbox) -> Alerting:
    """Return an `Alerting` with these Alertmanagers, and Discord where none of them answers."""
    return only(inbox, "discord", alertmanagers=tuple(server.url for server in servers))


def test_an_alert_of_the_bot_and_of_prometheus_are_one_message_and_one_end(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    server = alertmanager()
    start(through(server, inbox=inbox)).send_alert("TradebotGuardPaused", **PAUSED)
    (message,) = inbox.arrived("webhook")
    assert message.raw["alerts"][0]["labels"] == LABELS
    assert message.raw["alerts"][0]["fingerprint"] == fingerprint(LABELS)
    (alert,) = server.alerts()
    length = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])
    assert abs(length - timedelta(hours=1)) < timedelta(seconds=5)
    server.report()
    server.report(seconds=-0.1)
    last = inbox.arrived("webhook", 2)[-1]
    assert (last.status, last.alertname) == ("resolved", "TradebotGuardPaused")
    counts.reach("alerts_sent alertmanager", 1)
    assert counts["alerts_sent direct"] == 0
    assert inbox.find("discord") == []


def test_the_kill_switch_counts_for_a_day(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender
) -> None:
    server = alertmanager()
    start(through(server, inbox=inbox)).send_alert("TradebotKillSwitchActive", severity="critical", summary="On.")
    (alert,) = until(server.alerts, "the alert")
    length = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])
    assert abs(length - timedelta(hours=24)) < timedelta(seconds=5)
    assert alert["annotations"]["runbook_url"] == "prometheus/runbooks/TradebotKillSwitchActive.md"


def test_an_alert_is_posted_again_after_alertmanager_was_killed_until_prometheus_reports_it(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]]
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED, labels={"symbol": 'B"T\\C'})
    until(server.alerts, "the alert")
    server.kill()
    server.start()
    until(server.alerts, "the alert after the first restart")
    server.report(symbol='B"T\\C')
    entry = until(lambda: next((one for one in entries_of(sender) if one.reported), None), "the report to be seen")
    server.kill()
    server.start()
    # What would post it again is a check, of which the next but one comes four seconds later: none is due any more.
    assert [entry.post_due(post) for post in entry.posts.values()] == [None]
    assert server.alerts() == []
    assert inbox.find("discord") == []


def test_an_alert_that_prometheus_reported_and_ended_between_two_looks_is_not_posted_again(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    inbox.arrived("webhook")
    server.report()
    server.report(seconds=-0.1)
    until(lambda: any(one.reported for one in entries_of(sender)), "the end to be understood")
    assert server.alerts() == []


def test_what_was_posted_after_a_restart_does_not_hide_what_was_lost_in_it(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    until(server.alerts, "the first alert")
    server.kill()
    server.start()
    sender.send_alert("TradebotDrawdownHigh", **PAUSED)
    until(lambda: len(server.alerts()) == 2, "both alerts")


def test_what_a_real_prometheus_reports_is_seen_and_is_still_one_message(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender, tools: Tools, tmp_path: Path
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    inbox.arrived("webhook")
    with reporting(tools, tmp_path / "prometheus", server.url):
        until(lambda: any(one.reported for one in entries_of(sender)), "Prometheus's report to be seen", seconds=30)
        (alert,) = server.alerts()
    assert alert["labels"] == LABELS
    assert "/graph?" in alert["generatorURL"]
    assert len(inbox.find("webhook")) == 1


def test_every_alertmanager_is_told_and_one_that_hangs_or_is_gone_holds_up_no_other(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    first, second, gone = alertmanager(), alertmanager(), alertmanager()
    gone.kill()
    start(through(gone, first, second, inbox=inbox)).send_alert("TradebotGuardPaused", **PAUSED)
    for server in (first, second):
        assert until(server.alerts, "the alert")[0]["labels"] == LABELS
    gone.start()
    until(gone.alerts, "the alert at the one that came back")
    counts.reach("alerts_sent alertmanager", 1)
    assert inbox.find("discord") == []


def test_where_no_alertmanager_answers_people_are_told_directly_and_one_duplicate_follows(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    server = alertmanager()
    server.kill()
    sender = start(through(server, inbox=inbox))
    began = time.monotonic()
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    inbox.arrived("discord")
    assert time.monotonic() - began >= 0.3
    server.start()
    inbox.arrived("webhook")
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    sender.send_alert("Last", severity="info", summary="Comes last.", lasting=False)
    inbox.arrived("webhook", 2)
    assert [message.alertname for message in inbox.find("webhook")] == ["TradebotGuardPaused", "Last"]
    assert len(inbox.find("discord")) == 1
    counts.reach("alerts_sent direct", 1)
    counts.reach("alerts_sent alertmanager", 2)


def test_the_end_of_an_alert_without_a_rule_is_posted(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("MineAlone", severity="warning", summary="One of my own.")
    inbox.arrived("webhook")
    sender.withdraw("MineAlone")
    assert inbox.arrived("webhook", 2)[-1].status == "resolved"


def test_the_end_of_an_alert_with_a_rule_is_left_to_prometheus(
    alertmanager: StartAlertmanager, inbox: ServedInbox, start: StartSender
) -> None:
    server = alertmanager()
    sender = start(through(server, inbox=inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    until(server.alerts, "the alert")
    sender.withdraw("TradebotGuardPaused")
    sender.send_alert("Last", severity="info", summary="Comes last.", lasting=False)
    until(lambda: len(server.alerts()) == 2, "both alerts")
    assert {message.status for message in inbox.arrived("webhook", 2)} == {"firing"}


def test_an_alertmanager_that_refuses_is_as_good_as_none(
    inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]], counts: Counts
) -> None:
    # The inbox knows no /api/v2/alerts: 404, as of a wrong prefix.
    alerting = only(inbox, "discord", alertmanagers=(f"{inbox.url}/wrong",))
    start(alerting, fallback_seconds=60).send_alert("TradebotGuardPaused", **PAUSED)
    inbox.arrived("discord")
    assert [text.split(" - ")[1].strip() for level, text in logged if level == "ERROR"] == [
        f"alerts: alertmanager 1 ({inbox.url.removeprefix('http://')}) refuses TradebotGuardPaused for good: HTTP 404"
    ]
    counts.reach("alerts_dropped refused", 1)
