"""What the health check finds, as alerts: sent when an issue comes, withdrawn when it goes."""

from __future__ import annotations

from typing import NamedTuple

from nightdesk_exporter.alerts.known import Condition, known_conditions
from nightdesk_exporter.alerts.preferences import KILL_SWITCH_ALERTS, PAUSE_ALERTS
from nightdesk_exporter.alerts.sender import AlertSender
from nightdesk_exporter.health import Alert, Health
from nightdesk_exporter.snapshot import Snapshot


class Told(NamedTuple):
    """What is said of a condition. It is said again where it changes: a reminder has the words of its own day."""

    alert: Alert
    description: str


class IssueAlerts:
    """Keeps a sender's alerts as the health is.

    Those about guard and kill switch leave at once, and their rules report the same alerts soon after. The others are
    left to the rules, which wait until they are sure; where no Alertmanager is configured nobody evaluates a rule, and
    they leave from here, too.
    """

    def __init__(self, sender: AlertSender) -> None:
        self._sender = sender
        self._all = not sender.alerting.alertmanagers
        self._withdrawn: set[Condition] = set()
        self._sent: dict[Condition, Told] = {}

    def follow(self, health: Health, snapshot: Snapshot) -> None:
        """Send what holds, and withdraw what is known not to hold: it may lie in the spool of a run before."""
        found: dict[Condition, Told] = {}
        for issue in health.issues:
            if issue.alert is not None and self._is_ours(issue.alert.name):
                condition = (issue.alert.name, tuple(issue.alert_labels.items()))
                found[condition] = Told(issue.alert, f"{issue.cause[:1].upper()}{issue.cause[1:]}.")
        for condition, told in found.items():
            if self._sent.get(condition) != told:
                self._send(condition, told)
        known = {
            condition for condition in known_conditions(snapshot, self._sender.clock()) if self._is_ours(condition[0])
        }
        over = (known | self._sent.keys()) - found.keys()
        for name, labels in over - self._withdrawn:
            self._sender.withdraw(name, dict(labels))
        self._sent, self._withdrawn = found, over

    def _is_ours(self, name: str) -> bool:
        return self._all or name in (*PAUSE_ALERTS, *KILL_SWITCH_ALERTS)

    def _send(self, condition: Condition, told: Told) -> None:
        name, labels = condition
        self._sender.send_alert(
            name,
            severity=told.alert.severity,
            summary=told.alert.summary,
            description=told.description,
            labels=dict(labels),
        )
