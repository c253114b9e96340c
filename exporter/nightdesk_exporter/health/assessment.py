"""The health check: what the catalogue of alerts looks for, found in the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue import HEALTH_CHECK, KILL_SWITCH_ACTIVE, AlertRule, Situation
from nightdesk_core.clock import WallTime

from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot


def assess(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> Health:
    """Return the bot's health at `now`, the gravest issue first.

    What is unknown counts as wrong once the bot has had its time.
    """
    issues = tuple(sorted(_issues(Situation(snapshot, limits, now)), key=_rank))
    verdicts = {issue.verdict for issue in issues}
    if Verdict.UNHEALTHY in verdicts:
        return Health(Verdict.UNHEALTHY, issues)
    if snapshot.heartbeat_at is None:
        return Health(Verdict.UNKNOWN, issues)
    return Health(Verdict.DEGRADED if verdicts else Verdict.HEALTHY, issues)


def _issues(seen: Situation) -> Iterator[Issue]:
    for condition, alert in HEALTH_CHECK:
        for found in condition.find(seen):
            yield Issue(
                condition.issue,
                Verdict.UNHEALTHY if found.severity in condition.unhealthy else Verdict.DEGRADED,
                found.cause,
                limit=found.limit,
                since=found.since,
                alert=None if alert is None else AlertRule(alert, found.severity),
                labels=found.labels,
            )


def _rank(issue: Issue) -> tuple[bool, bool]:
    """Return what issues are sorted by: a kill is in force until a person lifts it, and comes before all else."""
    is_kill = issue.alert is not None and issue.alert.declaration is KILL_SWITCH_ACTIVE
    return not is_kill, issue.verdict is not Verdict.UNHEALTHY
