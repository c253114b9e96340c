"""The replay exchange: the market's clock, the REST and websocket sides, and the publishing of candles between them."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from loguru import logger
from nightdesk_core.clock import iso

from nightdesk_sandbox.binance.venue import Binance
from nightdesk_sandbox.bybit.venue import Bybit
from nightdesk_sandbox.faults import AnyFault, Faults
from nightdesk_sandbox.market import MarketEvent, ReplayMarket
from nightdesk_sandbox.position import ReplayPosition
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, RecordedCandles
from nightdesk_sandbox.recordings.shocks import Shock, Shocks
from nightdesk_sandbox.replay import Replay
from nightdesk_sandbox.request_limit import RequestLimit
from nightdesk_sandbox.stream import Stream
from nightdesk_sandbox.update import Topic, Update
from nightdesk_sandbox.venue import Shown, Venue


class ReplayExchange:
    """Serves a replay of one or more markets to any number of clients, and keeps its position.

    The markets are held until somebody subscribes to candles. `play` publishes them and must run as a task. The first
    market's end is the end of them all.
    """

    def __init__(
        self,
        candles: Mapping[str, RecordedCandles],
        position: ReplayPosition,
        *,
        candles_per_second: float,
        clock: Callable[[], float],
        funding_rate: float = 0.0,
        requests_per_second: int | None = None,
    ) -> None:
        """`candles` are those of each symbol; `requests_per_second` limits each client's REST calls."""
        first = next(iter(candles.values()))
        self.replay = Replay(start=position.load(), end=first.end, candles_per_second=candles_per_second, clock=clock)
        self._held_at = self.replay.now()
        self.faults = Faults(clock=clock)
        self.candles_served = 0
        self._position = position
        self._kept = self._held_at
        self._limit = RequestLimit(requests_per_second, clock=clock) if requests_per_second else None
        self._markets = {symbol: ReplayMarket(symbol, of, now=self.replay.now) for symbol, of in candles.items()}
        self._shocks = Shocks(position)
        for shock in self._shocks.load():
            self._apply(shock)
        self._updates = _updates_per_candle(candles_per_second)
        self.stream = Stream(self.faults, on_subscription=self._begin)
        shown = Shown(
            self._markets,
            self.replay,
            self._shown_time,
            funding_rate,
            requests_per_second,
            told=self.faults.told,
            lists=self.faults.lists,
        )
        self._venues: tuple[Venue, ...] = (Bybit(shown, self.stream), Binance(shown, self.stream))
        self._moving = asyncio.Event()

    def run(self) -> None:
        """Let the market run."""
        self.replay.run()
        self._moving.set()

    def pause(self) -> None:
        """Stop the market's time."""
        self.replay.pause()
        self._moving.clear()

    def _begin(self) -> None:
        if self.replay.state == "held":
            logger.info("the first subscription: the market runs from {}", iso(self.replay.now()))
            self.run()

    async def start_fault(self, fault: AnyFault) -> None:
        """Have a fault for a while."""
        logger.warning("fault {}", ", ".join(f"{name}={value}" for name, value in fault.model_dump().items()))
        self.faults.start(fault)
        await fault.begin(self)

    async def close_streams(self) -> None:
        """Close every websocket connection."""
        await self.stream.close()

    def scale_future(self, factor: float) -> None:
        """Multiply the prices of all candles that have not opened yet, in every market and for good."""
        shock = Shock(at=self.replay.now(), factor=factor)
        self._apply(shock)
        self.keep_position()
        self._shocks.add(shock)

    def _apply(self, shock: Shock) -> None:
        for market in self._markets.values():
            market.hours.scale_after(shock.at, shock.factor)

    def status(self) -> dict[str, Any]:
        """Return where the market stands and what the exchange does, for `/sandbox/status`."""
        now = self.replay.now()
        return {
            "market_time": iso(now),
            "market_time_unix": now,
            "state": self.replay.state,
            "symbols": list(self._markets),
            "starts_at": iso(self._position.start),
            "ends_at": iso(self.replay.end),
            "candles_per_second": self.replay.speed / HOUR_SECONDS,
            "candles_served": self.candles_served,
            "connections": self.stream.connections,
            "subscribers": self.stream.subscribers,
            "faults": {name: round(seconds, 3) for name, seconds in self.faults.remaining_seconds().items()},
        }

    def application(self) -> web.Application:
        """Return the exchange's own routes, which its faults may keep from answering."""

        @web.middleware
        async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
            venue = next((venue for venue in self._venues if venue.answers(request.path)), None)
            return await handler(request) if venue is None else await self._answer(venue, request, handler)

        application = web.Application(middlewares=[refuse])
        for venue in self._venues:
            application.add_routes(venue.routes())
        return application

    async def _answer(self, venue: Venue, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a REST call, unless a fault or the limit keeps the exchange from it."""
        refusal = self.faults.refusal(venue, now=self._shown_time())
        if refusal is not None:
            return refusal
        if self._limit is None:
            return await handler(request)
        limit, count = self._limit.per_second, self._limit.count(request.remote or "")
        if not count.allowed:
            return venue.too_many(now=self._shown_time(), limit=limit, reset_seconds=count.reset_seconds)
        answer = await handler(request)
        answer.headers.update(venue.limit_headers(limit=limit, left=count.left, reset_seconds=count.reset_seconds))
        return answer

    def _shown_time(self) -> float:
        return self.faults.shown_time(self.replay.now())

    async def play(self) -> None:
        """Publish every candle from now to the end, each when its time comes."""
        await self._moving.wait()
        for event in self._events():
            while self.replay.now() < event.moment:
                await self._moving.wait()
                await asyncio.sleep(self.replay.seconds_until(event.moment))
            self._publish(event)
            # What is overdue is published in one go, but not without letting requests in between.
            await asyncio.sleep(0)
        logger.info("the replay is over at {}; delete {} to start it anew", iso(self.replay.now()), self._position.path)

    def keep_position(self) -> None:
        """Write down where the market stands now."""
        self._save(self.replay.now())

    def _events(self) -> Iterator[MarketEvent]:
        """Yield what happens in all markets from where they were held."""
        streams = [market.events(since=self._held_at, updates=self._updates) for market in self._markets.values()]
        return heapq.merge(*streams, key=lambda event: event.moment)

    def _publish(self, event: MarketEvent) -> None:
        market = event.market
        if event.fraction == 1.0:
            self._confirm(market.hours.candle(event.index))
        for seconds in market.charts:
            if not self.stream.wanted(Topic(market.symbol, seconds)):
                continue
            candle = market.candle(seconds, event)
            if candle is not None:
                self.stream.publish(Update(market.symbol, candle, event.moment))

    def _confirm(self, candle: Candle) -> None:
        """Count a candle and keep the position, before it is sent: after a crash none is sent twice."""
        self.candles_served += 1
        behind = self.replay.seconds_until(candle.end + candle.interval_seconds) == 0
        if candle.end > self._kept and (not behind or self.replay.over):
            self._save(candle.end)

    def _save(self, moment: float) -> None:
        self._kept = moment
        try:
            self._position.save(moment)
        except OSError as error:
            # A full disk is no reason to stop the market; a restart would go on from an earlier time.
            logger.error("the position cannot be kept in {} ({})", self._position.path, error.strerror)


def _updates_per_candle(candles_per_second: float) -> int:
    """Return how many updates lie within a candle: 10 a second, 2 at least, and one for each minute of it at most."""
    return min(max(round(10 / candles_per_second), 2), 59)
