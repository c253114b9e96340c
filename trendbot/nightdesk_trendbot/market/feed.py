"""From the exchange's streams to steps: the candles of every symbol that closed at one time, complete, once, in order.

The stream says when a candle has begun, and what the market's price is. What a candle ended as is asked for by REST,
and from nowhere else: a stream's last word on it may be missing, late, or wrong. As long as REST does not answer,
nothing is decided; once it does, nothing is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import ccxt
from loguru import logger
from nightdesk_core.backoff import backoff_seconds
from nightdesk_core.clock import MarketTime, iso
from nightdesk_exporter import BotExporter

from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.events import Event, Marked, MarketsOpen, Opened, SetAside, Step
from nightdesk_trendbot.market.exchange import FIRST_WAIT_SECONDS, Exchange
from nightdesk_trendbot.market.funding import funding_rates
from nightdesk_trendbot.market.rows import Rejected, Told
from nightdesk_trendbot.market.stream import Streams
from nightdesk_trendbot.settings import CostSettings
from nightdesk_trendbot.signals.candles import Bar, by_candle

_LAG_TRIES = 4
_FAR = 1000
"""Candles beyond which a stream's word on what has begun is not asked about without a look at the clocks."""
_DEAF_STEPS = 3
"""A stream that leaves out so many of a symbol's candles in a row is connected again."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Found:
    """What the exchange told of a symbol: candles by their open, and what is none."""

    bars: Mapping[int, Bar]
    rejected: tuple[Rejected, ...]

    @property
    def latest(self) -> int:
        """The open of the newest candle that there is, be it one that cannot be true; 0 where there is none."""
        return max([*self.bars, *(row.time for row in self.rejected if row.time is not None)], default=0)


class Feed:
    """The candles of some symbols from `after` on. Whatever the exchange answers, the feed goes on trying."""

    def __init__(
        self,
        exchange: Exchange,
        exporter: BotExporter,
        *,
        symbols: Sequence[str],
        timeframe: str,
        interval_seconds: int,
        costs: CostSettings,
        clock: MarketClock,
        after: MarketTime,
        silence_seconds: float,
        longest_wait_seconds: float,
        longest_lag_seconds: float,
        set_aside: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        """`after` is the open of the last step that is already known.

        `set_aside` has, by symbol, the opens of candles that an earlier run set aside: they stay so, whatever the
        exchange tells of them by now.

        In wall time: `silence_seconds` is how long the connected streams may say nothing, `longest_wait_seconds` the
        longest pause between two tries, `longest_lag_seconds` that between two looks for a candle that REST lacks.
        """
        self._exchange = exchange
        self._exporter = exporter
        self._symbols = symbols
        self._timeframe = timeframe
        self._interval = interval_seconds
        self._costs = costs
        self._clock = clock
        self._next = after.whole_seconds + interval_seconds
        """The open of the step that is going on."""
        self._silence_seconds = silence_seconds
        self._longest_wait_seconds = longest_wait_seconds
        self._longest_lag_seconds = longest_lag_seconds
        self._streams = Streams(exchange, symbols, timeframe)
        self._opened = dict.fromkeys(symbols, after.whole_seconds)
        self._deaf = dict.fromkeys(symbols, 0)
        self._set_aside = set_aside or {}
        self._unlisted = exchange.unlisted(symbols)
        self._open_markets = frozenset(symbols) - self._unlisted
        self._pausing: set[str] = set()
        """Symbols that had no candle in the last step."""
        self._failures = 0
        self._connected = False

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, for ever. Each step comes exactly once and in order."""
        try:
            while True:
                try:
                    symbol, bars = await self._streams.news(patience_seconds=self._silence_seconds)
                except TimeoutError:
                    async for event in self._recover(f"silent for {self._silence_seconds:.3g} s"):
                        yield event
                except ccxt.BaseError as error:
                    await self._wait_after_failure()
                    async for event in self._recover(_brief(error)):
                        yield event
                else:
                    self._note_connection()
                    for bar in bars:
                        async for event in self._take(symbol, bar):
                            yield event
                    if max(self._deaf.values()) >= _DEAF_STEPS:
                        async for event in self._recover("it leaves out candles"):
                            yield event
        finally:
            await self._streams.stop()

    async def _take(self, symbol: str, bar: Bar) -> AsyncIterator[Event]:
        if bar.time < self._next or bar.time % self._interval:
            return
        if bar.time > self._next:
            async for event in self._catch_up(claimed=bar.time):
                yield event
            if bar.time != self._next:
                return
        if bar.time > self._opened[symbol]:
            self._opened[symbol] = bar.time
            yield Opened(symbol, MarketTime(bar.time), bar.open)
        yield Marked(symbol, bar.close)

    async def _catch_up(self, *, claimed: int | None = None) -> AsyncIterator[Event]:
        """Close every step that is over. `claimed` is the open of a candle that the stream says has begun.

        A candle is over once the exchange has the symbol's next one. Where that is long in coming, as between two
        trades or when a market is closed, it is over once another symbol's next candle, or both clocks, had shown so
        before it was asked for. One that is then not there is one that the exchange itself lacks.
        """
        begun, latest = self._next, claimed or 0
        for attempt in range(_LAG_TRIES):
            unlisted = self._unlisted
            if claimed is None or attempt > 0 or claimed > self._next + _FAR * self._interval:
                sure, latest = await self._times()
                begun = max(begun, sure)
            found: dict[str, _Found] = {}
            known = {}
            for symbol in self._symbols:
                known[symbol] = begun
                found[symbol] = await self._fetch(symbol, latest + self._interval)
                begun = max(begun, found[symbol].latest)
            lacking = [symbol for symbol in self._symbols if found[symbol].latest < begun]
            if begun == self._next:
                lacking = []
            reopened = any(found[symbol].bars and symbol not in self._open_markets for symbol in self._symbols)
            if lacking or reopened:
                yield await self._look_at_markets()
            # One that has a candle in this step is asked again: REST may not yet have it as it ended.
            late = any(found[symbol].bars or self._expects(symbol, begun - self._interval) for symbol in lacking)
            # An exchange that tells something impossible may put it right.
            doubtful = any(self._impossible(symbol, found[symbol], begun) for symbol in self._symbols)
            # One that was not asked for because it was not listed is asked for once it is.
            relisted = bool(unlisted - self._unlisted)
            waiting = late or doubtful or relisted or (claimed or begun) > begun
            unsure = [known[symbol] for symbol in lacking if known[symbol] < begun]
            if not waiting and not unsure:
                break
            if waiting:
                await asyncio.sleep(_wait_seconds(attempt, longest_seconds=self._longest_lag_seconds))
        async for event in self._close_until(min([begun, *unsure]), found):
            yield event

    def _expects(self, symbol: str, time: int) -> bool:
        """Return whether a symbol's candle is worth waiting for: one that pauses, though it is listed, is not."""
        return symbol in self._open_markets and (symbol not in self._pausing or self._streams.told_of(symbol, time))

    def _impossible(self, symbol: str, found: _Found, begun: int) -> list[SetAside]:
        """Return the candles before `begun` in whose place the exchange told something that cannot be true."""
        if symbol in self._unlisted:
            return []
        aside = self._set_aside.get(symbol, ())
        lacking = [
            time for time in range(self._next, begun, self._interval) if time not in found.bars and time not in aside
        ]
        rows = _rows_of(lacking, found.rejected, interval_seconds=self._interval)
        for time in lacking:
            if time not in rows and self._streams.told_of(symbol, time):
                rows[time] = Rejected(time, "", "is not to be had, though the stream told of it")
        return [SetAside(symbol, MarketTime(time), rows[time].digest, rows[time].reason) for time in sorted(rows)]

    async def _close_until(self, begun: int, found: Mapping[str, _Found]) -> AsyncIterator[Event]:
        rates = {
            symbol: by_candle(await self._funding(symbol, begun), interval_seconds=self._interval)
            for symbol in self._symbols
            if found[symbol].bars
        }
        for symbol in self._symbols:
            self._note_gap(symbol, [time for time in found[symbol].bars if time < begun])
            # Said before the step that goes on without them: after a crash between the two they stay set aside.
            for impossible in self._impossible(symbol, found[symbol], begun):
                yield impossible
        for time in range(self._next, begun, self._interval):
            bars = {
                symbol: found[symbol].bars[time]._replace(funding=rates[symbol].get(time, 0.0))
                for symbol in self._symbols
                if time in found[symbol].bars
            }
            self._next = time + self._interval
            self._pausing = set(self._symbols) - set(bars)
            if bars:
                yield Step(MarketTime(time), bars)
        self._next = max(self._next, begun)
        self._streams.forget(self._next)
        self._clock.begun(MarketTime(self._next), self._interval)
        for symbol in self._symbols:
            forming = found[symbol].bars.get(self._next)
            if forming is not None:
                if forming.time > self._opened[symbol]:
                    self._opened[symbol] = forming.time
                    yield Opened(symbol, MarketTime(forming.time), forming.open)
                yield Marked(symbol, forming.close)

    def _note_gap(self, symbol: str, closed: list[int]) -> None:
        missed = [time for time in closed if not self._streams.told_of(symbol, time)]
        if closed and not missed:
            self._deaf[symbol] = 0
        if not missed:
            return
        self._deaf[symbol] += int(self._connected)
        self._exporter.gap_repaired(symbol, self._timeframe)
        logger.info("{}: REST repaired what the stream left out: {} from {} on", symbol, len(missed), iso(missed[0]))

    async def _recover(self, reason: str) -> AsyncIterator[Event]:
        """Catch up by REST after the stream failed, and hang up so that it connects again."""
        self._exporter.connection(connected=False, reason=reason)
        self._connected = False
        self._deaf = dict.fromkeys(self._symbols, 0)
        try:
            await self._streams.hang_up()
            yield await self._look_at_markets(patiently=False)
        except ccxt.BaseError:  # the exporter has logged it
            await self._wait_after_failure()
            return
        async for event in self._catch_up():
            yield event

    async def _look_at_markets(self, *, patiently: bool = True) -> MarketsOpen:
        def ask() -> Awaitable[frozenset[str]]:
            return self._exchange.open_markets(self._symbols)

        self._open_markets = await (self._insist(ask) if patiently else ask())
        self._unlisted = self._exchange.unlisted(self._symbols)
        return MarketsOpen(self._open_markets, self._unlisted)

    async def _times(self) -> tuple[int, int]:
        """Return the opens of the candles that go on by the earlier and by the later of the two clocks."""
        earlier, later = self._clock.observe(await self._insist(self._exchange.now))
        return self._open_at(earlier), self._open_at(later)

    def _open_at(self, moment: MarketTime) -> int:
        return moment.whole_seconds // self._interval * self._interval

    async def _fetch(self, symbol: str, stop: int) -> _Found:
        """Return what the exchange tells of a symbol from the present step on; the newest candle may be forming."""
        start = self._next
        if symbol in self._unlisted:
            return _Found({}, ())

        async def ask() -> Told:
            try:
                return await self._exchange.told(
                    symbol, self._timeframe, start=start, stop=stop, interval_seconds=self._interval, latest=stop
                )
            except ccxt.BadSymbol:
                # One that is delisted has no more candles, and the others must not wait for them for ever.
                if await self._exchange.open_markets([symbol]):
                    raise
                return Told((), ())

        told = await self._insist(ask)
        aside = self._set_aside.get(symbol, ())
        return _Found({bar.time: bar for bar in told.bars if bar.time not in aside}, told.rejected)

    async def _funding(self, symbol: str, stop: int) -> dict[int, float]:
        start = self._next
        return await self._insist(lambda: funding_rates(self._exchange, self._costs, symbol, start=start, stop=stop))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns, tried again for as long as the exchange does not answer."""
        while True:
            try:
                return await call()
            except ccxt.BaseError:  # the exporter has logged it
                await self._wait_after_failure()

    def _note_connection(self) -> None:
        self._failures = 0
        if not self._connected:
            self._exporter.connection(connected=True)
            self._connected = True

    async def _wait_after_failure(self) -> None:
        wait = _wait_seconds(self._failures, longest_seconds=self._longest_wait_seconds)
        self._failures += 1
        await asyncio.sleep(wait)


def _rows_of(lacking: Sequence[int], rejected: Sequence[Rejected], *, interval_seconds: int) -> dict[int, Rejected]:
    """Return which of the candles that lack was told of as which row, as far as that can be known.

    A row whose time is wrong is one of those that lack. In a stretch of more of them than there are such rows, as where
    a market pauses, it lies at one end: all that it may be count as it.
    """
    rows = {row.time: row for row in rejected if row.time is not None and row.time in lacking}
    misplaced = [row for row in rejected if row.time is None]
    if not misplaced:
        return rows
    stray = misplaced[-1]._replace(reason=f"is not told of, and another row {misplaced[-1].reason}")
    stretch: list[int] = []
    for time in [*lacking, None]:
        if stretch and (time is None or time in rows or time != stretch[-1] + interval_seconds):
            ends = {*stretch[: len(misplaced)], *stretch[-len(misplaced) :]}
            rows.update(dict.fromkeys(ends, stray))
            stretch = []
        if time is not None and time not in rows:
            stretch.append(time)
    return rows


def _wait_seconds(failures: int, *, longest_seconds: float) -> float:
    return backoff_seconds(
        failures, first_seconds=FIRST_WAIT_SECONDS, longest_seconds=longest_seconds, jitter=random.random
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:160]}"
