"""Binance's REST interface, as its documentation asks it and as ccxt does."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import ExchangeHandle

from tests.sandbox.conftest import FIRST_HOUR, WAIT_SECONDS, Connect, ServeExchange

HOUR = 3_600_000
FIRST = FIRST_HOUR * 1000
HELD_AT = FIRST + 72 * HOUR
SIDES = {"/fapi/v1": "BTC/USDT:USDT", "/api/v3": "BTC/USDT"}
ASKED: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1h"}
NO_INTERVAL = "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."
INVALID_LIMIT = "Data sent for parameter 'limit' is not valid."


async def get(http: aiohttp.ClientSession, url: str, *, status: int = 200, **query: Any) -> Any:
    async with http.get(url, params=query) as answer:
        assert answer.status == status
        return await answer.json()


def client_of(handle: ExchangeHandle, prefix: str) -> Any:
    """Return ccxt's blocking client of one side; call it in a thread."""
    kind = ccxt.binanceusdm if prefix == "/fapi/v1" else ccxt.binance
    client = kind({"enableRateLimit": False, "options": {} if prefix == "/fapi/v1" else {"fetchMarkets": ["spot"]}})
    client.urls["api"] = {"public": f"{handle.url}/api/v3", "fapiPublic": f"{handle.url}/fapi/v1"}
    return client


@pytest.mark.parametrize("prefix", SIDES)
async def test_ccxt_lists_the_market_and_needs_no_key(prefix: str, serve: ServeExchange) -> None:
    async with serve() as handle:
        client = client_of(handle, prefix)
        markets = await asyncio.to_thread(client.load_markets)
        assert await asyncio.to_thread(client.fetch_time) == HELD_AT
    [market] = markets.values()
    assert (market["symbol"], market["id"], market["active"]) == (SIDES[prefix], "BTCUSDT", True)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.001)
    assert market["type"] == ("swap" if prefix == "/fapi/v1" else "spot")


