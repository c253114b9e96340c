"""The REST side of the exchange: what a client asks of `/v5/market` without a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from aiohttp import web

from nightdesk_sandbox import bybit
from nightdesk_sandbox.aggregate import Aggregate
from nightdesk_sandbox.bybit import ParameterError
from nightdesk_sandbox.candle import Candle
from nightdesk_sandbox.chart import Chart
from nightdesk_sandbox.funding import funding_history
from nightdesk_sandbox.market import Market
from nightdesk_sandbox.query import Query, category_of, integer_of, limit_of
from nightdesk_sandbox.replay import Replay
from nightdesk_sandbox.ticker import ticker

_Answer = Callable[[Query], dict[str, Any]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MarketData:
    """Answers the public questions about the markets from what the replay has shown so far.

    `shown_time` is the exchange's clock, which a fault may set wrong; what has happened goes by the replay's.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        replay: Replay,
        *,
        shown_time: Callable[[], float],
        funding_rate: float,
    ) -> None:
        """`funding_rate` is what is paid at each settlement."""
        self._markets = markets
        self._funding_rate = funding_rate
        self._replay = replay
        self._shown_time = shown_time

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/v5/market/time", self._handler(self.time)),
            web.get("/v5/market/instruments-info", self._handler(self.instruments)),
            web.get("/v5/market/kline", self._handler(self.kline)),
            web.get("/v5/market/tickers", self._handler(self.tickers)),
            web.get("/v5/market/funding/history", self._handler(self.funding)),
        ]

    def time(self, _query: Query) -> dict[str, Any]:
        """Return the market's time, which is the replay's and not the wall's."""
        nanoseconds = int(self._shown_time() * 1e9)
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
            if (entry := market.instrument.describe(closed=self._replay.over))
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
        chart = market.charts.get(query.get("interval", ""))
        if chart is None:
            raise ParameterError("params error: intervalTime is invalid")
        start, end = integer_of(query, "start"), integer_of(query, "end")
        limit = limit_of(query, default=200, largest=1000)
        rows = [bybit.rest_candle(candle) for candle in self._page(chart, start, end, limit)]
        return {"symbol": market.symbol, "category": category, "list": rows[::-1]}

    def _page(self, chart: Chart | Aggregate, start: int | None, end: int | None, limit: int) -> list[Candle]:
        # One moment for both, or a candle could close between them and be in neither.
        now = self._replay.now()
        closed, forming = chart.confirmed(now), chart.forming(now)
        interval = chart.interval_seconds
        first, last = 0, closed + (forming is not None)
        if start is not None:
            first = int(np.searchsorted(chart.time, start // 1000 // interval * interval))
        if end is not None:
            last = min(last, int(np.searchsorted(chart.time, end // 1000, side="right")))
        elif start is not None:
            last = min(last, first + limit)
        page = range(max(first, last - limit), last)
        return [forming if forming is not None and index == closed else chart.candle(index) for index in page]

    def tickers(self, query: Query) -> dict[str, Any]:
        """Return each market's last price and its last 24 hours."""
        category = category_of(query)
        now = self._replay.now()
        entries = [
            ticker(market, now=now, funding_rate=self._funding_rate)
            for market in self._asked(query, category)
            if market.instrument.launched_at <= now
        ]
        return {"category": category, "list": entries}

    def funding(self, query: Query) -> dict[str, Any]:
        """Return what was paid at a market's settlements so far, newest first."""
        category = category_of(query, known=("linear", "inverse"))
        market = self._known(query, "params error: symbol invalid")
        entries = funding_history(market, query, rate=self._funding_rate, now=self._replay.now())
        return {"category": category, "list": entries}

    def _asked(self, query: Query, category: str) -> list[Market]:
        """Return the one market that a question names, or all of its category."""
        if "symbol" in query:
            return [self._known(query, "params error: symbol invalid")]
        return [market for market in self._markets.values() if market.instrument.category == category]

    def _known(self, query: Query, problem: str) -> Market:
        market = self._markets.get(query.get("symbol", ""))
        if market is None or query["category"] != market.instrument.category:
            raise ParameterError(problem)
        return market

    def _handler(self, answer: _Answer) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = bybit.envelope(answer(request.query), now=self._shown_time())
            except ParameterError as error:
                body = bybit.refusal(bybit.PARAMETER_ERROR, str(error), now=self._shown_time())
            return web.json_response(body)

        return handle
