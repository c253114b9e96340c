"""The replay exchange: the market's clock, the REST and websocket sides, and the publishing of candles between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from loguru import logger
from nightdesk_core.clock import WallClock, iso

from nightdesk_sandbox import bybit
from nightdesk_sandbox.candles import Candles
from nightdesk_sandbox.faults import Fault, Faults
from nightdesk_sandbox.instrument import Instrument
from nightdesk_sandbox.position import Position
from nightdesk_sandbox.replay import Candle, Replay
from nightdesk_sandbox.rest import MarketData
from nightdesk_sandbox.stream import Stream

_INTERVAL = "60"
_STREAM_PREFIX = "/v5/public/"


@dataclass(frozen=True)
class _Event:
    """What is published when the market's time is `moment`: candle `index`, when `fraction` of it had passed."""

    moment: float
    index: int
    fraction: float


class Exchange:
    """Serves one replay to any number of clients, and keeps its position.

    The market is held until somebody subscribes to its candles. `play` publishes them and must run as a task.
    """

    def __init__(
        self,
        candles: Candles,
        position: Position,
        *,
        candles_per_second: float,
        clock: WallClock,
    ) -> None:
        self.replay = Replay(candles, start=position.load(), candles_per_second=candles_per_second, clock=clock)
        self._held_at = self.replay.now()
        self.faults = Faults(clock=clock)
        self.candles_served = 0
        self._position = position
        self._instrument = Instrument.of(candles)
        self._updates = _updates_per_candle(candles_per_second)
        topics = [bybit.topic(interval, self._instrument.symbol) for interval in bybit.INTERVAL_SECONDS]
        self.stream = Stream(topics, self.faults, on_subscription=self._begin)
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

    async def start_fault(self, fault: Fault, *, seconds: float) -> None:
        """Have a fault for a while."""
        logger.warning("fault {} for {:g} s", fault, seconds)
        self.faults.start(fault, seconds=seconds)
        if fault is Fault.DROP:
            await self.stream.close()

    def status(self) -> dict[str, Any]:
        """Return where the market stands and what the exchange does, for `/sandbox/status`."""
        now = self.replay.now()
        return {
            "market_time": iso(now),
            "market_time_unix": now,
            "state": self.replay.state,
            "ends_at": iso(self.replay.candles.end),
            "candles_per_second": self.replay.speed / self.replay.candles.interval_seconds,
            "candles_served": self.candles_served,
            "connections": self.stream.connections,
            "subscribers": self.stream.subscribers,
            "faults": {fault.value: round(seconds, 3) for fault, seconds in self.faults.remaining_seconds().items()},
        }

    def application(self) -> web.Application:
        """Return the exchange's own routes and its fault of answering 500."""

        @web.middleware
        async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
            rest = request.path.startswith("/v5/") and not request.path.startswith(_STREAM_PREFIX)
            if rest and self.faults.active(Fault.ERROR500):
                raise web.HTTPInternalServerError
            return await handler(request)

        application = web.Application(middlewares=[fail])
        application.add_routes(MarketData(self.replay, self._instrument).routes())
        application.router.add_get(_STREAM_PREFIX + self._instrument.category, self.stream.handle)
        return application

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

    def _events(self) -> Iterator[_Event]:
        """Yield what happens from where the market was held: each candle's open, some updates, and its close."""
        candles = self.replay.candles
        for index in range(self.replay.confirmed(self._held_at), len(candles)):
            opened = int(candles.time[index])
            for step in range(self._updates + 2):
                fraction = step / (self._updates + 1)
                moment = opened + fraction * candles.interval_seconds
                if moment >= self._held_at:
                    yield _Event(moment, index, fraction)

    def _publish(self, event: _Event) -> None:
        candle = self.replay.update(event.index, event.fraction)
        if candle.confirmed:
            self._confirm(candle)
        self.stream.publish(
            bybit.stream_candle(candle, interval=_INTERVAL, symbol=self._instrument.symbol, at=event.moment)
        )

    def _confirm(self, candle: Candle) -> None:
        """Count a candle and keep the position, before it is sent: after a crash none is sent twice."""
        self.candles_served += 1
        behind = self.replay.seconds_until(candle.end + candle.interval_seconds) == 0
        if not behind or self.replay.over:
            self._save(candle.end)

    def _save(self, moment: float) -> None:
        try:
            self._position.save(moment)
        except OSError as error:
            # A full disk is no reason to stop the market; a restart would go on from an earlier time.
            logger.error("the position cannot be kept in {} ({})", self._position.path, error.strerror)


def _updates_per_candle(candles_per_second: float) -> int:
    """Return how many updates lie within a candle: 10 a second, 2 at least, and one for each minute of it at most."""
    return min(max(round(10 / candles_per_second), 2), 59)