@pytest.mark.parametrize("prefix", SIDES)
async def test_ccxt_pages_through_the_whole_history_up_to_now(
    prefix: str, serve: ServeExchange, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        client = client_of(handle, prefix)
        found: list[list[float]] = []
        since = FIRST - 5 * HOUR
        while page := await asyncio.to_thread(client.fetch_ohlcv, SIDES[prefix], "1h", since, 30):
            found += page
            since = page[-1][0] + 1
    assert [row[0] for row in found] == [FIRST + hour * HOUR for hour in range(73)]
    assert [row[4] for row in found][:72] == candles.close[:72].tolist()
    assert [row[5] for row in found][:72] == candles.volume[:72].tolist()


@pytest.mark.parametrize(
    ("query", "hours"),
    [
        ({}, range(73)),
        ({"limit": 2}, range(71, 73)),
        ({"startTime": FIRST, "limit": 2}, range(2)),
        ({"startTime": FIRST + 1, "limit": 2}, range(1, 3)),
        ({"startTime": FIRST + 3 * HOUR, "endTime": FIRST + 4 * HOUR}, range(3, 5)),
        ({"startTime": FIRST, "endTime": FIRST + 50 * HOUR, "limit": 2}, range(2)),
        ({"endTime": FIRST + HOUR}, range(2)),
        ({"endTime": FIRST + 9 * HOUR, "limit": 3}, range(7, 10)),
        ({"endTime": FIRST - 1}, range(0)),
        ({"startTime": FIRST + 72 * HOUR}, range(72, 73)),
        ({"startTime": FIRST + 73 * HOUR}, range(0)),
    ],
)
async def test_a_page_begins_at_its_start_or_ends_at_its_end_and_never_later_than_now(
    query: dict[str, Any], hours: range, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        for prefix in SIDES:
            rows = await get(http, f"{handle.url}{prefix}/klines", **ASKED, **query)
            assert [(row[0] - FIRST) / HOUR for row in rows] == list(hours)


async def test_a_candle_is_worded_as_binance_words_it(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        [row] = await get(http, f"{handle.url}/fapi/v1/klines", **ASKED, startTime=FIRST, limit=1)
    assert [type(value) for value in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert (row[0], row[1], row[6], row[8:]) == (FIRST, "1000", FIRST + HOUR - 1, [0, "0", "0", "0"])
    assert [float(value) for value in row[2:5]] == [candles.high[0], candles.low[0], candles.close[0]]
    assert candles.low[0] < float(row[7]) / float(row[5]) < candles.high[0]


async def test_longer_candles_are_there_eight_hours_too(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve() as handle:
        for interval, seconds in {"8h": 28_800, "1d": 86_400}.items():
            rows = await get(http, f"{handle.url}/fapi/v1/klines", symbol="BTCUSDT", interval=interval)
            assert {row[6] + 1 - row[0] for row in rows} == {seconds * 1000}


@pytest.mark.parametrize(
    ("path", "query", "code", "message"),
    [
        ("klines", {"symbol": "ETHUSDT"}, -1121, "Invalid symbol."),
        ("klines", {"interval": "7h"}, -1120, "Invalid interval."),
        ("klines", {"symbol": ""}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        (
            "klines",
            {"interval": ""},
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        ("klines", {"limit": 0}, -1130, INVALID_LIMIT),
        ("klines", {"limit": 1501}, -1130, INVALID_LIMIT),
        (
            "klines",
            {"startTime": "yesterday"},
            -1100,
            "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("klines", {"startTime": 2, "endTime": 1}, -1023, "Start time is greater than end time."),
        ("fundingRate", {"symbol": "ETHUSDT"}, -1121, "Invalid symbol."),
        ("fundingRate", {"limit": 1001}, -1130, INVALID_LIMIT),
    ],
)
async def test_a_wrong_parameter_is_http_400_with_binances_code(
    path: str, query: dict[str, Any], code: int, message: str, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        body = await get(http, f"{handle.url}/fapi/v1/{path}", status=400, **{**ASKED, **query})
    assert body == {"code": code, "msg": message}


async def test_a_page_of_futures_may_be_longer_than_one_of_spot(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        assert await get(http, f"{handle.url}/fapi/v1/klines", **ASKED, limit=1500)
        assert await get(http, f"{handle.url}/api/v3/klines", **ASKED, limit=1000)
        body = await get(http, f"{handle.url}/api/v3/klines", status=400, **ASKED, limit=1001)
    assert body["code"] == -1130


async def test_the_funding_history_is_read_from_its_start_or_up_to_its_end(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    step = 8 * HOUR
    first = -(-FIRST // step) * step
    async with serve(funding_rate=0.0001) as handle:
        url = f"{handle.url}/fapi/v1/fundingRate"
        early = await get(http, url, symbol="BTCUSDT", startTime=FIRST, limit=2)
        late = await get(http, url, symbol="BTCUSDT", limit=2)
        until = await get(http, url, endTime=first + 3 * step)
        rates = await asyncio.to_thread(client_of(handle, "/fapi/v1").fetch_funding_rate_history, "BTC/USDT:USDT")
    assert [entry["fundingTime"] for entry in early] == [first, first + step]
    assert [entry["fundingTime"] for entry in late] == [HELD_AT // step * step - step, HELD_AT // step * step]
    assert [entry["fundingTime"] for entry in until] == [first, first + step, first + 2 * step, first + 3 * step]
    assert {(rate["symbol"], rate["fundingRate"]) for rate in rates} == {("BTC/USDT:USDT", 0.0001)}
    assert [rate["timestamp"] for rate in rates] == list(range(first, HELD_AT + 1, step))
    before = (first - FIRST) // HOUR - 1
    assert float(early[0]["markPrice"]) == candles.close[before]


async def test_ping_time_and_the_limit_are_told(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve(requests_per_second=50) as handle:
        for prefix in SIDES:
            assert await get(http, f"{handle.url}{prefix}/ping") == {}
            assert await get(http, f"{handle.url}{prefix}/time") == {"serverTime": HELD_AT}
            info = await get(http, f"{handle.url}{prefix}/exchangeInfo")
            limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 1, "limit": 50}
            assert info["rateLimits"] == [limit]
        body = await get(http, f"{handle.url}/api/v3/exchangeInfo", status=400, symbol="ETHUSDT")
    assert body["code"] == -1121


async def test_beyond_the_limit_both_venues_count_together_and_binance_says_how_long_to_wait(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    refused = (
        "Too many requests; current limit is 3 requests per second. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    async with serve(requests_per_second=3) as handle:
        while True:
            for _ in range(4):
                async with http.get(f"{handle.url}/v5/market/time"):
                    pass
            async with http.get(f"{handle.url}/fapi/v1/time") as answer:
                body = await answer.json()
            # A second may have begun in between.
            if answer.status == 429:
                break
        assert body == {"code": -1003, "msg": refused}
        assert (answer.headers["Retry-After"], answer.headers["X-MBX-USED-WEIGHT-1S"]) == ("1", "3")


async def test_the_faults_of_rest_are_binances_too(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle:
        client = client_of(handle, "/fapi/v1")
        await asyncio.to_thread(client.load_markets)

        async def during(error: type[Exception], **fault: Any) -> None:
            await begin_fault(http, handle, seconds=60, **fault)
            with pytest.raises(error):
                await asyncio.to_thread(client.fetch_time)
            await http.delete(f"{handle.url}/sandbox/fault")

        await during(ccxt.ExchangeNotAvailable, name="error500")
        await during(ccxt.DDoSProtection, name="rate_limit", limit=10)
        await begin_fault(http, handle, name="clock_offset", seconds=60, offset_seconds=3600)
        assert await asyncio.to_thread(client.fetch_time) == HELD_AT + HOUR
        async with subscribe(handle) as subscriber, asyncio.timeout(WAIT_SECONDS):
            await begin_fault(http, handle, name="price_shock", change=1.0)
            opened = (await subscriber.candle(confirmed=True))["start"]
            while (candle := await subscriber.candle())["start"] == opened:
                pass
            rows = await get(http, f"{handle.url}/fapi/v1/klines", **ASKED, startTime=opened, limit=2)
        assert float(rows[1][1]) == float(candle["open"]) > 1.8 * float(rows[0][4])


async def begin_fault(http: aiohttp.ClientSession, handle: ExchangeHandle, **fault: Any) -> None:
    async with http.post(f"{handle.url}/sandbox/fault", json=fault) as answer:
        assert answer.status == 200


async def test_when_the_replay_is_over_the_market_is_closed(serve: ServeExchange, http: aiohttp.ClientSession) -> None:
    async with serve(candles_per_second=1000) as handle, asyncio.timeout(WAIT_SECONDS):
        await http.post(f"{handle.url}/sandbox/resume")
        while not handle.exchange.replay.over:
            await asyncio.sleep(0.01)
        for prefix, symbol in SIDES.items():
            markets = await asyncio.to_thread(client_of(handle, prefix).load_markets)
            assert markets[symbol]["active"] is False
