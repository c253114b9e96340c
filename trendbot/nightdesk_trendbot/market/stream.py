"""The exchange's candle streams, one a symbol, as one queue of what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import ccxt

from nightdesk_trendbot.market.exchange import Exchange
from nightdesk_trendbot.signals.candles import Bar

News = tuple[str, list[Bar]]
"""A symbol, and every candle of it that the stream changed."""


class Streams:
    """Listens to every symbol at once. What breaks one is told once, and ends them all until they begin anew."""

    def __init__(self, exchange: Exchange, symbols: Sequence[str], timeframe: str) -> None:
        self._exchange = exchange
        self._symbols = symbols
        self._timeframe = timeframe
        self._queue: asyncio.Queue[News | BaseException] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[str, set[int]] = {symbol: set() for symbol in symbols}

    def told_of(self, symbol: str, time: int) -> bool:
        """Return whether the stream has told of a symbol's candle by its open (market time), asked for or not yet."""
        return time in self._told[symbol]

    def forget(self, before: int) -> None:
        """Forget which candles that open before a market time were told of."""
        for symbol, times in self._told.items():
            self._told[symbol] = {time for time in times if time >= before}

    async def news(self, *, patience_seconds: float) -> News:
        """Return what is heard next.

        Raises `TimeoutError` where nothing is heard for so long, `ccxt.BaseError` where a stream broke.
        """
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen(symbol)) for symbol in self._symbols]
            for task in self._tasks:
                task.add_done_callback(partial(self._broke, self._queue))
        # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes together with the news.
        async with asyncio.timeout(patience_seconds):
            heard = await self._queue.get()
        if isinstance(heard, BaseException):
            raise heard
        return heard

    async def hang_up(self) -> None:
        """Close every stream, and forget what was not yet told. The next `news` listens again.

        Raises `ccxt.BaseError` where the exchange's client cannot close them.
        """
        await self.stop()
        await self._exchange.hang_up()

    async def stop(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # Not by awaiting each: a cancellation of who waits here would pass for one of theirs.
            await asyncio.wait(self._tasks)
        self._tasks = []
        self._queue = asyncio.Queue()

    @staticmethod
    def _broke(queue: asyncio.Queue[News | BaseException], task: asyncio.Task[None]) -> None:
        """Have what ended a stream raised where the news are asked for."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            queue.put_nowait(error)

    async def _listen(self, symbol: str) -> None:
        while True:
            try:
                bars = await self._exchange.watch(symbol, self._timeframe)
            except ccxt.BadSymbol:
                # One that is delisted has no stream any more, and the others' must not break for it.
                return
            if not bars:
                # Nothing of it was a candle: as good as silence.
                continue
            self._told[symbol].update(bar.time for bar in bars)
            self._queue.put_nowait((symbol, bars))
