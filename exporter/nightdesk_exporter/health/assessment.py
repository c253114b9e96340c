"""The health check: what the catalogue of alerts looks for, found in the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue import HEALTH_CHECK, LOOP_STALLED, AlertRule, Situation
from nightdesk_core.clock import WallTime

from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot


def assess(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> Health:
    """Return the bot's health at `now`. What is unknown counts as wrong once the bot has had its time."""
    found = tuple(_issues(Situation(snapshot, limits, now)))
    issues = tuple(issue for issue, _ in found)
    work = {issue.verdict for issue, of_the_account in found if not of_the_account}
    ready = snapshot.heartbeat_at is not None and Verdict.UNHEALTHY not in work
    verdicts = {issue.verdict for issue in issues}
    if Verdict.UNHEALTHY in verdicts:
        return Health(Verdict.UNHEALTHY, issues, ready)
    if snapshot.heartbeat_at is None:
        return Health(Verdict.UNKNOWN, issues, ready)
    return Health(Verdict.DEGRADED if verdicts else Verdict.HEALTHY, issues, ready)


def stalled(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> str:
    """Return why the loop counts as standing still at `now`, and nothing where it turns. Waits for no lock."""
    condition = LOOP_STALLED.condition
    found = () if condition is None else condition.find(Situation(snapshot, limits, now))
    return "; ".join(symptom.cause for symptom in found)


def _issues(seen: Situation) -> Iterator[tuple[Issue, bool]]:
    """Yield each issue, and whether it is one of the account's money."""
    for condition, alert in HEALTH_CHECK:
        for found in condition.find(seen):
            issue = Issue(
                condition.issue,
                Verdict.UNHEALTHY if found.severity in condition.unhealthy else Verdict.DEGRADED,
                found.cause,
                limit=found.limit,
                since=found.since,
                alert=None if alert is None else AlertRule(alert, found.severity),
                labels=found.labels,
            )
            yield issue, condition.of_the_account
