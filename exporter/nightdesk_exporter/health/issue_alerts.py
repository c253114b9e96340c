"""What the health check finds, as alerts: sent when an issue comes, withdrawn when it goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nightdesk_alerts import AlertSender
from nightdesk_alerts.catalogue import ALERTS, AlertDeclaration, AlertRule, Route, Situation, known
from nightdesk_alerts.mutes import muted

from nightdesk_exporter.health.issues import Health, Issue
from nightdesk_exporter.snapshot import Limits, Snapshot

_NAMED_AT_ONCE = 5
_COUNTED = tuple(alert for alert in ALERTS if alert.counter)


class Told(NamedTuple):
    """What is said of a condition. It is said again where it changes: a reminder has the words of its own day."""

    rule: AlertRule
    description: str


class IssueAlerts:
    """Keeps a sender's alerts as the health is.

    Those about guard and kill switch leave at once, and their rules report the same alerts soon after. The others are
    left to the rules, which wait until they are sure; where no Alertmanager is configured nobody evaluates a rule, and
    they leave from here, too. Nobody groups or inhibits them then either: each alertname is one alert, whatever symbols
    it is about, and what follows from a graver cause is left out.
    """

    def __init__(self, sender: AlertSender) -> None:
        self._sender = sender
        self._all = not sender.alerting.alertmanagers
        self._withdrawn: set[str] = set()
        self._sent: dict[str, Told] = {}
        self._counts: dict[tuple[str, ...], float] = {}

    def follow(self, health: Health, snapshot: Snapshot, limits: Limits) -> None:
        """Send what holds, and withdraw what is known not to hold: it may lie in the spool of a run before."""
        found = self._found(health)
        # One that people know of already goes on until it is over: its cause came later.
        to_tell = {name: told for name, told in found.items() if name in self._sent or not _is_muted(told, found)}
        for name, told in to_tell.items():
            if self._sent.get(name) != told:
                self._send(told)
        seen = Situation(snapshot, limits, self._sender.clock())
        known_names = {alert.name for alert in known(seen) if self._is_ours(alert)}
        over = (known_names | self._sent.keys()) - found.keys()
        for name in over - self._withdrawn:
            self._sender.withdraw(name)
        self._tell_of_what_was_missed(snapshot, found.keys())
        self._sent, self._withdrawn = to_tell, over

    def _tell_of_what_was_missed(self, snapshot: Snapshot, found: Collection[str]) -> None:
        """Send as an event what came and went since the last look, and was counted, as its rule finds it, too."""
        for alert in _COUNTED:
            count = snapshot.counters.get(alert.counter, 0.0)
            if count > self._counts.get(alert.counter, 0.0) and alert.name not in found:
                self._send(
                    Told(alert.rules[0], "It is over already: it came and went between two looks."), lasting=False
                )
            self._counts[alert.counter] = count

    def _found(self, health: Health) -> dict[str, Told]:
        """Return what is to be said of each alertname whose condition holds."""
        issues: dict[str, list[Issue]] = {}
        for issue in health.issues:
            if issue.alert is not None and self._is_ours(issue.alert.declaration):
                issues.setdefault(issue.alert.name, []).append(issue)
        return {name: told for name, same in issues.items() if (told := _told(same))}

    def _is_ours(self, alert: AlertDeclaration) -> bool:
        return self._all or alert.route is Route.INSTANT

    def _send(self, told: Told, *, lasting: bool = True) -> None:
        self._sender.send_alert(
            told.rule.name,
            severity=told.rule.severity,
            summary=told.rule.summary,
            description=told.description,
            lasting=lasting,
        )


def _is_muted(told: Told, found: Mapping[str, Told]) -> bool:
    return any(muted(told.rule, by=cause.rule) for cause in found.values())


def _told(issues: Sequence[Issue]) -> Told | None:
    """Return the gravest issue's alert with its cause, and what the others are about."""
    gravest = sorted(issues, key=lambda issue: issue.alert is None or issue.alert.severity != "critical")
    first, others = gravest[0], [" ".join(issue.labels.values()) or issue.cause for issue in gravest[1:]]
    if first.alert is None:
        return None
    named, more = others[: _NAMED_AT_ONCE - 1], len(others[_NAMED_AT_ONCE - 1 :])
    likewise = f"; likewise {', '.join(named)}" if named else ""
    unnamed = f" and {more} more" if more else ""
    return Told(first.alert, f"{first.cause[:1].upper()}{first.cause[1:]}{likewise}{unnamed}.")
