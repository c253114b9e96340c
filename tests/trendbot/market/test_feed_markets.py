"""The feed where markets close, open again and are delisted: the other symbols' steps go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import ccxt
import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_trendbot.market import rows
from nightdesk_trendbot.market.events import MarketsOpen, SetAside, Step
from nightdesk_trendbot.signals.candles import Bar

from tests.trendbot.script import OTHER, SYMBOL, Script, closed, follow, partial, truth


@dataclass
class Told(Script):
    """The stream tells of the last symbol instead of the first."""

    async def watch(self, symbol: str, timeframe: str) -> list[Bar]:
        first, last = self.symbols
        return await super().watch(first if symbol == last else last, timeframe)


@pytest.mark.parametrize("clock_hours", [-30.0, -0.6, 0.0, 30.0])
async def test_a_closed_market_that_is_asked_first_holds_up_nobody_whatever_the_clock_says(clock_hours: float) -> None:
    script = Told(
        [(0, [partial(0)]), (1, [partial(1)]), (2, [partial(2)])],
        symbols=(OTHER, SYMBOL),
        closed=frozenset({OTHER}),
        exchange_clock_hours=clock_hours,
    )
    assert closed(await follow(script)) == [truth(0), truth(1)]


@dataclass
class Reopening(Script):
    """The second market is closed until an hour, and has no candle before it."""

    opens_at: int = 2

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        found = await super().bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)
        return [bar for bar in found if symbol == SYMBOL or bar.time >= truth(self.opens_at).time]

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbol for symbol in symbols if symbol == SYMBOL or self.hour >= self.opens_at)


async def test_a_market_that_opens_again_is_told_of() -> None:
    script = Reopening([(hour, [partial(hour)]) for hour in range(5)], symbols=(SYMBOL, OTHER))
    events = await follow(script)
    told = [event.symbols for event in events if isinstance(event, MarketsOpen)]
    assert told[0] == {SYMBOL}
    assert told[-1] == {SYMBOL, OTHER}
    assert closed(events, OTHER) == [truth(2), truth(3)]


@dataclass
class Delisted(Script):
    """The second symbol is no longer there at all: ccxt says so to whatever it is asked of it."""

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        if symbol == OTHER:
            if not self.rest_failures:
                raise ccxt.BadSymbol(f"bybit does not have market symbol {symbol}")
            self._answer()
        return await super().bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)


async def test_a_symbol_that_is_delisted_does_not_stop_the_others() -> None:
    script = Delisted(
        [(hour, [partial(hour)]) for hour in range(3)],
        symbols=(SYMBOL, OTHER),
        closed=frozenset({OTHER}),
        rest_failures=3,
    )
    events = await asyncio.wait_for(follow(script), 5)
    assert [event for event in events if isinstance(event, Step)] == [
        Step(MarketTime(truth(hour).time), {SYMBOL: truth(hour)}) for hour in (0, 1)
    ]


async def test_a_symbol_that_is_listed_is_insisted_on_whatever_its_candles_answer() -> None:
    """Better no step than one without a candle that there is."""
    script = Delisted([(hour, [partial(hour)]) for hour in range(3)], symbols=(SYMBOL, OTHER))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follow(script), 0.3)


@dataclass
class Late(Reopening):
    """REST is late by one look, once the second market has opened again: it has its candle only as it was forming."""

    late: int = 1

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        if symbol == OTHER and self.hour == self.opens_at + 1 and self.late:
            self.late -= 1
            return [partial(self.opens_at)]
        return await super().bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)


@dataclass
class Closing(Script):
    """The second market closes with an hour, and REST is late by one look with its last candle."""

    closes_at: int = 2
    late: int = 1

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        found = await super().bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)
        if symbol == SYMBOL:
            return found
        if self.hour == self.closes_at and self.late:
            self.late -= 1
            return [partial(self.closes_at - 1)]
        return [bar for bar in found if bar.time < truth(self.closes_at).time]

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbol for symbol in symbols if symbol == SYMBOL or self.hour < self.closes_at)


async def test_the_last_candle_before_a_market_closes_is_waited_for_until_it_is_over() -> None:
    script = Closing([(hour, [partial(hour)]) for hour in range(5)], symbols=(SYMBOL, OTHER))
    events = await follow(script)
    assert closed(events, OTHER) == [truth(0), truth(1)]
    assert closed(events) == [truth(hour) for hour in range(4)]
    assert script.late == 0


async def test_the_first_candle_after_a_pause_is_waited_for_until_it_is_over() -> None:
    script = Late([(hour, [partial(hour)]) for hour in range(5)], symbols=(SYMBOL, OTHER))
    assert closed(await follow(script), OTHER) == [truth(2), truth(3)]
    assert script.late == 0


@dataclass
class Relisted(Script):
    """The second symbol is not listed for some hours: its market is there again, with a candle, from an hour on."""

    listed_at: int = 3
    known: bool = False

    def unlisted(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset() if self.known else frozenset(symbols) & {OTHER}

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        self.known = self.hour >= self.listed_at
        return frozenset(symbols) - self.unlisted(symbols)

    async def bars(self, symbol: str, timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        found = await super().bars(symbol, timeframe, start=start, stop=stop, interval_seconds=interval_seconds)
        first = truth(self.listed_at - 1).time
        return found if symbol == SYMBOL else [bar for bar in found if bar.time >= first]


async def test_a_symbol_that_is_listed_again_misses_no_candle_that_the_exchange_has_by_then() -> None:
    script = Relisted([(hour, [partial(hour)]) for hour in range(6)], symbols=(SYMBOL, OTHER))
    events = await asyncio.wait_for(follow(script), 5)
    assert closed(events) == [truth(hour) for hour in range(5)]
    assert closed(events, OTHER) == [truth(hour) for hour in (2, 3, 4)]


@dataclass
class Unpriced(Script):
    """The second symbol's candle that is going on has no price yet, as before the first trade of a quiet hour."""

    def spoilt(self, symbol: str, found: list[Bar]) -> rows.Told:
        if symbol == SYMBOL or not found or found[-1] != partial(self.hour):
            return super().spoilt(symbol, found)
        unpriced = rows.Rejected(found[-1].time, "digest", "holds a price that is not positive")
        return rows.Told(tuple(found[:-1]), (unpriced,))


async def test_a_candle_that_is_going_on_without_a_price_says_nothing_of_an_hour_without_trades() -> None:
    script = Unpriced(
        [(hour, [partial(hour)]) for hour in range(6)],
        symbols=(SYMBOL, OTHER),
        paused={OTHER: range(2, 4)},
    )
    events = await asyncio.wait_for(follow(script), 5)
    assert closed(events) == [truth(hour) for hour in range(5)]
    assert closed(events, OTHER) == [truth(hour) for hour in (0, 1, 4)]
    assert [event for event in events if isinstance(event, SetAside)] == []
