"""The exchange's controls: faults as a client meets them, the market's clock, the state and its page."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.faults import Faults, parse_fault
from nightdesk_sandbox.recordings.candles import RecordedCandles

from tests.sandbox.conftest import WAIT_SECONDS, Connect, ProClient, RestClient, ServeExchange

SYMBOL = "BTC/USDT:USDT"


async def fault(http: aiohttp.ClientSession, url: str, name: str, seconds: float, **parameters: Any) -> None:
    async with http.post(f"{url}/sandbox/fault", json={"name": name, "seconds": seconds, **parameters}) as answer:
        assert answer.status == 200
        assert name in (await answer.json())["faults"]


async def test_a_drop_closes_every_connection_and_refuses_new_ones_until_it_ends(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle:
        async with subscribe(handle) as first, subscribe(handle) as second:
            await fault(http, handle.url, "drop", 60)
            for subscriber in (first, second):
                async with asyncio.timeout(WAIT_SECONDS):
                    async for _ in subscriber.socket:
                        pass
                assert subscriber.socket.closed
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await http.ws_connect(f"{handle.websocket_url}/v5/public/linear")
        assert raised.value.status == 503
        assert (await http.get(f"{handle.url}/v5/market/time")).status == 200
        await http.delete(f"{handle.url}/sandbox/fault")
        async with subscribe(handle) as subscriber:
            await subscriber.candle(confirmed=True)


async def test_a_drop_is_a_network_error_to_ccxt_which_connects_again_after_it(
    serve: ServeExchange, http: aiohttp.ClientSession, pro_client: ProClient
) -> None:
    async with serve(candles_per_second=20) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        await client.watch_ohlcv(SYMBOL, "1h")
        await fault(http, handle.url, "drop", 0.2)
        failures = 0
        while True:
            try:
                candles = await client.watch_ohlcv(SYMBOL, "1h")
            except ccxt.NetworkError:
                failures += 1
                await asyncio.sleep(0.05)
            else:
                if failures:
                    break
        assert candles


async def test_in_a_silence_connections_answer_but_no_candle_comes_and_none_is_sent_later(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve(candles_per_second=40) as handle, subscribe(handle) as subscriber:
        await fault(http, handle.url, "silence", 60)
        before = handle.exchange.candles_served
        last = 0
        while "topic" in (message := await subscriber_message(subscriber)):
            last = message["data"][0]["start"]
        assert message["ret_msg"] == "pong"
        async with asyncio.timeout(WAIT_SECONDS):
            while handle.exchange.candles_served < before + 4:
                await asyncio.sleep(0.01)
        assert (await subscriber_message(subscriber))["ret_msg"] == "pong"
        await http.delete(f"{handle.url}/sandbox/fault")
        after = await subscriber.candle(confirmed=True)
        assert after["start"] >= last + 4 * 3_600_000
        missed = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "end": after["start"] - 1, "limit": 4}
        async with http.get(f"{handle.url}/v5/market/kline", params=missed) as answer:
            assert len((await answer.json())["result"]["list"]) == 4


async def subscriber_message(subscriber: Any) -> dict[str, Any]:
    """Ping, and return the next message whatever it is."""
    await subscriber.socket.send_json({"op": "ping"})
    message: dict[str, Any] = await subscriber.receive()
    return message


async def test_with_error500_all_rest_fails_and_streams_go_on(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, rest_client: RestClient
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        client = rest_client(handle)
        await asyncio.to_thread(client.load_markets)
        await fault(http, handle.url, "error500", 60)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await asyncio.to_thread(client.fetch_time)
        assert (await http.get(f"{handle.url}/v5/account/anything")).status == 500
        await subscriber.candle(confirmed=True)
        await http.delete(f"{handle.url}/sandbox/fault")
        assert await asyncio.to_thread(client.fetch_time) > 0


async def test_with_rate_limit_rest_answers_429_and_names_the_moment_when_it_ends(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, rest_client: RestClient
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        client = rest_client(handle)
        await asyncio.to_thread(client.load_markets)
        await fault(http, handle.url, "rate_limit", 60, limit=10)
        async with http.get(f"{handle.url}/v5/market/time") as answer:
            body = await answer.json()
        assert (answer.status, body["retCode"], body["retMsg"]) == (429, 10006, "Too many visits!")
        assert (answer.headers["X-Bapi-Limit"], answer.headers["X-Bapi-Limit-Status"]) == ("10", "0")
        reset = int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) / 1000
        assert time.time() + 50 < reset < time.time() + 61
        with pytest.raises(ccxt.RateLimitExceeded):
            await asyncio.to_thread(client.fetch_time)
        await subscriber.candle(confirmed=True)


async def test_with_a_clock_offset_the_time_is_wrong_and_the_candles_are_not(
    serve: ServeExchange, http: aiohttp.ClientSession, rest_client: RestClient
) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        right = await asyncio.to_thread(client.fetch_time)
        candles = await asyncio.to_thread(client.fetch_ohlcv, SYMBOL, "1h")
        await fault(http, handle.url, "clock_offset", 60, offset_seconds=7200)
        assert await asyncio.to_thread(client.fetch_time) == right + 7_200_000
        assert await asyncio.to_thread(client.fetch_ohlcv, SYMBOL, "1h") == candles
        async with http.get(f"{handle.url}/v5/market/tickers", params={"category": "linear"}) as answer:
            assert (await answer.json())["time"] == right + 7_200_000
        await http.delete(f"{handle.url}/sandbox/fault")
        assert await asyncio.to_thread(client.fetch_time) == right


@pytest.mark.parametrize("name", ["gap", "duplicate", "out_of_order", "late", "revised", "malformed"])
async def test_under_every_fault_of_the_stream_rest_has_the_truth(
    name: str, serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, candles: RecordedCandles
) -> None:
    async with serve(candles_per_second=100) as handle, subscribe(handle):
        await fault(http, handle.url, name, 60)
        async with asyncio.timeout(WAIT_SECONDS):
            while handle.exchange.candles_served < 6:
                await asyncio.sleep(0.01)
        query: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "limit": 1000}
        async with http.get(f"{handle.url}/v5/market/kline", params=query) as answer:
            rows = (await answer.json())["result"]["list"][:0:-1]
    assert len(rows) >= 78
    assert [float(row[4]) for row in rows] == candles.close[: len(rows)].tolist()


def test_a_fault_ends_by_itself() -> None:
    now = 100.0
    faults = Faults(clock=lambda: now)
    faults.start(parse_fault(b'{"name": "silence", "seconds": 5}'))
    faults.start(parse_fault(b'{"name": "drop", "seconds": 2}'))
    assert faults.refuse_connections
    now = 103.0
    assert not faults.refuse_connections
    assert faults.remaining_seconds() == {"silence": 2.0}
    now = 105.0
    assert faults.remaining_seconds() == {}


NO_SUCH_FAULT = (
    "name: Input tag 'flood' found using 'name' does not match any of the expected tags: 'price_shock', "
    "'impossible', 'delisted', 'revised', 'out_of_order', 'late', 'gap', 'duplicate', 'clock_offset', 'malformed', "
    "'silence', 'drop', 'error500', 'rate_limit', 'wrong_answer'"
)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"name": "flood", "seconds": 1}', NO_SUCH_FAULT),
        (b'{"name": "drop"}', "seconds: Field required"),
        (b'{"name": "drop", "seconds": 0}', "seconds: Input should be greater than 0"),
        (b'{"name": "drop", "seconds": 1, "hard": true}', "hard: Extra inputs are not permitted"),
        (b'{"seconds": 1}', "name: Unable to extract tag using discriminator 'name'"),
        (b'{"name": "gap", "seconds": 1, "every": 0}', "every: Input should be greater than or equal to 1"),
        (b'{"name": "clock_offset", "seconds": 1}', "offset_seconds: Field required"),
        (b"drop", "body: is not JSON: Expecting value, line 1 column 1"),
    ],
)
async def test_a_fault_that_does_not_exist_is_refused_with_the_reason(
    body: bytes, problem: str, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle, http.post(f"{handle.url}/sandbox/fault", data=body) as answer:
        assert (answer.status, await answer.json()) == (400, {"error": problem})


async def test_the_market_pauses_and_resumes(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        await subscriber.candle(confirmed=True)
        async with http.post(f"{handle.url}/sandbox/pause") as answer:
            paused = await answer.json()
        async with http.get(f"{handle.url}/sandbox/status") as answer:
            assert await answer.json() == paused
        assert paused["state"] == "paused"
        async with http.post(f"{handle.url}/sandbox/resume") as answer:
            assert (await answer.json())["state"] == "running"
        start = paused["market_time_unix"] * 1000
        while (await subscriber.candle(confirmed=True))["start"] < start:
            pass


async def test_a_paused_market_is_not_set_going_by_a_subscription(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle:
        await http.post(f"{handle.url}/sandbox/pause")
        async with subscribe(handle):
            assert handle.exchange.status()["state"] == "paused"


async def test_the_status_tells_where_the_market_stands(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle:
        await http.post(f"{handle.url}/sandbox/pause")
        async with subscribe(handle), http.get(f"{handle.url}/sandbox/status") as answer:
            assert await answer.json() == {
                "market_time": "2017-07-17T02:00:00Z",
                "market_time_unix": 1_500_256_800.0,
                "state": "paused",
                "symbols": ["BTCUSDT"],
                "starts_at": "2017-07-17T02:00:00Z",
                "ends_at": "2017-07-19T02:00:00Z",
                "candles_per_second": 50.0,
                "candles_served": 0,
                "connections": 1,
                "subscribers": 1,
                "faults": {},
            }


async def test_the_page_shows_the_state_and_loads_nothing(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve() as handle:
        await fault(http, handle.url, "silence", 60)
        async with http.get(handle.url) as answer:
            page = await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<th>state</th><td>held</td>" in page
        assert "silence for 60 s" in page
        assert "src=" not in page
        async with http.get(f"{handle.url}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
