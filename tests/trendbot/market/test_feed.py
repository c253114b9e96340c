"""The feed against an exchange that follows a script: each step comes once, in order, and as REST has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime
from nightdesk_trendbot.market import feed
from nightdesk_trendbot.market.events import Marked, MarketsOpen, Opened, Step
from nightdesk_trendbot.signals.candles import Bar

from tests.trendbot.script import (
    OTHER,
    SYMBOL,
    Script,
    closed,
    exporter,
    follow,
    partial,
    truth,
    wrong,
)


async def test_a_candle_is_closed_once_the_next_has_begun() -> None:
    script = Script([(0, [partial(0)]), (1, [truth(0), partial(1)]), (1, [partial(1)]), (2, [truth(1), partial(2)])])
    events = await follow(script)
    opened = {hour: Opened(SYMBOL, MarketTime(truth(hour).time), truth(hour).open) for hour in range(3)}
    marks = {hour: Marked(SYMBOL, partial(hour).close) for hour in range(3)}
    assert events == [
        opened[0],
        marks[0],
        Marked(SYMBOL, truth(0).close),
        Step(MarketTime(truth(0).time), {SYMBOL: truth(0)}),
        opened[1],
        marks[1],
        marks[1],
        marks[1],
        Marked(SYMBOL, truth(1).close),
        Step(MarketTime(truth(1).time), {SYMBOL: truth(1)}),
        opened[2],
        marks[2],
        marks[2],
    ]
    assert script.asked == [(SYMBOL, 0), (SYMBOL, 1)]


@pytest.mark.parametrize(
    "said",
    [
        [[partial(1)]],
        [[wrong(0), partial(1)]],
        [[partial(1)], [truth(0), partial(1)]],
        [[partial(1)], [wrong(0), partial(1)]],
        [[partial(1)], [partial(0)], [partial(1)]],
    ],
    ids=["nothing", "something wrong", "the truth too late", "something wrong too late", "something old again"],
)
async def test_whatever_the_stream_says_a_candle_ended_as_rest_is_believed(said: list[list[Bar]]) -> None:
    script = Script([(0, [partial(0)]), *((1, bars) for bars in said), (2, [truth(1), partial(2)])])
    assert closed(await follow(script)) == [truth(0), truth(1)]


async def test_a_candle_from_the_far_future_is_not_believed() -> None:
    script = Script([(0, [partial(0)]), (0, [partial(5)]), (0, [partial(500_000)]), (1, [truth(0), partial(1)])])
    assert closed(await follow(script)) == [truth(0)]


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
    assert script.asked == [(SYMBOL, 0), (SYMBOL, 4)]
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
    assert events[2] == MarketsOpen(frozenset({SYMBOL}))
    assert script.hung_up == 1
    assert told.snapshot.connected is True
    assert told.snapshot.counters["websocket_reconnects",] == 1


async def test_a_silent_stream_is_hung_up_and_candles_go_on_by_rest() -> None:
    told = exporter()
    script = Script([(0, [partial(0)]), (1, None), (2, None)])
    events = await follow(script, told)
    assert closed(events) == [truth(0), truth(1)]
    assert [event.time.seconds for event in events if isinstance(event, Opened)] == [
        truth(hour).time for hour in range(3)
    ]
    assert script.hung_up == 2
    assert told.snapshot.connected is False
    assert told.snapshot.counters["websocket_reconnects",] == 0


@pytest.mark.parametrize("clock_hours", [-30.0, 0.0, 30.0])
async def test_no_clock_that_is_off_closes_a_candle_that_goes_on_or_keeps_one_open(clock_hours: float) -> None:
    script = Script([(0, [partial(0)]), (1, None), (3, None)], exchange_clock_hours=clock_hours)
    assert closed(await follow(script)) == [truth(0), truth(1), truth(2)]


async def test_where_no_next_candle_comes_the_last_one_is_over_once_both_clocks_say_so() -> None:
    script = Script([(0, [partial(0)]), (1, None)], lacking=frozenset({1}))
    assert closed(await follow(script)) == [truth(0)]


async def test_a_step_holds_every_symbol_and_one_that_is_silent_is_asked_for_by_rest() -> None:
    script = Script([(0, [partial(0)]), (1, [truth(0), partial(1)]), (2, [partial(2)])], symbols=(SYMBOL, OTHER))
    events = await follow(script)
    steps = [event for event in events if isinstance(event, Step)]
    assert steps == [Step(MarketTime(truth(hour).time), {SYMBOL: truth(hour), OTHER: truth(hour)}) for hour in (0, 1)]
    assert Opened(OTHER, MarketTime(truth(1).time), truth(1).open) in events


async def test_a_symbol_whose_market_is_closed_does_not_hold_up_the_others() -> None:
    script = Script(
        [(0, [partial(0)]), (1, [truth(0), partial(1)]), (2, [partial(2)])],
        symbols=(SYMBOL, OTHER),
        closed=frozenset({OTHER}),
    )
    events = await follow(script)
    assert closed(events) == [truth(0), truth(1)]
    assert closed(events, OTHER) == []
    assert MarketsOpen(frozenset({SYMBOL})) in events


async def test_a_symbol_that_pauses_though_it_is_listed_is_waited_for_at_first_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[int] = []

    def no_wait(failures: int, **_: Any) -> float:
        waits.append(failures)
        return 0.0

    monkeypatch.setattr(feed, "backoff_seconds", no_wait)
    steps: list[tuple[int, list[Bar] | Exception | None]] = [(hour, [partial(hour)]) for hour in range(10)]
    script = Script(steps, symbols=(SYMBOL, OTHER), paused={OTHER: range(1, 7)})
    events = await follow(script)
    assert closed(events) == [truth(hour) for hour in range(9)]
    assert closed(events, OTHER) == [truth(hour) for hour in (0, 7, 8)]
    # Once where its next candle did not come, and once where there was none of a whole hour.
    assert waits == [0, 1, 2, 3, 0, 1, 2, 3]


async def test_a_stream_that_leaves_out_candle_after_candle_is_connected_again() -> None:
    hours = [(hour, [partial(hour)]) for hour in range(5)]
    script = Script([*hours], symbols=(SYMBOL, OTHER))
    events = await follow(script)
    assert closed(events, OTHER) == [truth(hour) for hour in range(4)]
    assert script.hung_up == 1


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
    assert script.asked == [(SYMBOL, 0), (SYMBOL, 3)]


@pytest.mark.parametrize("error", [ccxt.ExchangeError("retCode 10016"), ccxt.BadSymbol("under maintenance")])
async def test_whatever_the_exchange_answers_the_feed_goes_on(error: Exception) -> None:
    script = Script([(0, [partial(0)]), (1, error), (1, [partial(1)]), (2, [truth(1), partial(2)])])
    assert closed(await follow(script)) == [truth(0), truth(1)]


async def test_an_error_that_is_not_the_exchange_s_ends_the_feed() -> None:
    with pytest.raises(ZeroDivisionError):
        await follow(Script([(0, ZeroDivisionError())]))


Action = Callable[["Market"], None]


class Market:
    """Writes a script: what a stream says, truly or not, while hours pass and connections break."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, list[Bar] | Exception | None]] = [(0, [partial(0)])]
        self.hour = 0

    def says(self, *bars: Bar) -> None:
        self.steps.append((self.hour, list(bars)))

    def before(self) -> int:
        return max(0, self.hour - 1)

    def update(self) -> None:
        self.says(partial(self.hour))

    def repeat(self) -> None:
        self.says(truth(self.before()), partial(self.hour))

    def old(self) -> None:
        self.says(partial(self.before()))

    def wrong_too_late(self) -> None:
        self.says(wrong(self.before()))

    def impossible(self) -> None:
        self.says(partial(self.hour + 7))

    def askew(self) -> None:
        self.says(partial(self.hour)._replace(time=partial(self.hour).time + 1))

    def next_hour(self) -> None:
        self.hour += 1
        self.says(truth(self.hour - 1), partial(self.hour))

    def next_hour_after_a_wrong_word(self) -> None:
        self.hour += 1
        self.says(wrong(self.hour - 1), partial(self.hour))

    def next_hour_unannounced(self) -> None:
        self.hour += 1
        self.says(partial(self.hour))

    def gap(self) -> None:
        self.hour += 3
        self.says(partial(self.hour))

    def broken(self) -> None:
        self.steps.append((self.hour, ccxt.NetworkError("gone")))
        self.says(partial(self.hour))

    def broken_for_hours(self) -> None:
        self.hour += 2
        self.steps.append((self.hour, ccxt.ExchangeNotAvailable("gone")))
        self.hour += 1
        self.says(partial(self.hour))

    def unreadable(self) -> None:
        self.steps.append((self.hour, ccxt.BadResponse("a candle came without all of its numbers")))

    def silent(self) -> None:
        self.hour += 1
        self.steps.append((self.hour, None))
        self.says(partial(self.hour))


