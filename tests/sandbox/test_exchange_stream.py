"""The exchange's websocket: subscriptions, candles, and ccxt's view of them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles

from tests.sandbox.conftest import (
    FIRST_HOUR,
    WAIT_SECONDS,
    Connect,
    ProClient,
    ServeExchange,
    Subscriber,
)

TOPIC = "kline.60.BTCUSDT"
SYMBOL = "BTC/USDT:USDT"


def numbers(data: dict[str, Any]) -> tuple[float, ...]:
    return tuple(float(data[name]) for name in ("start", "open", "high", "low", "close", "volume"))


def row(candles: RecordedCandles, index: int) -> tuple[float, ...]:
    columns = (candles.time * 1000, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return tuple(float(column[index]) for column in columns)


async def test_the_market_is_held_until_the_first_subscription(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle:
        async with http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket:
            await Subscriber(socket).ask(op="ping")
            assert handle.exchange.status()["state"] == "held"
        async with subscribe(handle) as subscriber:
            first = await subscriber.candle()
            assert first["start"] == (FIRST_HOUR + 72 * 3600) * 1000
            assert handle.exchange.status()["state"] == "running"


async def test_each_candle_comes_open_first_then_growing_then_confirmed_once(
    serve: ServeExchange, subscribe: Connect, candles: RecordedCandles
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        for index in range(72, 77):
            opened = await subscriber.candle()
            price = candles.open[index]
            assert numbers(opened) == (candles.time[index] * 1000, price, price, price, price, 0)
            assert opened["confirm"] is False
            updates = 0
            while not (update := await subscriber.candle())["confirm"]:
                assert 0 < float(update["volume"]) < candles.volume[index]
                assert candles.low[index] <= float(update["low"])
                updates += 1
            assert updates >= 1
            assert numbers(update) == row(candles, index)


async def test_a_candle_on_the_stream_is_worded_as_bybit_words_it(serve: ServeExchange, subscribe: Connect) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        message = await subscriber.receive()
    start = (FIRST_HOUR + 72 * 3600) * 1000
    price = message["data"][0]["open"]
    assert isinstance(price, str)
    assert message == {
        "topic": TOPIC,
        "type": "snapshot",
        "ts": start,
        "data": [
            {
                "start": start,
                "end": start + 3_599_999,
                "interval": "60",
                "open": price,
                "close": price,
                "high": price,
                "low": price,
                "volume": "0",
                "turnover": "0",
                "confirm": False,
                "timestamp": start,
            }
        ],
    }


async def test_every_subscriber_gets_every_candle_from_its_subscription_to_the_end_but_not_the_missing_hour(
    serve: ServeExchange, subscribe: Connect, candles: RecordedCandles
) -> None:
    last = int(candles.time[-1]) * 1000

    async def confirmed(subscriber: Subscriber) -> list[int]:
        times: list[int] = []
        while not times or times[-1] != last:
            times.append((await subscriber.candle(confirmed=True))["start"])
        return times

    async with serve(candles_per_second=200) as handle, subscribe(handle) as first:
        early = asyncio.create_task(confirmed(first))
        async with subscribe(handle) as second:
            late = await confirmed(second)
        expected = [int(time) * 1000 for time in candles.time[72:]]
        assert await early == expected
        assert late == expected[-len(late) :]
    assert FIRST_HOUR + 100 * 3600 not in candles.time


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"op": "ping", "req_id": "7"}, {"success": True, "ret_msg": "pong", "op": "ping", "req_id": "7"}),
        (
            {"op": "subscribe", "args": [TOPIC], "req_id": 3},
            {"success": True, "ret_msg": "", "op": "subscribe", "req_id": 3},
        ),
        (
            {"op": "subscribe", "args": [TOPIC, "kline.7.BTCUSDT"], "req_id": "x"},
            {
                "success": False,
                "ret_msg": "error:handler not found,topic:kline.7.BTCUSDT",
                "op": "subscribe",
                "req_id": "x",
            },
        ),
        (
            {"op": "subscribe", "args": "everything"},
            {"success": False, "ret_msg": "error:args must be a list of topics", "op": "subscribe"},
        ),
        (
            {"op": "subscribe", "args": [{}]},
            {"success": False, "ret_msg": "error:handler not found,topic:{}", "op": "subscribe"},
        ),
        ({"op": "auth"}, {"success": False, "ret_msg": "error:invalid op", "op": "auth"}),
        ({}, {"success": False, "ret_msg": "error:invalid op", "op": ""}),
    ],
)
async def test_a_message_is_answered_as_bybit_answers_it(
    message: dict[str, Any], answer: dict[str, Any], serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle, http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket:
        got = await Subscriber(socket).ask(**message)
        assert len(got.pop("conn_id")) == 36
        assert got == answer


async def test_what_is_not_json_is_refused_and_the_connection_lives(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle, http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket:
        await socket.send_str("{")
        assert (await socket.receive_json(timeout=WAIT_SECONDS))["ret_msg"] == "error:invalid op"
        assert (await Subscriber(socket).ask(op="ping"))["ret_msg"] == "pong"


async def test_a_topic_is_subscribed_to_once_and_after_an_unsubscription_no_candle_comes(
    serve: ServeExchange, subscribe: Connect
) -> None:
    async with serve(candles_per_second=100) as handle, subscribe(handle) as subscriber:
        again = await subscriber.ask(op="subscribe", args=[TOPIC])
        assert again["ret_msg"] == f"error:already subscribed,topic:{TOPIC}"
        assert (await subscriber.ask(op="unsubscribe", args=[TOPIC], req_id="2"))["success"] is True
        served = handle.exchange.candles_served
        async with asyncio.timeout(WAIT_SECONDS):
            while handle.exchange.candles_served < served + 3:
                await asyncio.sleep(0.01)
        assert "topic" not in await subscriber.ask(op="ping")
        assert handle.exchange.status()["subscribers"] == 0
        await subscriber.socket.send_json({"op": "ping"})
        assert (await subscriber.receive())["ret_msg"] == "pong"


async def test_ccxt_watches_candles_form_and_close(
    serve: ServeExchange, pro_client: ProClient, candles: RecordedCandles
) -> None:
    async with serve(candles_per_second=20) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        seen: dict[int, list[list[float]]] = {}
        while len(seen) < 4:
            for candle in await client.watch_ohlcv(SYMBOL, "1h"):
                seen.setdefault(int(candle[0]), []).append(list(candle))
    for index, (time, steps) in enumerate(list(seen.items())[:3], start=72):
        assert time == candles.time[index] * 1000
        # ccxt drops `confirm`: a client can only tell a closed candle by the next one's open.
        assert tuple(steps[-1]) == row(candles, index)
        assert len(steps) > 2


async def test_an_unknown_timeframe_fails_in_ccxt_and_does_not_hang(
    serve: ServeExchange, pro_client: ProClient
) -> None:
    async with serve() as handle, asyncio.timeout(WAIT_SECONDS):
        with pytest.raises(ccxt.ExchangeError, match=r"handler not found,topic:kline\.5\.BTCUSDT"):
            await pro_client(handle).watch_ohlcv(SYMBOL, "5m")
