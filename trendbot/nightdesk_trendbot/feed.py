"""From the exchange's stream to candles that are complete, in order, and delivered once.

ccxt's stream does not say whether a candle is confirmed: one is, once the next has begun. It is taken from the stream
where this connection has seen it from its open on, and asked for by REST where it has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import ccxt
from loguru import logger
from nightdesk_exporter import BotExporter

from nightdesk_trendbot.candles import Bar
from nightdesk_trendbot.exchange import Exchange, backoff_seconds

_LAG_TRIES = 4


@dataclass(frozen=True)
class Opened:
    """A candle opened (market time)."""

    time: int
    price: float


@dataclass(frozen=True)
class Closed:
    """A candle is complete."""

    bar: Bar


@dataclass(frozen=True)
class Marked:
    """The market's last price."""

    price: float


@dataclass(frozen=True)
class MarketOpen:
    """Whether the exchange lists the symbol as tradable."""

    open: bool


Event = Opened | Closed | Marked | MarketOpen


class Feed:
    """One symbol's candles from `after` on. Whatever the exchange answers, the feed goes on trying.

    `silence_seconds` is how long a connected stream may say nothing."""

    def __init__(
        self,
        exchange: Exchange,
        exporter: BotExporter,
        *,
        symbol: str,
        timeframe: str,
        interval_seconds: int,
        after: int,
        silence_seconds: float,
        longest_wait_seconds: float,
    ) -> None:
        """`after` is the open of the last candle that is already known (market time)."""
        self._exchange = exchange
        self._exporter = exporter
        self._symbol = symbol
        self._timeframe = timeframe
        self._interval = interval_seconds
        self._last = after
        self._silence_seconds = silence_seconds
        self._longest_wait_seconds = longest_wait_seconds
        self._seen: dict[int, Bar] = {}
        self._whole_from: int | None = None
        """Candles that open after this were seen whole by the present connection; `None`: not connected."""
        self._failures = 0
        self._was_connected = False
        self._market_open = True

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for ever. Each candle is closed exactly once and in order."""
        while True:
            try:
                bars = await asyncio.wait_for(
                    self._exchange.watch(self._symbol, self._timeframe), timeout=self._silence_seconds
                )
            except TimeoutError:
                # A closed market is silent, and no news.
                level = "WARNING" if self._market_open else "DEBUG"
                logger.log(level, "the stream was silent for {:.3g} s: asking by REST", self._silence_seconds)
                async for event in self._recover():
                    yield event
            except ccxt.BaseError as error:
                logger.error("the stream broke: {}: {}", type(error).__name__, str(error)[:160])
                await self._wait_after_failure()
                async for event in self._recover():
                    yield event
            else:
                self._connected()
                for bar in bars:
                    async for event in self._take(bar):
                        yield event

    async def _take(self, bar: Bar) -> AsyncIterator[Event]:
        if self._whole_from is None:
            self._whole_from = bar.time
        if bar.time <= self._last:
            return
        if bar.time not in self._seen:
            async for event in self._complete_until(bar.time):
                yield event
            yield Opened(bar.time, bar.open)
        self._seen[bar.time] = bar
        yield Marked(bar.close)

    async def _complete_until(self, stop: int) -> AsyncIterator[Event]:
        """Close every candle that opens before `stop`."""
        wanted = range(self._last + self._interval, stop, self._interval)
        if not wanted:
            return
        whole = self._whole_from is not None and wanted[0] > self._whole_from
        if whole and all(time in self._seen for time in wanted):
            bars = [self._seen[time] for time in wanted]
        else:
            bars = await self._fetch_with_newest(wanted[0], stop)
            if len(wanted) > 1:
                self._exporter.gap_repaired(self._symbol, self._timeframe)
        for bar in bars:
            self._last = bar.time
            yield Closed(bar)
        self._last = max(self._last, wanted[-1])
        self._seen = {time: bar for time, bar in self._seen.items() if time > self._last}

    async def _recover(self) -> AsyncIterator[Event]:
        """Catch up by REST after the stream failed, and hang up so that it connects again."""
        self._exporter.connection(connected=False)
        self._whole_from = None
        self._seen.clear()
        try:
            await self._exchange.hang_up()
            now = await self._exchange.now()
            self._market_open = await self._exchange.market_is_open(self._symbol)
            yield MarketOpen(self._market_open)
        except ccxt.BaseError as error:
            logger.error("the exchange does not answer: {}: {}", type(error).__name__, str(error)[:160])
            await self._wait_after_failure()
            return
        async for event in self._complete_until(int(now) // self._interval * self._interval):
            yield event

    async def _fetch_with_newest(self, start: int, stop: int) -> list[Bar]:
        """Return the candles in [start, stop). One that closed just now may reach REST a moment later than the stream.

        An hour that is still not there after a few seconds is one that the exchange itself lacks.
        """
        for attempt in range(_LAG_TRIES):
            bars = await self._fetch(start, stop)
            if bars and bars[-1].time == stop - self._interval:
                break
            await asyncio.sleep(backoff_seconds(attempt, longest=self._longest_wait_seconds))
        return bars

    async def _fetch(self, start: int, stop: int) -> list[Bar]:
        while True:
            try:
                return await self._exchange.bars(
                    self._symbol, self._timeframe, start=start, stop=stop, interval_seconds=self._interval
                )
            except ccxt.BaseError as error:
                logger.error("candles cannot be fetched: {}: {}", type(error).__name__, str(error)[:160])
                await self._wait_after_failure()

    def _connected(self) -> None:
        self._failures = 0
        if self._whole_from is None:
            self._exporter.connection(connected=True, reconnect=self._was_connected)
            self._was_connected = True

    async def _wait_after_failure(self) -> None:
        wait = backoff_seconds(self._failures, longest=self._longest_wait_seconds)
        self._failures += 1
        await asyncio.sleep(wait)
