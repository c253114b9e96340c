"""Binance's websockets: subscriptions by address and by message, candles, faults, and ccxt's view of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.binance.dialect import BinanceDialect
from nightdesk_sandbox.dialect import word
from nightdesk_sandbox.garble import GARBLERS
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.server import ExchangeHandle
from nightdesk_sandbox.update import Garbage, Topic, Update
from nightdesk_trendbot.market.exchange import open_exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.settings import ExchangeSettings

from tests.sandbox.conftest import FIRST_HOUR, WAIT_SECONDS, ServeExchange, make_candles

NAME = "btcusdt@kline_1h"
STREAMS = {NAME: Topic("BTCUSDT", 3600)}
HELD_AT = (FIRST_HOUR + 72 * 3600) * 1000
SYMBOLS = {"binanceusdm": "BTC/USDT:USDT", "binance": "BTC/USDT"}


@asynccontextmanager
async def following(handle: ExchangeHandle, kind: str) -> AsyncIterator[Any]:
    """Yield ccxt's client as the bot opens it."""
    options = {"fetchMarkets": {"types": ["spot"]}} if kind == "binance" else {}
    settings = ExchangeSettings(id=kind, options=options, rest_url=handle.url, stream_url=handle.websocket_url)
    async with open_exchange(settings, SilentListener()) as exchange, asyncio.timeout(WAIT_SECONDS):
        await exchange._client.load_markets()
        yield exchange._client