ACTIONS: list[Action] = [value for name, value in vars(Market).items() if not name.startswith("_")]
ACTIONS = [action for action in ACTIONS if action not in (Market.says, Market.before)]


@settings(max_examples=120, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=25),
    rest_failures=st.integers(0, 6),
    lagging=st.integers(0, 3),
    clock_hours=st.sampled_from([-30.0, -0.4, 0.0, 0.4, 30.0]),
    second=st.sampled_from(["none", "open", "closed"]),
)
def test_through_any_sequence_of_faults_every_step_comes_once_in_order_and_true(
    actions: list[Action], rest_failures: int, lagging: int, clock_hours: float, second: str
) -> None:
    market = Market()
    for action in actions:
        action(market)
    market.next_hour()
    script = Script(
        market.steps,
        symbols=(SYMBOL,) if second == "none" else (SYMBOL, OTHER),
        rest_failures=rest_failures,
        lagging=lagging,
        closed=frozenset({OTHER} if second == "closed" else ()),
        exchange_clock_hours=clock_hours,
    )
    events = asyncio.run(follow(script))
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.time.seconds for step in steps] == [truth(hour).time for hour in range(market.hour)]
    assert closed(events) == [truth(hour) for hour in range(market.hour)]
    if second == "open":
        assert closed(events, OTHER) == closed(events)
    # A stream that connects again tells of the candle that goes on once more: it has opened once all the same.
    opened = [event.time.seconds for event in events if isinstance(event, Opened) and event.symbol == SYMBOL]
    assert opened == sorted(set(opened))
