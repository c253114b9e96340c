"""What holders of a perpetual pay each other: a made-up rate, always the same, at the hours at which Bybit settles."""

from __future__ import annotations

from nightdesk_sandbox import bybit
from nightdesk_sandbox.bybit import ParameterError
from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.market import Market
from nightdesk_sandbox.query import Query, integer_of, limit_of

INTERVAL_SECONDS = 8 * 3600
"""Settlements are at 00:00, 08:00 and 16:00 UTC: the multiples of this."""


def next_funding(now: float) -> int:
    """Return the first settlement after the market time `now`."""
    return (int(now) // INTERVAL_SECONDS + 1) * INTERVAL_SECONDS


def funding_history(market: Market, query: Query, *, rate: float, now: float) -> list[dict[str, str]]:
    """Return a page of settlements up to `now`, newest first, 200 at most.

    It is the newest page up to `endTime`, and nothing in it is before `startTime`, which cannot stand alone: so Bybit
    documents it. Raises `ParameterError`.
    """
    start, end = integer_of(query, "startTime"), integer_of(query, "endTime")
    if start is not None and end is None:
        raise ParameterError("params error: endTime is invalid")
    limit = limit_of(query, default=200, largest=200)
    earliest = max(bybit.milliseconds(market.instrument.launched_at), start or 0)
    latest = bybit.milliseconds(now) if end is None else min(end, bybit.milliseconds(now))
    step = INTERVAL_SECONDS * 1000
    newest = latest // step * step
    return [
        {"symbol": market.symbol, "fundingRate": plain(rate), "fundingRateTimestamp": str(moment)}
        for moment in range(newest, newest - limit * step, -step)
        if moment >= earliest
    ]
