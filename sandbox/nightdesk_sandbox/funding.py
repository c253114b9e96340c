"""What holders of a perpetual pay each other: a made-up rate, always the same, at the hours at which venues settle."""

from __future__ import annotations

SETTLEMENT_SECONDS = 8 * 3600
"""Settlements are at 00:00, 08:00 and 16:00 UTC: the multiples of this."""


def next_funding(now: float) -> int:
    """Return the first settlement after the market time `now`."""
    return (int(now) // SETTLEMENT_SECONDS + 1) * SETTLEMENT_SECONDS
