"""The streams as one queue: stopping it, and being stopped, at any moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nightdesk_trendbot.market.stream import News, Streams
from nightdesk_trendbot.signals.candles import Bar

from tests.trendbot.conftest import FIRST_HOUR, HOUR

SYMBOL = "BTC/USDT:USDT"


def bar(hour: int) -> Bar:
    return Bar(FIRST_HOUR + hour * HOUR, 1.0, 1.0, 1.0, 1.0, 1.0)


class Slow:
    """An exchange whose streams never say anything, and take their time to close."""

    async def watch(self, _symbol: str, _timeframe: str) -> list[Bar]:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
        return []


def streams_of(exchange: Any) -> Streams:
    return Streams(exchange, [SYMBOL], "1h")


async def listening(streams: Streams) -> asyncio.Task[News]:
    """Return a task that waits for news, with its streams open."""
    waiting = asyncio.create_task(streams.news(patience_seconds=10))
    await asyncio.sleep(0.01)
    return waiting


async def test_who_is_cancelled_while_the_streams_close_is_cancelled() -> None:
    """A SIGTERM at that moment is not to be lost."""
    streams = streams_of(Slow())
    waiting = await listening(streams)
    waiting.cancel()
    stopping = asyncio.create_task(streams.stop())
    await asyncio.sleep(0.01)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


@pytest.mark.parametrize("rounds", range(5))
async def test_who_is_cancelled_as_news_arrive_is_cancelled(rounds: int) -> None:
    streams = streams_of(Slow())
    waiting = await listening(streams)
    streams._queue.put_nowait((SYMBOL, [bar(0)]))
    for _ in range(rounds):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert waiting.result() == (SYMBOL, [bar(0)])
    await streams.stop()


async def test_silence_is_a_timeout_and_what_is_said_later_is_heard() -> None:
    streams = streams_of(Slow())
    with pytest.raises(TimeoutError):
        await streams.news(patience_seconds=0.01)
    streams._queue.put_nowait((SYMBOL, [bar(0)]))
    assert await streams.news(patience_seconds=1) == (SYMBOL, [bar(0)])
    await streams.stop()


class Talking:
    """An exchange that tells of one hour after the other, as fast as it is asked, and then breaks."""

    def __init__(self, hours: int) -> None:
        self.hours = iter(range(hours))
        self.hung_up = 0

    async def watch(self, _symbol: str, _timeframe: str) -> list[Bar]:
        hour = next(self.hours, None)
        if hour is None:
            raise ConnectionError
        return [bar(hour)]

    async def hang_up(self) -> None:
        self.hung_up += 1


async def test_what_was_told_is_known_before_it_is_asked_for_and_forgotten_when_it_is_over() -> None:
    exchange = Talking(3)
    streams = streams_of(exchange)
    assert await streams.news(patience_seconds=1) == (SYMBOL, [bar(0)])
    assert all(streams.told_of(SYMBOL, bar(hour).time) for hour in range(3))
    assert not streams.told_of(SYMBOL, bar(3).time)
    streams.forget(bar(2).time)
    assert [streams.told_of(SYMBOL, bar(hour).time) for hour in range(3)] == [False, False, True]
    await streams.hang_up()
    assert exchange.hung_up == 1
    # What was said before it was hung up is not told after it.
    with pytest.raises(ConnectionError):
        await streams.news(patience_seconds=1)
    await streams.stop()
