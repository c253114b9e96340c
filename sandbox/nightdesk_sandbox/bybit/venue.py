"""Bybit: what a client asks of `/v5/market` without a key, and the stream of linear markets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from nightdesk_core.clock import system_clock

from nightdesk_sandbox.bybit import words
from nightdesk_sandbox.bybit.dialect import BybitDialect
from nightdesk_sandbox.bybit.funding import funding_history
from nightdesk_sandbox.bybit.instrument import describe
from nightdesk_sandbox.bybit.query import Query, category_of, integer_of, limit_of
from nightdesk_sandbox.bybit.ticker import ticker
from nightdesk_sandbox.bybit.words import ParameterError
from nightdesk_sandbox.market import ReplayMarket
from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.history import CandleHistory
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.stream import Stream
from nightdesk_sandbox.venue import Shown

_STREAM_PREFIX = "/v5/public/"

_Answer = Callable[[Query], dict[str, Any]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bybit:
    """Answers the public questions about the markets from what the replay has shown so far."""

    def __init__(self, shown: Shown, stream: Stream) -> None:
        self._shown = shown
        self._replay = shown.replay
        self._stream = stream
        self._topics = words.topics(shown.all_markets)

    def answers(self, path: str) -> bool:
        """Return whether a path belongs to the REST interface."""
        return path.startswith("/v5/") and not path.startswith(_STREAM_PREFIX)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/v5/market/time", self._handler(self.time)),
            web.get("/v5/market/instruments-info", self._handler(self.instruments)),
            web.get("/v5/market/kline", self._handler(self.kline)),
            web.get("/v5/market/tickers", self._handler(self.tickers)),
            web.get("/v5/market/funding/history", self._handler(self.funding)),
            web.get(f"{_STREAM_PREFIX}linear", self._listen),
        ]

    def limit_headers(self, *, limit: int, left: int, reset_seconds: float) -> dict[str, str]:
        """Return how many calls are allowed, how many are left, and when there are new ones.

        The moment is of the wall's clock and not of the market's: clients subtract their own clock from it and wait.
        """
        return {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(words.milliseconds((system_clock() + reset_seconds).seconds)),
        }

    def too_many(self, *, now: float, limit: int, reset_seconds: float) -> web.Response:
        """Return the answer to a call that was one too many: HTTP 429 and error 10006."""
        body = words.refusal(words.TOO_MANY_VISITS, "Too many visits!", now=now)
        return web.json_response(
            body, status=429, headers=self.limit_headers(limit=limit, left=0, reset_seconds=reset_seconds)
        )

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        return await self._stream.serve(request, BybitDialect(self._topics))

    def time(self, _query: Query) -> dict[str, Any]:
        """Return the market's time, which is the replay's and not the wall's."""
        nanoseconds = int(self._shown.shown_time() * 1e9)
        return {"timeSecond": str(nanoseconds // 10**9), "timeNano": str(nanoseconds)}

    def instruments(self, query: Query) -> dict[str, Any]:
        """Return the markets that the question is about, page by page.

        Bybit lists a closed market only to those who ask for closed ones. Here it stays in the list, so that a client
        that loads its markets again sees it inactive and not gone.
        """
        category = category_of(query)
        limit = limit_of(query, default=500, largest=1000)
        entries = [
            entry
            for market in self._asked(query, category)
            if (entry := describe(market.instrument, closed=market.hours.closed))
            and query.get("status", entry["status"]) == entry["status"]
            and query.get("baseCoin", entry["baseCoin"]) == entry["baseCoin"]
        ]
        after = query.get("cursor", "")
        first = next((place for place, entry in enumerate(entries, start=1) if entry["symbol"] == after), 0)
        page = entries[first : first + limit]
        more = first + limit < len(entries)
        return {"category": category, "list": page, "nextPageCursor": page[-1]["symbol"] if more else ""}

    def kline(self, query: Query) -> dict[str, Any]:
        """Return candles, newest first, the one that is forming included and nothing later.

        With `start` alone the page begins there; otherwise it is the newest one up to `end`. `start` and `end` mean the
        candle that contains them, as at Bybit. Without a category it is about the linear market.
        """
        query = {"category": "linear", **query}
        category = category_of(query, known=("spot", "linear", "inverse"))
        market = self._known(query, "params error: Symbol Is Invalid")
        seconds = words.INTERVAL_SECONDS.get(query.get("interval", ""))
        if seconds is None:
            raise ParameterError("params error: intervalTime is invalid")
        start, end = integer_of(query, "start"), integer_of(query, "end")
        limit = limit_of(query, default=200, largest=1000)
        page = self._page(market.charts[seconds], start, end, limit)
        rows = [words.rest_candle(candle) for candle in self._shown.told(market.symbol, page)]
        return {"symbol": market.symbol, "category": category, "list": rows[::-1]}

    def _page(self, chart: HourlyCandles | Aggregate, start: int | None, end: int | None, limit: int) -> list[Candle]:
        history = CandleHistory(chart, now=self._replay.now())
        interval = chart.interval_seconds
        first, stop = 0, len(history)
        if start is not None:
            first = history.first_from(start // 1000 // interval * interval)
        if end is not None:
            stop = history.first_after(end // 1000)
        elif start is not None:
            stop = min(stop, first + limit)
        return history.page(max(first, stop - limit), stop)

    def tickers(self, query: Query) -> dict[str, Any]:
        """Return each market's last price and its last 24 hours."""
        category = category_of(query)
        now = self._replay.now()
        entries = [
            ticker(market, now=now, funding_rate=self._shown.funding_rate)
            for market in self._asked(query, category)
            if market.instrument.launched_at <= now
        ]
        return {"category": category, "list": entries}

    def funding(self, query: Query) -> dict[str, Any]:
        """Return what was paid at a market's settlements so far, newest first."""
        category = category_of(query, known=("linear", "inverse"))
        market = self._known(query, "params error: symbol invalid")
        entries = funding_history(market, query, rate=self._shown.funding_rate, now=self._replay.now())
        return {"category": category, "list": entries}

    def _asked(self, query: Query, category: str) -> list[ReplayMarket]:
        """Return the one market that a question names, or all of its category."""
        if "symbol" in query:
            return [self._known(query, "params error: symbol invalid")]
        return list(self._shown.markets.values()) if category == words.LINEAR else []

    def _known(self, query: Query, problem: str) -> ReplayMarket:
        market = self._shown.markets.get(query.get("symbol", ""))
        if market is None or query["category"] != words.LINEAR:
            raise ParameterError(problem)
        return market

    def _handler(self, answer: _Answer) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = words.envelope(answer(request.query), now=self._shown.shown_time())
            except ParameterError as error:
                body = words.refusal(words.PARAMETER_ERROR, str(error), now=self._shown.shown_time())
            return web.json_response(body)

        return handle
