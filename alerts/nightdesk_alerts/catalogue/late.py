"""Symptoms of what has not happened for too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nightdesk_core.clock import WallTime

from nightdesk_alerts.catalogue.declaration import Severity, Symptom
from nightdesk_alerts.catalogue.view import Situation


def late(
    seen: Situation,
    severity: Severity,
    what: str,
    *,
    last: WallTime,
    limit: float,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Symptom]:
    """Yield the symptom that something last happened at `last`, longer ago than `limit` seconds."""
    if seen.now - last > limit:
        cause = f"{what} for {seen.now - last:.0f} s, the limit is {limit:.0f} s"
        yield Symptom(severity, cause, limit, last + limit, labels or {})
