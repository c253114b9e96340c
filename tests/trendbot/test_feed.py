"""The feed against an exchange that follows a script: each candle is closed once, in order, and as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_exporter import BotExporter
from nightdesk_trendbot.candles import Bar
from nightdesk_trendbot.exchange import Exchange
from nightdesk_trendbot.feed import Closed, Event, Feed, Marked, MarketOpen, Opened

from tests.trendbot.conftest import FIRST_HOUR, HOUR

SYMBOL = "BTC/USDT:USDT"


class ScriptOverError(Exception):
    """The script has no more steps."""


def truth(hour: int) -> Bar:
    """Return the candle that an hour ended as."""
    price = 1000.0 + hour
    return Bar(FIRST_HOUR + hour * HOUR, price, price + 2, price - 2, price + 1, 50.0 + hour)


def partial(hour: int) -> Bar:
    """Return what a stream says of an hour that is still going on."""
    return truth(hour)._replace(high=1000.5 + hour, close=1000.2 + hour, volume=3.0)


@dataclass
class Script:
    """An exchange. Each step moves the clock to an hour and then sends bars, breaks or says nothing."""

    steps: list[tuple[int, list[Bar] | Exception | None]]
    rest_failures: int = 0
    lacking: frozenset[int] = frozenset()
    """Hours that the exchange has no candle of."""
    lagging: int = 0
    """How often REST does not yet have the hour that closed last."""
    is_open: bool = True
    hour: int = 0
    hung_up: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def watch(self, symbol: str, timeframe: str) -> list[Bar]:
        assert (symbol, timeframe) == (SYMBOL, "1h")
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
        assert (symbol, timeframe, interval_seconds) == (SYMBOL, "1h", HOUR)
        self._answer()
        hours = range((start - FIRST_HOUR) // HOUR, (stop - FIRST_HOUR) // HOUR)
        assert all(hour < self.hour for hour in hours), "a candle was asked for that is not over"
        self.asked.append((hours.start, hours.stop))
        if self.lagging:
            self.lagging -= 1
            hours = hours[:-1]
        return [truth(hour) for hour in hours if hour not in self.lacking]

    async def now(self) -> float:
        self._answer()
        return FIRST_HOUR + self.hour * HOUR + 1800.0

    async def market_is_open(self, symbol: str) -> bool:
        assert symbol == SYMBOL
        self._answer()
        return self.is_open

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
    feed = Feed(
        as_exchange,
        told or exporter(),
        symbol=SYMBOL,
        timeframe="1h",
        interval_seconds=HOUR,
        after=FIRST_HOUR + after * HOUR,
        silence_seconds=0.01,
        longest_wait_seconds=0.0,
    )
    found: list[Event] = []
    try:
        async for event in feed.events():
            found.append(event)
    except ScriptOverError:
        return found
    raise AssertionError("the feed never ends")


def closed(events: list[Event]) -> list[Bar]:
    return [event.bar for event in events if isinstance(event, Closed)]


async def test_a_candle_is_closed_once_the_next_has_begun() -> None:
    script = Script([(0, [partial(0)]), (1, [truth(0), partial(1)]), (1, [partial(1)]), (2, [truth(1), partial(2)])])
    events = await follow(script)
    opened = {hour: Opened(truth(hour).time, truth(hour).open) for hour in range(3)}
    marks = {hour: Marked(partial(hour).close) for hour in range(3)}
    assert events == [
        opened[0],
        marks[0],
        Marked(truth(0).close),
        Closed(truth(0)),
        opened[1],
        marks[1],
        marks[1],
        Marked(truth(1).close),
        Closed(truth(1)),
        opened[2],
        marks[2],
    ]


async def test_only_what_this_connection_has_seen_from_its_open_is_taken_from_the_stream() -> None:
    """The candle that goes on when the stream connects is asked for by REST; the next one is not."""
    misheard = truth(0)._replace(high=9999.0)
    script = Script([(0, [misheard]), (1, [misheard, partial(1)]), (2, [truth(1), partial(2)])])
    assert closed(await follow(script)) == [truth(0), truth(1)]
    assert script.asked == [(0, 1)]


async def test_duplicates_and_late_messages_close_nothing_twice() -> None:
    script = Script(
        [
            (0, [partial(0)]),
            (1, [truth(0), partial(1)]),
            (1, [truth(0), partial(1), partial(1)]),
            (2, [truth(1), partial(2)]),
            (2, [truth(1), truth(0), partial(2)]),
        ]
    )
    assert closed(await follow(script)) == [truth(0), truth(1)]


async def test_a_gap_in_the_stream_is_filled_by_rest_and_counted() -> None:
    told = exporter()
    script = Script([(0, [partial(0)]), (4, [partial(4)]), (5, [truth(4), partial(5)])])
    assert closed(await follow(script, told)) == [truth(hour) for hour in range(5)]
    assert script.asked == [(0, 4)]
    assert told.snapshot.counters["candle_gaps", SYMBOL, "1h"] == 1


async def test_what_was_missed_before_the_start_is_caught_up_with() -> None:
    script = Script([(3, [partial(3)])])
    assert closed(await follow(script, after=-1)) == [truth(0), truth(1), truth(2)]
    script = Script([(3, [partial(3)])])
    assert closed(await follow(script, after=2)) == []


async def test_after_a_disconnect_it_catches_up_by_rest_and_counts_the_reconnect() -> None:
    told = exporter()
    script = Script([(0, [partial(0)]), (3, ccxt.NetworkError("gone")), (3, [partial(3)]), (4, [truth(3), partial(4)])])
    events = await follow(script, told)
    assert closed(events) == [truth(hour) for hour in range(4)]
    assert events[2] == MarketOpen(True)
    assert script.hung_up == 1
    assert told.snapshot.connected is True
    assert told.snapshot.counters["websocket_reconnects",] == 1


async def test_a_silent_stream_is_hung_up_and_candles_go_on_by_rest() -> None:
    told = exporter()
    script = Script([(0, [partial(0)]), (1, None), (2, None)], is_open=False)
    events = await follow(script, told)
    assert closed(events) == [truth(0), truth(1)]
    assert [event for event in events if isinstance(event, MarketOpen)] == [MarketOpen(False), MarketOpen(False)]
    assert script.hung_up == 2
    assert told.snapshot.connected is False
    assert told.snapshot.counters["websocket_reconnects",] == 0


@pytest.mark.parametrize("failures", [1, 2, 3, 7])
async def test_rest_that_does_not_answer_delays_candles_and_loses_none(failures: int) -> None:
    script = Script([(0, [partial(0)]), (2, ccxt.NetworkError("gone")), (3, [partial(3)])], rest_failures=failures)
    assert closed(await follow(script)) == [truth(0), truth(1), truth(2)]
    assert script.rest_failures == 0


async def test_a_candle_that_reaches_rest_late_is_waited_for() -> None:
    script = Script([(0, [partial(0)]), (2, ccxt.NetworkError("gone")), (3, [partial(3)])], lagging=2)
    assert closed(await follow(script)) == [truth(0), truth(1), truth(2)]
    assert script.lagging == 0


async def test_the_newest_hour_is_given_up_once_the_exchange_lacks_it_for_good() -> None:
    script = Script([(0, [partial(0)]), (2, [partial(2)]), (3, [truth(2), partial(3)])], lacking=frozenset({1}))
    assert closed(await follow(script)) == [truth(0), truth(2)]


async def test_an_hour_that_the_exchange_itself_lacks_is_passed_over() -> None:
    script = Script([(0, [partial(0)]), (3, [partial(3)]), (4, [truth(3), partial(4)])], lacking=frozenset({1}))
    assert closed(await follow(script)) == [truth(0), truth(2), truth(3)]
    assert script.asked == [(0, 3)]


@pytest.mark.parametrize("error", [ccxt.ExchangeError("retCode 10016"), ccxt.BadSymbol("under maintenance")])
async def test_whatever_the_exchange_answers_the_feed_goes_on(error: Exception) -> None:
    script = Script([(0, [partial(0)]), (1, error), (1, [partial(1)]), (2, [truth(1), partial(2)])])
    assert closed(await follow(script)) == [truth(0), truth(1)]


async def test_an_error_that_is_not_the_exchange_s_ends_the_feed() -> None:
    with pytest.raises(ZeroDivisionError):
        await follow(Script([(0, ZeroDivisionError())]))


Action = Callable[["Market"], None]


class Market:
    """Writes a script: what a stream says while hours pass and connections break."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, list[Bar] | Exception | None]] = [(0, [partial(0)])]
        self.hour = 0
        self.joined = 0
        """The hour in which the stream connected: what it says of it may be wrong."""

    def update(self) -> None:
        self.steps.append((self.hour, [partial(self.hour)]))

    def repeat(self) -> None:
        self.steps.append((self.hour, [truth(max(0, self.hour - 1)), partial(self.hour)]))

    def next_hour(self) -> None:
        final = truth(self.hour)
        ended = final._replace(high=9999.0) if self.hour == self.joined else final
        self.hour += 1
        self.steps.append((self.hour, [ended, partial(self.hour)]))

    def gap(self) -> None:
        self.hour += 3
        self.steps.append((self.hour, [partial(self.hour)]))

    def broken(self) -> None:
        self.steps.append((self.hour, ccxt.NetworkError("gone")))
        self._joins(0)

    def broken_for_hours(self) -> None:
        self.hour += 2
        self.steps.append((self.hour, ccxt.ExchangeNotAvailable("gone")))
        self._joins(1)

    def silent(self) -> None:
        self.hour += 1
        self.steps.append((self.hour, None))
        self._joins(0)

    def _joins(self, hours_later: int) -> None:
        self.hour += hours_later
        self.joined = self.hour
        self.steps.append((self.hour, [partial(self.hour)]))


ACTIONS: list[Action] = [
    Market.update,
    Market.repeat,
    Market.next_hour,
    Market.next_hour,
    Market.gap,
    Market.broken,
    Market.broken_for_hours,
    Market.silent,
]


@settings(max_examples=80, deadline=None)
@given(actions=st.lists(st.sampled_from(ACTIONS), max_size=25), rest_failures=st.integers(0, 6))
def test_through_duplicates_gaps_disconnects_and_silence_every_candle_is_closed_once_in_order_and_true(
    actions: list[Action], rest_failures: int
) -> None:
    market = Market()
    for action in actions:
        action(market)
    events = asyncio.run(follow(Script(market.steps, rest_failures=rest_failures)))
    assert closed(events) == [truth(hour) for hour in range(market.hour)]
    # A stream that connects again tells of the candle that goes on once more: the engine acts on an open once.
    opened = [event.time for event in events if isinstance(event, Opened)]
    assert opened == sorted(opened)
    last_closed = FIRST_HOUR - HOUR
    for event in events:
        if isinstance(event, Closed):
            last_closed = event.bar.time
        if isinstance(event, Opened):
            assert event.time == last_closed + HOUR
