"""The public REST calls of Binance's futures and spot, which differ in their prefix, their markets and their pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightdesk_sandbox.binance import markets, words
from nightdesk_sandbox.binance.query import Query, given, limit_of, range_of
from nightdesk_sandbox.binance.words import RequestError
from nightdesk_sandbox.funding import SETTLEMENT_SECONDS
from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.market import ReplayMarket
from nightdesk_sandbox.recordings.history import CandleHistory
from nightdesk_sandbox.venue import Shown


@dataclass(frozen=True)
class Side:
    """What tells Binance's futures from its spot: where they lie, how they are described, how long a page may be."""

    prefix: str
    describe: Callable[..., dict[str, Any]]
    longest_page: int
    weight_per_minute: int
    has_funding: bool


FUTURES = Side("/fapi/v1", markets.perpetual, longest_page=1500, weight_per_minute=2400, has_funding=True)
SPOT = Side("/api/v3", markets.pair, longest_page=1000, weight_per_minute=6000, has_funding=False)


class PublicData:
    """Answers for one side."""

    def __init__(self, side: Side, shown: Shown) -> None:
        self.side = side
        self._shown = shown

    def answers(self) -> dict[str, Callable[[Query], Any]]:
        """Return what answers which path."""
        found: dict[str, Callable[[Query], Any]] = {
            "ping": self.ping,
            "time": self.time,
            "exchangeInfo": self.exchange_info,
            "klines": self.klines,
        }
        return {**found, "fundingRate": self.funding_rate} if self.side.has_funding else found

    def ping(self, _query: Query) -> dict[str, Any]:
        """Return nothing, which says that the exchange is there."""
        return {}

    def time(self, _query: Query) -> dict[str, Any]:
        """Return the market's time, which is the replay's and not the wall's."""
        return {"serverTime": words.milliseconds(self._shown.shown_time())}

    def exchange_info(self, query: Query) -> dict[str, Any]:
        """Return the markets, of spot only the one that `symbol` names where it names one.

        Binance takes a market that is over off the list after a while. Here it stays, so that a client that loads its
        markets again sees it inactive and not gone.
        """
        asked = "symbol" in query and not self.side.has_funding
        found = [self._known(query)] if asked else self._shown.markets.values()
        return {
            "timezone": "UTC",
            "serverTime": words.milliseconds(self._shown.shown_time()),
            "rateLimits": [self._rate_limit()],
            "exchangeFilters": [],
            "symbols": [self.side.describe(market.instrument, closed=market.hours.closed) for market in found],
        }

    def klines(self, query: Query) -> list[list[str | int]]:
        """Return candles, oldest first, the one that is forming included and nothing later.

        With `startTime` the page begins there; otherwise it is the newest one up to `endTime`. Both mean a candle's
        open, `endTime` included.
        """
        market = self._known(query)
        seconds = words.INTERVAL_SECONDS.get(given(query, "interval"))
        if seconds is None:
            raise RequestError(words.BAD_INTERVAL, "Invalid interval.")
        limit = limit_of(query, default=500, largest=self.side.longest_page)
        start, end = range_of(query)
        history = CandleHistory(market.charts[seconds], now=self._shown.replay.now())
        stop = len(history) if end is None else history.first_after(end / 1000)
        if start is None:
            first = max(0, stop - limit)
        else:
            first = history.first_from(start / 1000)
            stop = min(stop, first + limit)
        told = self._shown.told(market.symbol, history.page(first, stop))
        return [words.rest_candle(candle) for candle in told]

    def funding_rate(self, query: Query) -> list[dict[str, Any]]:
        """Return settlements, oldest first: those from `startTime` on, or the newest ones up to `endTime`."""
        limit = limit_of(query, default=100, largest=1000)
        start, end = range_of(query)
        found = [self._known(query)] if "symbol" in query else list(self._shown.markets.values())
        entries = [entry for market in found for entry in self._settlements(market, start, end)]
        entries.sort(key=lambda entry: int(entry["fundingTime"]))
        return entries[-limit:] if start is None else entries[:limit]

    def _settlements(self, market: ReplayMarket, start: int | None, end: int | None) -> list[dict[str, Any]]:
        """Return all settlements of a market from `start` to `end`, both in milliseconds and included."""
        step, now = SETTLEMENT_SECONDS * 1000, words.milliseconds(self._shown.replay.now())
        earliest = max(words.milliseconds(market.instrument.launched_at), start or 0)
        latest = now if end is None else min(end, now)
        return [
            {
                "symbol": market.symbol,
                "fundingRate": plain(self._shown.funding_rate),
                "fundingTime": moment,
                "markPrice": plain(_price_at(market, moment / 1000)),
            }
            for moment in range(-(-earliest // step) * step, latest + 1, step)
        ]

    def _known(self, query: Query) -> ReplayMarket:
        market = self._shown.markets.get(given(query, "symbol"))
        if market is None:
            raise RequestError(words.BAD_SYMBOL, "Invalid symbol.")
        return market

    def _rate_limit(self) -> dict[str, Any]:
        per_second = self._shown.requests_per_second
        return {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE" if per_second is None else "SECOND",
            "intervalNum": 1,
            "limit": self.side.weight_per_minute if per_second is None else per_second,
        }


def _price_at(market: ReplayMarket, moment: float) -> float:
    """Return the last price at a moment of the past: the close of the last candle, or the first one's open."""
    closed = market.hours.confirmed(moment)
    return market.hours.candle(closed - 1).close if closed else float(market.hours.candles.open[0])
