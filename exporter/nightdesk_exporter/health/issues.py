"""What a health check finds: issues, each of a condition that the catalogue of alerts declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nightdesk_alerts.catalogue import AlertRule
from nightdesk_core.clock import WallTime, iso


class Verdict(StrEnum):
    """UNHEALTHY: the bot does not do its work. DEGRADED: it does, but something needs a look."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Issue:
    """One finding: `name` is the label of `health_issues`, `cause` says what was found against which limit.

    `since` is when it came about, or was first found; `limit` is in seconds or a ratio; `alert` is the one about it, at
    its severity; `labels` say what it is about.
    """

    name: str
    verdict: Verdict
    cause: str
    limit: float | None = None
    since: WallTime | None = None
    alert: AlertRule | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """What it is told apart by from other issues."""
        return (self.name, *self.labels.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as status file and `/healthz` show it."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "cause": self.cause,
            "since": None if self.since is None else iso(self.since),
            "limit": self.limit,
            "alert": None if self.alert is None else self.alert.name,
        }


@dataclass(frozen=True)
class Health:
    """The verdict and everything that led to it. `ready`: nothing but the account's money stands against trading."""

    verdict: Verdict
    issues: tuple[Issue, ...]
    ready: bool = False
    due: WallTime | None = field(default=None, compare=False)
    """When time alone may change it, or soon, while something is late that may come at any moment."""
