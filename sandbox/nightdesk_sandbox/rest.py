"""The REST side of the exchange: what ccxt asks of `/v5/market` without a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from aiohttp import web

from nightdesk_sandbox import bybit
from nightdesk_sandbox.bybit import ParameterError
from nightdesk_sandbox.instrument import CATEGORIES, Instrument, plain
from nightdesk_sandbox.replay import DAY_SECONDS, Candle, Replay

_DEFAULT_LIMIT = 200
_LARGEST_LIMIT = 1000

_Answer = Callable[[Mapping[str, str]], dict[str, Any]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MarketData:
    """Answers the public questions about the market from what the replay has shown so far."""

    def __init__(self, replay: Replay, instrument: Instrument) -> None:
        self._replay = replay
        self._instrument = instrument

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/v5/market/time", self._handler(self.time)),
            web.get("/v5/market/instruments-info", self._handler(self.instruments)),
            web.get("/v5/market/kline", self._handler(self.kline)),
            web.get("/v5/market/tickers", self._handler(self.tickers)),
        ]

    def time(self, _query: Mapping[str, str]) -> dict[str, Any]:
        """Return the market's time, which is the replay's and not the wall's."""
        nanoseconds = int(self._replay.now() * 1e9)
        return {"timeSecond": str(nanoseconds // 10**9), "timeNano": str(nanoseconds)}

    def instruments(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the one market, or nothing where the question is about others.

        Bybit lists a closed market only to those who ask for closed ones. Here it stays in the list, so that a client
        that loads its markets again sees it inactive and not gone.
        """
        category = _category(query)
        entry = self._instrument.describe(closed=self._replay.over)
        wanted = (
            category == self._instrument.category
            and query.get("status", entry["status"]) == entry["status"]
            and query.get("baseCoin", entry["baseCoin"]) == entry["baseCoin"]
        )
        if "symbol" in query:
            self._known_symbol(query, "params error: symbol invalid")
        return {"category": category, "list": [entry] if wanted else [], "nextPageCursor": ""}

    def kline(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return candles, newest first, the one that is forming included and nothing later.

        With `start` alone the page begins there; otherwise it is the newest one up to `end`. `start` and `end` mean the
        candle that contains them, as at Bybit.
        """
        category = _category(query)
        self._known_symbol(query, "params error: Symbol Is Invalid")
        if query.get("interval") not in bybit.INTERVAL_SECONDS:
            raise ParameterError("params error: intervalTime is invalid")
        start, end = _integer(query, "start"), _integer(query, "end")
        limit = _integer(query, "limit")
        limit = _DEFAULT_LIMIT if limit is None else min(limit, _LARGEST_LIMIT)
        if limit < 1:
            raise ParameterError("params error: limit is invalid")
        rows = [bybit.rest_candle(candle) for candle in self._page(start, end, limit)]
        return {"symbol": self._instrument.symbol, "category": category, "list": rows[::-1]}

    def _page(self, start: int | None, end: int | None, limit: int) -> list[Candle]:
        replay, times = self._replay, self._replay.candles.time
        # One moment for both, or a candle could close between them and be in neither.
        now = replay.now()
        closed, forming = replay.confirmed(now), replay.forming(now)
        interval = replay.candles.interval_seconds
        first, last = 0, closed + (forming is not None)
        if start is not None:
            first = int(np.searchsorted(times, start // 1000 // interval * interval))
        if end is not None:
            last = min(last, int(np.searchsorted(times, end // 1000, side="right")))
        elif start is not None:
            last = min(last, first + limit)
        page = range(max(first, last - limit), last)
        return [forming if forming is not None and index == closed else replay.candle(index) for index in page]

    def tickers(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the market's last price and its last 24 hours. There is no book: bid and ask are the last price."""
        category = _category(query)
        if "symbol" in query:
            self._known_symbol(query, "params error: symbol invalid")
        entries = [self._ticker()] if category == self._instrument.category else []
        return {"category": category, "list": entries}

    def _ticker(self) -> dict[str, str]:
        replay = self._replay
        now = replay.now()
        closed, forming = replay.confirmed(now), replay.forming(now)
        # Where the sample lacks a whole day the last candle before it is all there is.
        first = min(replay.index_after(now - DAY_SECONDS), closed - 1)
        day = [replay.candle(index) for index in range(first, closed)]
        if forming is not None:
            day.append(forming)
        last, before = plain(day[-1].close), day[0].open
        return {
            "symbol": self._instrument.symbol,
            "lastPrice": last,
            "indexPrice": last,
            "markPrice": last,
            "bid1Price": last,
            "bid1Size": "0",
            "ask1Price": last,
            "ask1Size": "0",
            "prevPrice24h": plain(before),
            "price24hPcnt": plain(round(day[-1].close / before - 1, 6)),
            "highPrice24h": plain(max(candle.high for candle in day)),
            "lowPrice24h": plain(min(candle.low for candle in day)),
            "volume24h": plain(round(sum(candle.volume for candle in day), 8)),
            "turnover24h": plain(round(sum(candle.turnover for candle in day), 4)),
            "openInterest": "0",
            "openInterestValue": "0",
            "fundingRate": "0",
            "nextFundingTime": "0",
        }

    def _known_symbol(self, query: Mapping[str, str], problem: str) -> None:
        known = query.get("symbol") == self._instrument.symbol
        if not known or _category(query) != self._instrument.category:
            raise ParameterError(problem)

    def _handler(self, answer: _Answer) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = bybit.envelope(answer(request.query), now=self._replay.now())
            except ParameterError as error:
                body = bybit.refusal(error, now=self._replay.now())
            return web.json_response(body)

        return handle


def _category(query: Mapping[str, str]) -> str:
    category = query.get("category", "")
    if category not in CATEGORIES:
        raise ParameterError("params error: Category is invalid")
    return category


def _integer(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    # Python would also take signs, underscores and other scripts' digits, and digits without end.
    if not (query[name].isascii() and query[name].isdigit() and len(query[name]) <= 15):
        raise ParameterError(f"params error: {name} is invalid")
    return int(query[name])
