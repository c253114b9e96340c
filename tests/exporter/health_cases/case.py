"""A condition of the health check at one of its severities, as the tests take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_alerts.catalogue.declaration import AlertDeclaration, AlertRule
from nightdesk_exporter.health.issues import Issue, Verdict
from nightdesk_exporter.snapshot import Snapshot

from tests.exporter.conftest import Change
from tests.exporter.story import Story

DEGRADED, UNHEALTHY_VERDICT = Verdict.DEGRADED, Verdict.UNHEALTHY
ETH = "ETH/USDT:USDT"
DAY = 86_400

Say = Callable[[Snapshot], object]


@dataclass(frozen=True, kw_only=True)
class AlertStory:
    """Of a condition that has an alert: a `plot` in which it comes to hold, of so many `minutes`.

    The rule is sure of it `waits` minutes later, and says so for `looks_back` minutes after it is over; the health
    check does neither. `known_by` is what the bot says at its start that makes the condition known; `None` where that
    is time alone.
    """

    plot: Story
    minutes: int = 45
    waits: int = 0
    looks_back: int = 0
    known_by: Say | None


@dataclass(frozen=True)
class Case:
    """What has a healthy bot come to the condition, the issue that is then found, and its alert's story."""

    change: Change
    issue: Issue
    story: AlertStory | None

    @property
    def name(self) -> str:
        return self.issue.name if self.issue.alert is None else f"{self.issue.name}-{self.issue.alert.severity}"


def critical(alert: AlertDeclaration) -> AlertRule:
    return AlertRule(alert, "critical")


def warning(alert: AlertDeclaration) -> AlertRule:
    return AlertRule(alert, "warning")


def says(name: str, value: object) -> Say:
    """Return that a field of the snapshot is known."""
    return lambda snapshot: setattr(snapshot, name, value)


def happens(name: str) -> Say:
    """Return that something of which the snapshot has the time happens."""

    def happen(snapshot: Snapshot) -> None:
        at = snapshot.started_at
        setattr(snapshot, name, at.seconds if name.endswith("_wall") else at)

    return happen
