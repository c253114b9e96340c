"""Findings about what has not happened for too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nightdesk_alerts.catalogue.declaration import Finding, Severity
from nightdesk_alerts.catalogue.view import Observation

DAY_SECONDS = 86_400


def late(
    seen: Observation,
    severity: Severity,
    what: str,
    *,
    last: float,
    limit: float,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Yield the finding that something last happened at `last`, longer ago than `limit` seconds."""
    if seen.now - last > limit:
        cause = f"{what} for {seen.now - last:.0f} s, the limit is {limit:.0f} s"
        yield Finding(severity, cause, limit, last + limit, labels or {})
