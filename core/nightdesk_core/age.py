"""How long ago something was, by its stamp. One that lies in the future is a fault, and never young.

A stamp is what a clock said when something happened, and that clock may have been wrong, or set back since: a job that
ran with its clock ten years ahead would not be due for ten years. What lies ahead of now by more than clocks differ has
no age that anybody knows; it counts as old beyond any limit, and `TradebotStampInFuture` tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from nightdesk_core.clock import WallTime

TOLERANCE_SECONDS = 60.0
"""How far a stamp may lie ahead: clocks of two machines differ, and are corrected a little now and then."""


def is_ahead(stamp: WallTime, *, now: WallTime, tolerance_seconds: float = TOLERANCE_SECONDS) -> bool:
    """Return whether a stamp lies in the future, by more than clocks differ."""
    return stamp - now > tolerance_seconds


def age_seconds(stamp: WallTime, *, now: WallTime, tolerance_seconds: float = TOLERANCE_SECONDS) -> float:
    """Return how long ago a stamp was, at least 0; infinity for one that lies in the future."""
    if is_ahead(stamp, now=now, tolerance_seconds=tolerance_seconds):
        return math.inf
    return max(0.0, now - stamp)


def newest(stamps: Iterable[WallTime], *, now: WallTime) -> WallTime:
    """Return the newest of some stamps that does not lie in the future; where all do, the nearest of them.

    Raises `ValueError` for none at all.
    """
    return min(stamps, key=lambda stamp: (age_seconds(stamp, now=now), stamp - now))
