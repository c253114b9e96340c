"""What is handed to the sender of what the health check finds, and what is taken back: without a thread or a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import pytest
from nightdesk_exporter.alerts import Alerting, AlertSender
from nightdesk_exporter.alerts.issues import IssueAlerts
from nightdesk_exporter.conditions import assess
from nightdesk_exporter.snapshot import Limits, Snapshot

START = 1_700_000_000.0


class Sent(NamedTuple):
    """One call of `send_alert`."""

    name: str
    severity: str
    description: str
    labels: Mapping[str, str]
    lasting: bool


class Sender:
    """Writes down what it is given."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = ()) -> None:
        self.alerting = Alerting(alertmanagers=alertmanagers)
        self.now = START
        self.sent: list[Sent] = []
        self.withdrawn: list[tuple[str, Mapping[str, str]]] = []

    def clock(self) -> float:
        return self.now

    def send_alert(self, alertname: str, **what: Any) -> None:
        what = {"lasting": True, "labels": {}, **what}
        del what["summary"]
        self.sent.append(Sent(alertname, **what))

    def withdraw(self, alertname: str, labels: Mapping[str, str]) -> None:
        self.withdrawn.append((alertname, labels))


class Desk:
    """A bot of which nothing is known yet, and its alerts."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = ()) -> None:
        self.sender = Sender(alertmanagers=alertmanagers)
        self.snapshot = Snapshot(started_at=START)
        self._alerts = IssueAlerts(cast(AlertSender, self.sender))

    def turn(self, *, seconds: float = 0.0) -> list[Sent]:
        """Let time pass and check the health; return what was sent for it."""
        self.sender.now += seconds
        before = len(self.sender.sent)
        self._alerts.follow(assess(self.snapshot, Limits(), now=self.sender.now), self.snapshot)
        return self.sender.sent[before:]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_condition_is_sent_when_it_comes_gets_graver_or_has_other_words(desk: Desk) -> None:
    desk.snapshot.drawdown_ratio = 0.07
    assert [(sent.name, sent.severity) for sent in desk.turn()] == [("TradebotDrawdownHigh", "warning")]
    assert desk.turn() == []
    desk.snapshot.drawdown_ratio = 0.08
    assert [sent.description for sent in desk.turn()] == ["The drawdown is 8.00%, the limit is 5.00%."]
    desk.snapshot.drawdown_ratio = 0.12
    assert [(sent.name, sent.severity) for sent in desk.turn()] == [("TradebotDrawdownHigh", "critical")]
    assert desk.turn() == []
