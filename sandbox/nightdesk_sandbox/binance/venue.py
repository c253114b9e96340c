"""Binance: what a client asks without a key, of USDT-M futures and of spot, and the streams of both.

Both sides show the same candles. Their streams lie apart: a futures candle comes only over `/market`, since Binance
split the futures' addresses, and what has no such part is spot.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from nightdesk_sandbox.binance import words
from nightdesk_sandbox.binance.dialect import BinanceDialect
from nightdesk_sandbox.binance.query import Query
from nightdesk_sandbox.binance.rest import FUTURES, SPOT, PublicData
from nightdesk_sandbox.binance.words import RequestError
from nightdesk_sandbox.stream import Stream
from nightdesk_sandbox.update import Topic
from nightdesk_sandbox.venue import Shown

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Binance:
    """Answers the public questions about the markets from what the replay has shown so far."""

    def __init__(self, shown: Shown, stream: Stream) -> None:
        self._sides = [PublicData(side, shown) for side in (FUTURES, SPOT)]
        self._stream = stream
        self._names = {
            words.stream_name(symbol, interval): Topic(symbol, seconds)
            for symbol in shown.all_markets
            for interval, seconds in words.INTERVAL_SECONDS.items()
        }

    def answers(self, path: str) -> bool:
        """Return whether a path belongs to the REST interface."""
        return path.startswith(("/fapi/", "/api/"))

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        rest = [
            web.get(f"{data.side.prefix}/{path}", _handler(answer))
            for data in self._sides
            for path, answer in data.answers().items()
        ]
        streams = [
            web.get(prefix + path, self._listen)
            for prefix in ("/market", "")
            for path in ("/ws", r"/ws/{names:.*}", "/stream")
        ]
        return rest + streams

    def limit_headers(self, *, limit: int, left: int, reset_seconds: float) -> dict[str, str]:
        """Return how many of this second's calls were used; each weighs 1."""
        return {"X-MBX-USED-WEIGHT-1S": str(limit - left)}

    def too_many(self, *, now: float, limit: int, reset_seconds: float) -> web.Response:
        """Return the answer to a call that was one too many: HTTP 429, error -1003, and how long to wait."""
        message = (
            f"Too many requests; current limit is {limit} requests per second. "
            "Please use the websocket for live updates to avoid polling the API."
        )
        headers = {
            "Retry-After": str(max(math.ceil(reset_seconds), 1)),
            **self.limit_headers(limit=limit, left=0, reset_seconds=reset_seconds),
        }
        return web.json_response(words.refusal(words.TOO_MANY_REQUESTS, message), status=429, headers=headers)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        combined = request.path.endswith("/stream")
        asked = request.query.get("streams", "") if combined else request.match_info.get("names", "")
        # ccxt numbers its connections in the address; a number is no stream.
        names = [name for name in asked.split("/") if "@" in name]
        return await self._stream.serve(request, BinanceDialect(self._names, names=names, combined=combined))


def _handler(answer: Callable[[Query], Any]) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(answer(request.query))
        except RequestError as error:
            return web.json_response(words.refusal(error.code, str(error)), status=400)

    return handle
