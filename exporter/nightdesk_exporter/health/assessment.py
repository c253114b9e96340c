"""The health check: what the catalogue of alerts looks for, found in the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue import HEALTH_CHECK, AlertRule, Due, Situation
from nightdesk_core.clock import WallTime

from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot

_AGAIN_SECONDS = 1.0
"""How often it is looked for what may come at any moment: nobody says that it came."""


def assess(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> Health:
    """Return the bot's health at `now`. What is unknown counts as wrong once the bot has had its time."""
    found = tuple(_found(Situation(snapshot, limits, now)))
    issues = tuple(each for each in found if isinstance(each, Issue))
    verdict = _verdict(snapshot, {issue.verdict for issue in issues})
    moments = [each.at for each in found if isinstance(each, Due)]
    # What is late is over as soon as it comes, and so is it unknown whether the bot lives.
    awaited = verdict is Verdict.UNKNOWN or any(at < now for at in moments)
    coming = [at for at in moments if at >= now] + [now + _AGAIN_SECONDS] * awaited
    return Health(verdict, issues, min(coming, default=None))


def _verdict(snapshot: Snapshot, verdicts: set[Verdict]) -> Verdict:
    if Verdict.UNHEALTHY in verdicts:
        return Verdict.UNHEALTHY
    if snapshot.heartbeat_at is None:
        return Verdict.UNKNOWN
    return Verdict.DEGRADED if verdicts else Verdict.HEALTHY


def _found(seen: Situation) -> Iterator[Issue | Due]:
    for condition, alert in HEALTH_CHECK:
        for found in condition.find(seen):
            if isinstance(found, Due):
                yield found
                continue
            yield Issue(
                condition.issue,
                Verdict.UNHEALTHY if found.severity in condition.unhealthy else Verdict.DEGRADED,
                found.cause,
                limit=found.limit,
                since=found.since,
                alert=None if alert is None else AlertRule(alert, found.severity),
                labels=found.labels,
            )
