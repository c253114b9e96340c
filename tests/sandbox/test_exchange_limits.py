"""Funding, pages and limits, as ccxt and a client that reads Bybit's documentation meet them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.request_limit import RequestLimit

from tests.sandbox.conftest import FIRST_HOUR, ProClient, RestClient, ServeExchange

SYMBOL = "BTC/USDT:USDT"
SETTLEMENT = 8 * 3_600_000
HELD_AT = (FIRST_HOUR + 72 * 3600) * 1000
ASKED = {"category": "linear", "symbol": "BTCUSDT"}


async def get(http: aiohttp.ClientSession, url: str, **query: Any) -> dict[str, Any]:
    async with http.get(url, params=query) as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


def settlements(*, start: int, end: int) -> list[int]:
    return list(range(-(-start // SETTLEMENT) * SETTLEMENT, end + 1, SETTLEMENT))


async def test_ccxt_reads_the_funding_history(
    serve: ServeExchange, rest_client: RestClient, pro_client: ProClient
) -> None:
    async with serve(funding_rate=0.0001) as handle:
        rates = await asyncio.to_thread(rest_client(handle).fetch_funding_rate_history, SYMBOL)
        since = HELD_AT - 30 * 3_600_000
        later = await pro_client(handle).fetch_funding_rate_history(SYMBOL, since)
        ticker = await pro_client(handle).fetch_funding_rate(SYMBOL)
    assert [rate["timestamp"] for rate in rates] == settlements(start=FIRST_HOUR * 1000, end=HELD_AT)
    assert {rate["fundingRate"] for rate in rates} == {0.0001}
    assert [rate["timestamp"] for rate in later] == settlements(start=since, end=HELD_AT)
    assert ticker["fundingRate"] == 0.0001
    assert ticker["fundingTimestamp"] == settlements(start=HELD_AT + 1, end=HELD_AT + SETTLEMENT)[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, settlements(start=0, end=HELD_AT)[-2:]),
        ({"endTime": HELD_AT - 20 * 3_600_000, "limit": 1}, settlements(start=0, end=HELD_AT - 20 * 3_600_000)[-1:]),
        (
            {"startTime": HELD_AT - 20 * 3_600_000, "endTime": HELD_AT + 10**9},
            settlements(start=HELD_AT - 20 * 3_600_000, end=HELD_AT),
        ),
        ({"startTime": 0, "endTime": FIRST_HOUR * 1000 - 1}, []),
    ],
)
async def test_a_page_of_settlements_is_newest_first_and_never_later_than_now(
    query: dict[str, Any], expected: list[int], serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        body = await get(http, f"{handle.url}/v5/market/funding/history", **ASKED, **query)
    assert [int(entry["fundingRateTimestamp"]) for entry in body["result"]["list"]] == expected[::-1]
    assert all(entry["fundingRate"] == "0" for entry in body["result"]["list"])


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("funding/history", {"startTime": 0}, "params error: endTime is invalid"),
        ("funding/history", {"limit": 0}, "params error: limit is invalid"),
        ("funding/history", {"symbol": "ETHUSDT"}, "params error: symbol invalid"),
        ("funding/history", {"category": "spot"}, "params error: Category is invalid"),
        ("kline", {"category": "option", "interval": "60"}, "params error: Category is invalid"),
        ("kline", {"interval": "W"}, "params error: intervalTime is invalid"),
        ("instruments-info", {"limit": "many"}, "params error: limit is invalid"),
    ],
)
async def test_a_wrong_parameter_is_named(
    path: str, query: dict[str, Any], message: str, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        body = await get(http, f"{handle.url}/v5/market/{path}", **{**ASKED, **query})
    assert (body["retCode"], body["retMsg"]) == (10001, message)


async def test_candles_without_a_category_are_those_of_the_linear_market(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        body = await get(http, f"{handle.url}/v5/market/kline", symbol="BTCUSDT", interval="60", limit=1)
    assert (body["retCode"], body["result"]["category"], len(body["result"]["list"])) == (0, "linear", 1)


async def test_ccxts_own_pagination_finds_all_candles(
    serve: ServeExchange, rest_client: RestClient, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        # It goes by its own clock where it begins. (With `until` it would ask for the newest page every time.)
        client.milliseconds = lambda: HELD_AT
        asked = {"paginate": True, "maxEntriesPerRequest": 20}
        found = await asyncio.to_thread(client.fetch_ohlcv, SYMBOL, "1h", FIRST_HOUR * 1000, None, asked)
    assert [row[0] for row in found][:72] == (candles.time[:72] * 1000).tolist()


async def test_beyond_the_limit_rest_answers_429_until_the_next_second(
    serve: ServeExchange, http: aiohttp.ClientSession, rest_client: RestClient
) -> None:
    async with serve(requests_per_second=3) as handle:
        seen = []
        for _ in range(8):
            async with http.get(f"{handle.url}/v5/market/time") as answer:
                seen.append((answer.status, answer.headers["X-Bapi-Limit"], answer.headers["X-Bapi-Limit-Status"]))
                reset = int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) / 1000
        assert {(200, "3", "2"), (200, "3", "0"), (429, "3", "0")} <= set(seen)
        assert reset < time.time() + 1.1
        assert (await http.get(f"{handle.url}/sandbox/status")).status == 200

        def many_calls() -> None:
            client = rest_client(handle)
            for _ in range(8):
                client.fetch_time()

        with pytest.raises(ccxt.RateLimitExceeded):
            await asyncio.to_thread(many_calls)


def test_each_client_has_its_own_limit_and_a_new_one_every_second() -> None:
    now = 10.25
    limit = RequestLimit(2, clock=lambda: now)
    assert [limit.count("a")[0] for _ in range(3)] == [True, True, False]
    assert limit.count("b")[0]
    now = 11.0
    assert limit.count("a") == (True, 1, 0.0)


async def test_without_the_setting_there_is_no_limit_and_no_header(
    serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        for _ in range(50):
            async with http.get(f"{handle.url}/v5/market/time") as answer:
                assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("X-Bapi")]
