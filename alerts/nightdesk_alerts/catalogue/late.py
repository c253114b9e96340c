"""Symptoms of what has not happened for too long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from nightdesk_core.age import age_seconds, is_ahead, newest
from nightdesk_core.clock import WallTime, iso

from nightdesk_alerts.catalogue.declaration import Due, Severity, Symptom
from nightdesk_alerts.catalogue.view import Situation


def late(
    seen: Situation,
    severity: Severity,
    what: str,
    *,
    last: WallTime,
    limit: float,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Symptom | Due]:
    """Yield the symptom that something last happened at `last`, longer ago than `limit` seconds, or in the future.

    And when that may change: what is late is over once it happens, and that is looked for again and again.
    """
    age = age_seconds(last, now=seen.now)
    ahead = math.isinf(age)
    yield Due(seen.now if ahead else last + limit)
    if age > limit:
        for_how_long = f"since {iso(last)}, which is in the future" if ahead else f"for {age:.0f} s"
        cause = f"{what} {for_how_long}, the limit is {limit:.0f} s"
        yield Symptom(severity, cause, limit, None if ahead else last + limit, labels or {})


def due(seen: Situation, at: WallTime) -> Iterator[Due]:
    """Yield that a condition is to be looked for at a time, unless that is past."""
    if at >= seen.now:
        yield Due(at)


def last_of(stamps: Iterable[WallTime | None], *, otherwise: WallTime, now: WallTime) -> WallTime:
    """Return the newest stamp that is known and not ahead; where there is none, since when it is waited for.

    One may be older than the bot's start: who reports for another learns of things later.
    """
    known = [stamp for stamp in stamps if stamp is not None and not is_ahead(stamp, now=now)]
    return newest(known, now=now) if known else otherwise