async def fault(http: aiohttp.ClientSession, handle: ExchangeHandle, **case: Any) -> None:
    async with http.post(f"{handle.url}/sandbox/fault", json={"seconds": 60, **case}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", [f"/market/ws/{NAME}", f"/ws/{NAME}"])
async def test_a_stream_in_the_address_is_sent_at_once_and_worded_as_binance_words_it(
    path: str, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle, http.ws_connect(handle.websocket_url + path) as socket:
        event = await socket.receive_json(timeout=WAIT_SECONDS)
    price = event["k"]["o"]
    assert isinstance(price, str)
    assert event == {
        "e": "kline",
        "E": HELD_AT,
        "s": "BTCUSDT",
        "k": {
            "t": HELD_AT,
            "T": HELD_AT + 3_599_999,
            "s": "BTCUSDT",
            "i": "1h",
            "f": -1,
            "L": -1,
            "o": price,
            "c": price,
            "h": price,
            "l": price,
            "v": "0",
            "n": 0,
            "x": False,
            "q": "0",
            "V": "0",
            "Q": "0",
            "B": "0",
        },
    }


async def test_a_combined_stream_wraps_its_events(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve() as handle:
        url = f"{handle.websocket_url}/market/stream?streams={NAME}/btcusdt@kline_4h"
        async with http.ws_connect(url) as socket:
            wrapped = [await socket.receive_json(timeout=WAIT_SECONDS) for _ in range(2)]
    assert {message["stream"] for message in wrapped} == {NAME, "btcusdt@kline_4h"}
    assert all(message["data"]["k"]["i"] in message["stream"] for message in wrapped)


async def test_candles_form_and_close_once_with_the_flag_x(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    async with serve() as handle, http.ws_connect(f"{handle.websocket_url}/market/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [NAME], "id": 1})
        assert await socket.receive_json(timeout=WAIT_SECONDS) == {"result": None, "id": 1}
        closed: list[dict[str, Any]] = []
        while len(closed) < 4:
            event = await socket.receive_json(timeout=WAIT_SECONDS)
            if event["k"]["x"]:
                closed.append(event["k"])
    assert [candle["t"] for candle in closed] == (candles.time[72:76] * 1000).tolist()
    for key, column in {"o": candles.open, "h": candles.high, "l": candles.low, "c": candles.close}.items():
        assert [float(candle[key]) for candle in closed] == column[72:76].tolist()


async def test_after_an_unsubscription_no_candle_comes_and_bybits_clients_are_still_sent_theirs(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with (
        serve(candles_per_second=100) as handle,
        http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as bybit,
        http.ws_connect(f"{handle.websocket_url}/market/ws/{NAME}") as socket,
        asyncio.timeout(WAIT_SECONDS),
    ):
        await bybit.send_json({"op": "subscribe", "args": ["kline.60.BTCUSDT"]})
        await socket.send_json({"method": "UNSUBSCRIBE", "params": [NAME], "id": 2})
        while "result" not in await socket.receive_json():
            pass
        assert handle.exchange.status()["subscribers"] == 1
        served = handle.exchange.candles_served
        while handle.exchange.candles_served < served + 3:
            assert await bybit.receive_json()
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert await socket.receive_json() == {"result": [], "id": 3}


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ('{"method": "LIST_SUBSCRIPTIONS", "id": 3}', {"result": [NAME], "id": 3}),
        # A stream that does not exist is taken, and nothing ever comes of it.
        ('{"method": "SUBSCRIBE", "params": ["ethusdt@kline_1h"], "id": 4}', {"result": None, "id": 4}),
        ('{"method": "GET_PROPERTY", "params": ["combined"], "id": 5}', {"result": False, "id": 5}),
        ('{"method": "SET_PROPERTY", "params": ["combined", true], "id": 6}', {"result": None, "id": 6}),
        (
            '{"method": "SET_PROPERTY", "params": ["combined", 1], "id": 7}',
            {"error": {"code": 1, "msg": "Invalid value type: expected Boolean"}, "id": 7},
        ),
        (
            '{"method": "GET_PROPERTY", "params": ["colour"], "id": 8}',
            {"error": {"code": 0, "msg": "Unknown property"}, "id": 8},
        ),
        (
            '{"method": "SUBSCRIBE", "params": []}',
            {"error": {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}, "id": None},
        ),
        (
            '{"method": "SUBSCRIBE", "params": "all", "id": 9}',
            {"error": {"code": 2, "msg": "Invalid request: params must be a list of streams"}, "id": 9},
        ),
        (
            '{"method": "LISTEN", "id": 9}',
            {
                "error": {
                    "code": 2,
                    "msg": "Invalid request: unknown variant LISTEN, expected one of SUBSCRIBE, UNSUBSCRIBE, "
                    "LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY",
                },
                "id": 9,
            },
        ),
        ("{", {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}),
    ],
)
def test_a_message_is_answered_as_binance_answers_it(text: str, reply: dict[str, Any]) -> None:
    answer = BinanceDialect(STREAMS, names=[NAME]).answer(text, subscribed=())
    assert answer.reply == reply
    assert not answer.subscribe | answer.unsubscribe


def test_once_combined_is_set_events_are_wrapped() -> None:
    dialect = BinanceDialect(STREAMS)
    update = Update("BTCUSDT", _candle(), at=FIRST_HOUR)
    assert "k" in dialect.candle(update)
    dialect.answer('{"method": "SET_PROPERTY", "params": ["combined", true], "id": 1}', subscribed=())
    assert dialect.candle(update)["stream"] == NAME


@pytest.mark.parametrize("combined", [False, True])
def test_garbage_is_garbage_in_binances_words(combined: bool) -> None:
    dialect = BinanceDialect(STREAMS, combined=combined)
    bad = {kind: word(Garbage(Update("BTCUSDT", _candle(), at=FIRST_HOUR), kind), dialect) for kind in GARBLERS}
    with pytest.raises(json.JSONDecodeError):
        json.loads(bad.pop("text"))
    events = {kind: json.loads(text).get("data") if combined else json.loads(text) for kind, text in bad.items()}
    assert "k" not in events["no_data"]
    assert not {"t", "c"} & set(events["missing_fields"]["k"])
    assert (events["wrong_types"]["k"]["c"], events["wrong_types"]["k"]["v"]) == ("n/a", None)


def _candle() -> Any:
    candles = make_candles(3)
    return HourlyCandles(candles, now=lambda: float(candles.end)).candle(0)


@pytest.mark.parametrize("kind", SYMBOLS)
async def test_ccxt_watches_candles_form_and_close(kind: str, serve: ServeExchange, candles: RecordedCandles) -> None:
    # A client that is held up sees fewer of a candle's updates, but always what it closed with. So this watches until
    # three candles have been seen forming, however many that takes.
    async with serve(candles_per_second=5) as handle, following(handle, kind) as client, asyncio.timeout(60):
        seen: dict[int, list[float]] = {}
        while sum(len(closes) > 2 for closes in list(seen.values())[:-1]) < 3:
            for candle in await client.watch_ohlcv(SYMBOLS[kind], "1h"):
                seen.setdefault(candle[0] // 1000, []).append(candle[4])
    for index, (time, closes) in enumerate(list(seen.items())[:-1], start=72):
        assert (time, closes[-1]) == (candles.time[index], candles.close[index])


async def test_a_drop_is_a_network_error_to_ccxt_which_connects_again_after_it(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve(candles_per_second=20) as handle, following(handle, "binanceusdm") as client:
        await client.watch_ohlcv("BTC/USDT:USDT", "1h")
        await fault(http, handle, name="drop", seconds=0.2)
        failures = 0
        while True:
            try:
                bars = await client.watch_ohlcv("BTC/USDT:USDT", "1h")
            except ccxt.NetworkError:
                failures += 1
                await asyncio.sleep(0.05)
            else:
                if failures:
                    break
        assert bars


@pytest.mark.parametrize(
    ("case", "true"),
    [
        ({"name": "gap"}, True),
        ({"name": "duplicate"}, True),
        ({"name": "late"}, True),
        ({"name": "revised"}, True),
        ({"name": "clock_offset", "offset_seconds": 3600}, True),
        ({"name": "malformed", "kind": "missing_fields"}, True),
        ({"name": "out_of_order"}, False),
        ({"name": "malformed", "kind": "wrong_types"}, False),
    ],
    ids=lambda case: "-".join(map(str, case.values())) if isinstance(case, dict) else None,
)
async def test_what_ccxt_keeps_of_a_closed_candle_is_true_or_not_as_it_is_of_bybits(
    case: dict[str, Any], true: bool, serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    truth = dict(zip((candles.time * 1000).tolist(), candles.close.tolist(), strict=True))
    async with serve(candles_per_second=15) as handle, following(handle, "binanceusdm") as client:
        await fault(http, handle, **case)
        while handle.exchange.candles_served < 8:
            await client.watch_ohlcv("BTC/USDT:USDT", "1h")
        last = {row[0]: row[4] for row in client.ohlcvs["BTC/USDT:USDT"]["1h"] if row[0] is not None}
    settled = sorted(last)[:-2]
    assert len(settled) >= 2
    assert {last[time] == truth[time] for time in settled} == {true}


async def test_in_a_silence_the_connection_answers_but_no_candle_comes(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with (
        serve(candles_per_second=40) as handle,
        http.ws_connect(f"{handle.websocket_url}/market/ws/{NAME}") as socket,
        asyncio.timeout(WAIT_SECONDS),
    ):
        await fault(http, handle, name="silence")
        served = handle.exchange.candles_served
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        while "result" not in await socket.receive_json():
            pass
        while handle.exchange.candles_served < served + 4:
            await asyncio.sleep(0.01)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await socket.receive_json() == {"result": [NAME], "id": 2}
