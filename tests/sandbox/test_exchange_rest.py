"""The exchange over REST, as ccxt and as Bybit's documentation ask it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import ccxt
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles

from tests.sandbox.conftest import FIRST_HOUR, ProClient, RestClient, ServeExchange

SYMBOL = "BTC/USDT:USDT"
HOUR = 3_600_000
FIRST = FIRST_HOUR * 1000
HELD_AT = FIRST + 72 * HOUR


async def get(http: aiohttp.ClientSession, url: str, **query: Any) -> dict[str, Any]:
    async with http.get(url, params=query) as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


def rows_of(candles: RecordedCandles) -> list[list[float]]:
    columns = (candles.time * 1000, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return [[float(value) for value in row] for row in zip(*columns, strict=True)]


async def test_ccxt_lists_one_linear_perpetual_and_needs_no_key(serve: ServeExchange, rest_client: RestClient) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        markets = await asyncio.to_thread(client.load_markets)
    assert list(markets) == [SYMBOL]
    market = markets[SYMBOL]
    assert (market["id"], market["type"], market["linear"], market["active"]) == ("BTCUSDT", "swap", True, True)
    assert (market["precision"]["price"], market["precision"]["amount"], market["contractSize"]) == (0.01, 0.001, 1)


async def test_the_exchanges_time_is_the_markets_and_stands_while_it_is_held(
    serve: ServeExchange, rest_client: RestClient
) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        assert [await asyncio.to_thread(client.fetch_time) for _ in range(2)] == [HELD_AT, HELD_AT]


async def test_ccxt_pages_through_the_whole_history_up_to_now(
    serve: ServeExchange, rest_client: RestClient, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        found: list[list[float]] = []
        since = FIRST - 5 * HOUR
        while page := await asyncio.to_thread(client.fetch_ohlcv, SYMBOL, "1h", since, 30):
            found += page
            since = page[-1][0] + 1
    opened = float(candles.open[72])
    assert found == [*rows_of(candles)[:72], [HELD_AT, opened, opened, opened, opened, 0]]


async def test_ccxt_without_a_start_gets_the_newest_candles(
    serve: ServeExchange, rest_client: RestClient, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        newest = await asyncio.to_thread(lambda: client.fetch_ohlcv(SYMBOL, "1h", limit=3))
        until = await asyncio.to_thread(
            lambda: client.fetch_ohlcv(SYMBOL, "1h", limit=3, params={"until": FIRST + 10 * HOUR})
        )
    assert newest[:2] == rows_of(candles)[70:72]
    assert newest[2][0] == HELD_AT
    assert until == rows_of(candles)[8:11]


async def test_ccxts_asynchronous_client_is_served_the_same(
    serve: ServeExchange, pro_client: ProClient, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        page = await pro_client(handle).fetch_ohlcv(SYMBOL, "1h", FIRST, 2)
    assert page == rows_of(candles)[:2]


@pytest.mark.parametrize(
    ("query", "hours"),
    [
        ({}, list(range(72, -1, -1))),
        ({"limit": 2}, [72, 71]),
        ({"start": FIRST, "limit": 2}, [1, 0]),
        ({"start": FIRST + HOUR // 2, "limit": 2}, [1, 0]),
        ({"start": FIRST, "end": FIRST + 50 * HOUR, "limit": 2}, [50, 49]),
        ({"start": FIRST + 3 * HOUR, "end": FIRST + 4 * HOUR}, [4, 3]),
        ({"end": FIRST + HOUR}, [1, 0]),
        ({"end": FIRST - 1}, []),
        ({"start": FIRST + 72 * HOUR}, [72]),
        ({"start": FIRST + 73 * HOUR}, []),
        ({"start": FIRST + 90 * HOUR, "end": FIRST + 95 * HOUR}, []),
        ({"limit": 5000}, list(range(72, -1, -1))),
    ],
)
async def test_a_page_of_candles_is_newest_first_and_never_later_than_now(
    query: dict[str, Any], hours: list[int], serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", **query}
        body = await get(http, f"{handle.url}/v5/market/kline", **asked)
    assert [(int(row[0]) - FIRST) // HOUR for row in body["result"]["list"]] == hours


async def test_a_candle_over_rest_is_worded_as_bybit_words_it(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "start": FIRST, "limit": 1}
        body = await get(http, f"{handle.url}/v5/market/kline", **asked)
    [[*words, turnover]] = body["result"].pop("list")
    assert body == {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"symbol": "BTCUSDT", "category": "linear"},
        "retExtInfo": {},
        "time": HELD_AT,
    }
    assert words == [str(FIRST), "1000", *(f"{value:g}" for value in (candles.high[0], candles.low[0])), *words[4:]]
    assert float(words[4]) == candles.close[0]
    assert candles.low[0] < float(turnover) / float(words[5]) < candles.high[0]


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("kline", {"category": ""}, "params error: Category is invalid"),
        ("kline", {"symbol": "ETHUSDT"}, "params error: Symbol Is Invalid"),
        ("kline", {"category": "spot"}, "params error: Symbol Is Invalid"),
        ("kline", {"interval": "7"}, "params error: intervalTime is invalid"),
        ("kline", {"limit": "0"}, "params error: limit is invalid"),
        ("kline", {"limit": "-5"}, "params error: limit is invalid"),
        ("kline", {"start": "yesterday"}, "params error: start is invalid"),
        ("kline", {"end": "9" * 30}, "params error: end is invalid"),
        ("tickers", {"symbol": "ETHUSDT"}, "params error: symbol invalid"),
        ("instruments-info", {"symbol": "ETHUSDT"}, "params error: symbol invalid"),
        ("instruments-info", {"category": "stocks"}, "params error: Category is invalid"),
    ],
)
async def test_a_wrong_parameter_is_error_10001_with_http_200(
    path: str, query: dict[str, str], message: str, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle:
        asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", **query}
        body = await get(http, f"{handle.url}/v5/market/{path}", **asked)
    assert (body["retCode"], body["retMsg"], body["result"]) == (10001, message, {})


async def test_a_wrong_parameter_is_a_bad_request_to_ccxt(serve: ServeExchange, rest_client: RestClient) -> None:
    async with serve() as handle:
        client = rest_client(handle)
        with pytest.raises(ccxt.BadRequest, match="intervalTime is invalid"):
            await asyncio.to_thread(client.fetch_ohlcv, SYMBOL, "5m")


async def test_the_ticker_tells_the_last_price_and_the_last_day(
    serve: ServeExchange, rest_client: RestClient, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        ticker = await asyncio.to_thread(rest_client(handle).fetch_ticker, SYMBOL)
    assert ticker["last"] == candles.open[72]
    assert (ticker["open"], ticker["high"]) == (candles.open[48], max(candles.high[48:72]))
    assert ticker["baseVolume"] == pytest.approx(candles.volume[48:72].sum())


async def test_when_the_replay_is_over_the_market_is_closed_and_all_candles_are_there(
    serve: ServeExchange,
    rest_client: RestClient,
    http: aiohttp.ClientSession,
    candles: RecordedCandles,
    eventually: Any,
) -> None:
    async with serve(candles_per_second=1000) as handle:
        client = rest_client(handle)
        await asyncio.to_thread(client.load_markets)
        await http.post(f"{handle.url}/sandbox/resume")

        async def over() -> bool:
            status = await get(http, f"{handle.url}/sandbox/status")
            return bool(status["state"] == "over")

        await eventually(over)
        markets = await asyncio.to_thread(lambda: client.load_markets(reload=True))
        assert markets[SYMBOL]["active"] is False
        assert await asyncio.to_thread(client.fetch_time) == candles.end * 1000
        page = await asyncio.to_thread(lambda: client.fetch_ohlcv(SYMBOL, "1h", limit=1000))
    assert page == rows_of(candles)
