"""An exchange that follows a script, and what a feed makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ccxt
from nightdesk_core.clock import MarketTime, TimeScale, WallTime
from nightdesk_exporter import BotExporter
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.events import Event, Step
from nightdesk_trendbot.market.exchange import Exchange
from nightdesk_trendbot.market.feed import Feed
from nightdesk_trendbot.market.rows import Told
from nightdesk_trendbot.settings import CostSettings
from nightdesk_trendbot.signals.candles import Bar

from tests.trendbot.conftest import FIRST_HOUR, HOUR

SYMBOL = "BTC/USDT:USDT"


OTHER = "EUR/USDT:USDT"


class ScriptOverError(Exception):
    """The script has no more steps."""


def truth(hour: int) -> Bar:
    """Return the candle that an hour ended as."""
    price = 1000.0 + hour
    return Bar(FIRST_HOUR + hour * HOUR, price, price + 2, price - 2, price + 1, 50.0 + hour)


def partial(hour: int) -> Bar:
    """Return what a stream says of an hour that is still going on."""
    return truth(hour)._replace(high=1000.5 + hour, close=1000.2 + hour, volume=3.0)


def wrong(hour: int) -> Bar:
    """Return what a stream falsely says that an hour ended as."""
    return truth(hour)._replace(high=9999.0)


@dataclass
class Script:
    """An exchange. Each step moves the clock to an hour and then sends bars, breaks or says nothing."""

    steps: list[tuple[int, list[Bar] | Exception | None]]
    symbols: tuple[str, ...] = (SYMBOL,)
    """The stream tells of the first; the others are known by REST alone."""
    rest_failures: int = 0
    lacking: frozenset[int] = frozenset()
    """Hours that the exchange has no candle of."""
    lagging: int = 0
    """How often REST does not yet know that an hour has ended."""
    closed: frozenset[str] = frozenset()
    """Symbols whose market is closed: they have no candle at all."""
    paused: Mapping[str, range] = field(default_factory=dict)
    """Hours of which the exchange has no candle of a symbol, though it lists it as tradable."""
    exchange_clock_hours: float = 0.0
    """How far the exchange's clock is off."""
    hour: int = 0
    hung_up: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    idle: Callable[[], bool] = lambda: True

    async def watch(self, symbol: str, timeframe: str) -> list[Bar]:
        assert timeframe == "1h"
        if symbol != self.symbols[0]:
            await asyncio.Event().wait()
        while not self.idle():
            await asyncio.sleep(0)
        if not self.steps:
            raise ScriptOverError
        self.hour, what = self.steps.pop(0)
        if what is None:
            await asyncio.Event().wait()
        if isinstance(what, Exception):
            raise what
        assert what is not None
        return what

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        assert (timeframe, interval_seconds) == ("1h", HOUR)
        self._answer()
        first = (start - FIRST_HOUR) // HOUR
        self.asked.append((symbol, first))
        if symbol in self.closed:
            return []
        present = self.hour
        if self.lagging:
            self.lagging -= 1
            present -= 1
        without = {*self.lacking, *self.paused.get(symbol, ())}
        hours = range(first, min((stop - FIRST_HOUR) // HOUR, present + 1))
        return [truth(hour) if hour < present else partial(hour) for hour in hours if hour not in without]

    async def told(
        self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int, latest: int
    ) -> Told:
        assert latest == stop
        found = await self.bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)
        return self.spoilt(symbol, found)

    def spoilt(self, _symbol: str, found: list[Bar]) -> Told:
        """Return what the exchange makes of a symbol's candles: the truth, where nothing is wrong."""
        return Told(tuple(found), ())

    def unlisted(self, _symbols: Sequence[str]) -> frozenset[str]:
        return frozenset()

    async def now(self) -> MarketTime:
        self._answer()
        return MarketTime(self.time().seconds) + self.exchange_clock_hours * HOUR

    def time(self) -> WallTime:
        return WallTime(FIRST_HOUR + self.hour * HOUR + 1800.0)

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        self._answer()
        return frozenset(symbols) - self.closed

    async def hang_up(self) -> None:
        self.hung_up += 1

    def _answer(self) -> None:
        if self.rest_failures:
            self.rest_failures -= 1
            raise ccxt.RequestTimeout("no answer")


def exporter() -> BotExporter:
    return BotExporter("btc", symbols=[(SYMBOL, "1h")], port=0)


async def follow(script: Script, told: BotExporter | None = None, *, after: int = -1) -> list[Event]:
    """Return what the feed says until the script ends; `after` is the last hour that is known."""
    exchange: Any = script
    as_exchange: Exchange = exchange
    followed = Feed(
        as_exchange,
        told or exporter(),
        symbols=script.symbols,
        timeframe="1h",
        interval_seconds=HOUR,
        costs=CostSettings(funding="fixed", funding_ratio=0.0),
        clock=MarketClock(TimeScale(), script.time),
        after=MarketTime(FIRST_HOUR + after * HOUR),
        silence_seconds=0.01,
        longest_wait_seconds=0.0,
        longest_lag_seconds=0.0,
    )
    # The next thing happens once the feed has dealt with the last one.
    script.idle = lambda: bool(followed._streams._queue._getters)  # type: ignore[attr-defined]
    found: list[Event] = []
    try:
        async for event in followed.events():
            found.append(event)
    except ScriptOverError:
        return found
    raise AssertionError("the feed never ends")


def closed(events: list[Event], symbol: str = SYMBOL) -> list[Bar]:
    """Return the candles of a symbol that were closed."""
    return [event.bars[symbol] for event in events if isinstance(event, Step) and symbol in event.bars]
