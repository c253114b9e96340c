"""Candles of several hours: what they are made of, and that they tell nothing of the future either."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.bybit.words import INTERVAL_SECONDS
from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles

from tests.sandbox.conftest import (
    FIRST_HOUR,
    WAIT_SECONDS,
    Connect,
    ProClient,
    RestClient,
    ServeExchange,
    Subscriber,
    make_candles,
    write_csv,
)

HOURS = 40
CANDLES = make_candles(HOURS, missing=(7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29))
INTERVALS = [7200, 14_400, 21_600, 43_200, 86_400]
SYMBOL = "BTC/USDT:USDT"


@dataclass
class Clock:
    """The market's time, set by hand."""

    now: float = float(FIRST_HOUR)

    def __call__(self) -> float:
        return self.now


def by_hand(candles: RecordedCandles, interval: int, *, until: float) -> list[tuple[float, ...]]:
    """Return the candles of an interval that have closed by `until`, made in the most obvious way."""
    made = []
    for opened in sorted({int(time) // interval * interval for time in candles.time}):
        rows = np.flatnonzero(candles.time // interval * interval == opened)
        if opened + interval <= until:
            values = (
                candles.open[rows[0]],
                candles.high[rows].max(),
                candles.low[rows].min(),
                candles.close[rows[-1]],
                round(float(candles.volume[rows].sum()), 6),
            )
            made.append((opened, *(float(value) for value in values)))
    return made


def values(candle: Candle) -> tuple[float, ...]:
    return (candle.time, candle.open, candle.high, candle.low, candle.close, round(candle.volume, 6))


@given(interval=st.sampled_from(INTERVALS), hours=st.floats(0, HOURS))
def test_what_has_closed_is_what_its_hours_make_up(interval: int, hours: float) -> None:
    clock = Clock(FIRST_HOUR + hours * 3600)
    aggregate = Aggregate(HourlyCandles(CANDLES, now=clock), interval)
    closed = [aggregate.candle(index) for index in range(aggregate.confirmed())]
    assert [values(candle) for candle in closed] == by_hand(CANDLES, interval, until=clock.now)
    assert all(candle.confirmed and candle.interval_seconds == interval for candle in closed)
    with pytest.raises(IndexError, match="has not closed yet"):
        aggregate.candle(len(closed))


@given(interval=st.sampled_from(INTERVALS), hours=st.floats(0, HOURS), shift=st.integers(1, 500))
def test_nothing_depends_on_hours_to_come(interval: int, hours: float, shift: int) -> None:
    clock = Clock(FIRST_HOUR + hours * 3600)
    later = CANDLES.time > clock.now
    shifted = {
        name: np.where(later, np.round(getattr(CANDLES, name) + shift, 2), getattr(CANDLES, name))
        for name in ("open", "high", "low", "close")
    }
    theirs = replace(CANDLES, **shifted)
    shown = []
    for candles in (CANDLES, theirs):
        aggregate = Aggregate(HourlyCandles(candles, now=clock), interval)
        shown.append(([aggregate.candle(index) for index in range(aggregate.confirmed())], aggregate.forming()))
    assert shown[0] == shown[1]


@given(interval=st.sampled_from(INTERVALS), moments=st.lists(st.floats(0, HOURS), min_size=2, max_size=8))
def test_a_forming_candle_grows_and_is_never_confirmed(interval: int, moments: list[float]) -> None:
    clock = Clock()
    aggregate = Aggregate(HourlyCandles(CANDLES, now=clock), interval)
    steps = []
    for hours in sorted(moments):
        clock.now = FIRST_HOUR + hours * 3600
        step = aggregate.forming()
        if step is not None:
            assert step.time <= clock.now < step.end
            assert not step.confirmed
            steps.append(step)
    for before, after in pairwise(steps):
        if before.time == after.time:
            assert before.open == after.open
            assert after.low <= before.low <= before.high <= after.high
            assert before.volume <= after.volume


async def confirmed_until(subscriber: Subscriber, topic: str, start: int) -> list[dict[str, Any]]:
    """Return the confirmed candles of a topic up to the one that begins at `start` (milliseconds)."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["start"] < start:
        message = await subscriber.receive()
        if message.get("topic") == topic and message["data"][0]["confirm"]:
            found.append(message["data"][0])
    return found


@pytest.mark.parametrize("interval", sorted(set(INTERVAL_SECONDS) - {"60"}))
async def test_the_stream_confirms_each_candle_once_with_the_values_that_rest_has(
    interval: str, serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    seconds = INTERVAL_SECONDS[interval]
    last = candles.end // seconds * seconds - seconds
    async with (
        serve(candles_per_second=100) as handle,
        http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket,
    ):
        subscriber = Subscriber(socket)
        await subscriber.ask(op="subscribe", args=[f"kline.{interval}.BTCUSDT"])
        found = await confirmed_until(subscriber, f"kline.{interval}.BTCUSDT", last * 1000)
        query = {"category": "linear", "symbol": "BTCUSDT", "interval": interval, "end": str(last * 1000)}
        async with http.get(f"{handle.url}/v5/market/kline", params=query) as answer:
            rows = (await answer.json())["result"]["list"][::-1]
    words = [
        [str(data["start"]), *(data[name] for name in ("open", "high", "low", "close", "volume"))] for data in found
    ]
    assert words == [row[:6] for row in rows][-len(words) :]
    held_at = FIRST_HOUR + 72 * 3600
    assert [int(row[0]) for row in words] == [
        time * 1000 for time in range(held_at // seconds * seconds, last + 1, seconds)
    ]


async def test_a_candle_whose_last_hours_are_missing_is_confirmed_when_its_time_is_over(
    serve: ServeExchange, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    two_days = make_candles(60, missing=tuple(range(20, 40)))
    path = write_csv(two_days, tmp_path / "gap.csv")
    async with (
        serve(candles=path, candles_per_second=100) as handle,
        http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket,
    ):
        subscriber = Subscriber(socket)
        await subscriber.ask(op="subscribe", args=["kline.240.BTCUSDT", "kline.D.BTCUSDT"])
        before = int(two_days.time[19]) // 14_400 * 14_400
        found = await confirmed_until(subscriber, "kline.240.BTCUSDT", before * 1000)
        assert found[-1]["timestamp"] == (before + 14_400) * 1000
        assert float(found[-1]["close"]) == two_days.close[19]
        after = int(two_days.time[20]) // 14_400 * 14_400
        assert [data["start"] for data in await confirmed_until(subscriber, "kline.240.BTCUSDT", after * 1000)] == [
            after * 1000
        ]


async def test_ccxt_reads_and_watches_every_timeframe(
    serve: ServeExchange, rest_client: RestClient, pro_client: ProClient, candles: RecordedCandles
) -> None:
    async with serve(candles_per_second=100) as handle, asyncio.timeout(WAIT_SECONDS):
        rest, stream = rest_client(handle), pro_client(handle)
        for timeframe, interval in [("2h", 7200), ("4h", 14_400), ("6h", 21_600), ("12h", 43_200), ("1d", 86_400)]:
            rows = await asyncio.to_thread(rest.fetch_ohlcv, SYMBOL, timeframe, 0)
            made = [[row[0] * 1000, *row[1:]] for row in by_hand(candles, interval, until=FIRST_HOUR + 72 * 3600)]
            assert [[*row[:5], round(row[5], 6)] for row in rows[: len(made)]] == made
            watched = await stream.watch_ohlcv(SYMBOL, timeframe)
            assert watched[-1][0] % (interval * 1000) == 0
        with pytest.raises(ccxt.BadRequest, match="intervalTime is invalid"):
            await asyncio.to_thread(rest.fetch_ohlcv, SYMBOL, "30m")


async def test_an_hourly_subscriber_is_sent_hours_only(serve: ServeExchange, subscribe: Connect) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        for _ in range(20):
            assert (await subscriber.receive())["topic"] == "kline.60.BTCUSDT"
