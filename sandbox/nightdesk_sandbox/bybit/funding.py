"""Pages of the funding history, as Bybit documents them."""

from __future__ import annotations

from nightdesk_sandbox.bybit.query import Query, integer_of, limit_of
from nightdesk_sandbox.bybit.words import ParameterError, milliseconds
from nightdesk_sandbox.funding import SETTLEMENT_SECONDS
from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.market import ReplayMarket


def funding_history(market: ReplayMarket, query: Query, *, rate: float, now: float) -> list[dict[str, str]]:
    """Return a page of settlements up to `now`, newest first, 200 at most.

    It is the newest page up to `endTime`, and nothing in it is before `startTime`, which cannot stand alone: so Bybit
    documents it. Raises `ParameterError`.
    """
    start, end = integer_of(query, "startTime"), integer_of(query, "endTime")
    if start is not None and end is None:
        raise ParameterError("params error: endTime is invalid")
    limit = limit_of(query, default=200, largest=200)
    earliest = max(milliseconds(market.instrument.launched_at), start or 0)
    latest = milliseconds(now) if end is None else min(end, milliseconds(now))
    step = SETTLEMENT_SECONDS * 1000
    newest = latest // step * step
    return [
        {"symbol": market.symbol, "fundingRate": plain(rate), "fundingRateTimestamp": str(moment)}
        for moment in range(newest, newest - limit * step, -step)
        if moment >= earliest
    ]
