"""The health check: what the catalogue of alerts looks for, found in the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue import HEALTH_CHECK, KILL_SWITCH_ACTIVE, LOOP_STALLED, AlertRule, Due, Situation
from nightdesk_core.clock import WallTime

from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot

_AGAIN_SECONDS = 1.0
"""How often it is looked for what may come at any moment: nobody says that it came."""


def assess(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> Health:
    """Return the bot's health at `now`, the gravest issue first.

    What is unknown counts as wrong once the bot has had its time.
    """
    issues: list[Issue] = []
    work: set[Verdict] = set()
    moments: list[WallTime] = []
    for of_the_account, found in _found(Situation(snapshot, limits, now)):
        if isinstance(found, Due):
            moments.append(found.at)
            continue
        issues.append(found)
        if not of_the_account:
            work.add(found.verdict)
    verdict = _verdict(snapshot, {issue.verdict for issue in issues})
    ready = snapshot.heartbeat_at is not None and Verdict.UNHEALTHY not in work
    # What is late is over as soon as it comes, and so is it unknown whether the bot lives.
    awaited = verdict is Verdict.UNKNOWN or any(at < now for at in moments)
    coming = [at for at in moments if at >= now] + [now + _AGAIN_SECONDS] * awaited
    return Health(verdict, tuple(sorted(issues, key=_rank)), ready, min(coming, default=None))


def _verdict(snapshot: Snapshot, verdicts: set[Verdict]) -> Verdict:
    if Verdict.UNHEALTHY in verdicts:
        return Verdict.UNHEALTHY
    if snapshot.heartbeat_at is None:
        return Verdict.UNKNOWN
    return Verdict.DEGRADED if verdicts else Verdict.HEALTHY


def stalled(snapshot: Snapshot, limits: Limits, *, now: WallTime) -> str:
    """Return why the loop counts as standing still at `now`, and nothing where it turns. Waits for no lock."""
    condition = LOOP_STALLED.condition
    found = () if condition is None else condition.find(Situation(snapshot, limits, now))
    return "; ".join(symptom.cause for symptom in found if not isinstance(symptom, Due))


def _found(seen: Situation) -> Iterator[tuple[bool, Issue | Due]]:
    """Yield whether it is of the account's money, with each issue, and with when what is well now may be one."""
    for condition, alert in HEALTH_CHECK:
        for found in condition.find(seen):
            if isinstance(found, Due):
                yield condition.of_the_account, found
                continue
            issue = Issue(
                condition.issue,
                Verdict.UNHEALTHY if found.severity in condition.unhealthy else Verdict.DEGRADED,
                found.cause,
                limit=found.limit,
                since=found.since,
                alert=None if alert is None else AlertRule(alert, found.severity),
                labels=found.labels,
            )
            yield condition.of_the_account, issue


def _rank(issue: Issue) -> tuple[bool, bool]:
    """Return what issues are sorted by: a kill is in force until a person lifts it, and comes before all else."""
    is_kill = issue.alert is not None and issue.alert.declaration is KILL_SWITCH_ACTIVE
    return not is_kill, issue.verdict is not Verdict.UNHEALTHY
