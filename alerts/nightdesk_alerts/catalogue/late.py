"""Symptoms of what has not happened for too long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nightdesk_core.age import age_seconds
from nightdesk_core.clock import WallTime, iso

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
    """Yield the symptom that something last happened at `last`, longer ago than `limit` seconds, or in the future."""
    age = age_seconds(last, now=seen.now)
    if age > limit:
        ahead = math.isinf(age)
        for_how_long = f"since {iso(last)}, which is in the future" if ahead else f"for {age:.0f} s"
        cause = f"{what} {for_how_long}, the limit is {limit:.0f} s"
        yield Symptom(severity, cause, limit, None if ahead else last + limit, labels or {})
