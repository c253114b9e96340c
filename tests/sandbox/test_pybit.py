"""Bybit's own client against the exchange: what ccxt forgives or never looks at, it may not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import ExchangeHandle
from pybit import exceptions as errors
from pybit import unified_trading as trading

from tests.sandbox.conftest import FIRST_HOUR, WAIT_SECONDS, ServeExchange

ASKED = {"category": "linear", "symbol": "BTCUSDT"}
HELD_AT = (FIRST_HOUR + 72 * 3600) * 1000


async def ask(handle: ExchangeHandle, call: Callable[[Any], Any]) -> Any:
    """Return what a call of pybit's blocking client returns."""

    def work() -> Any:
        client = trading.HTTP(max_retries=1)
        client.endpoint = handle.url
        try:
            return call(client)
        finally:
            client.client.close()

    return await asyncio.to_thread(work)


async def test_it_reads_time_markets_tickers_and_candles(serve: ServeExchange, candles: RecordedCandles) -> None:
    async with serve() as handle:
        clock = await ask(handle, lambda client: client.get_server_time())
        markets = await ask(handle, lambda client: client.get_instruments_info(category="linear"))
        tickers = await ask(handle, lambda client: client.get_tickers(**ASKED))
        page = await ask(handle, lambda client: client.get_kline(**ASKED, interval=60, limit=3))
        days = await ask(handle, lambda client: client.get_kline(**ASKED, interval="D"))
    assert (clock["retCode"], clock["result"]["timeSecond"]) == (0, str(HELD_AT // 1000))
    assert [market["symbol"] for market in markets["result"]["list"]] == ["BTCUSDT"]
    assert float(tickers["result"]["list"][0]["lastPrice"]) == candles.open[72]
    assert [int(row[0]) for row in page["result"]["list"]] == [HELD_AT, HELD_AT - 3_600_000, HELD_AT - 7_200_000]
    assert len(days["result"]["list"]) == 4


async def test_it_reads_the_funding_history(serve: ServeExchange) -> None:
    async with serve(funding_rate=0.0001) as handle:
        history = await ask(handle, lambda client: client.get_funding_rate_history(**ASKED, limit=2))
    assert [entry["fundingRate"] for entry in history["result"]["list"]] == ["0.0001", "0.0001"]


async def test_a_wrong_symbol_is_an_invalid_request_with_bybits_code(serve: ServeExchange) -> None:
    async with serve() as handle:
        with pytest.raises(errors.InvalidRequestError) as raised:
            await ask(handle, lambda client: client.get_kline(category="linear", symbol="ETHUSDT", interval=60))
    assert (raised.value.status_code, raised.value.message) == (10001, "params error: Symbol Is Invalid")


async def test_it_is_sent_candles_until_they_are_confirmed(
    serve: ServeExchange, candles: RecordedCandles, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def receive(message: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(received.put_nowait, message)

    def subscribe(stream: Any) -> None:
        """Subscribe, and let no message in before: pybit 5 notes a subscription only after it has sent the request for
        it, and its thread dies of an answer that comes between the two, as one over loopback may."""
        noted, handle = threading.Event(), stream._on_message
        stream._on_message = lambda message: noted.wait() and handle(message)
        stream.kline_stream(interval=60, symbol="BTCUSDT", callback=receive)
        noted.set()

    async with serve(candles_per_second=20) as handle, asyncio.timeout(WAIT_SECONDS):
        monkeypatch.setattr(trading, "PUBLIC_WSS", f"{handle.websocket_url}/v5/public/{{CHANNEL_TYPE}}")
        stream = await asyncio.to_thread(lambda: trading.WebSocket(testnet=False, channel_type="linear"))
        try:
            await asyncio.to_thread(subscribe, stream)
            confirmed: list[dict[str, Any]] = []
            while len(confirmed) < 3:
                data = (await received.get())["data"][0]
                if data["confirm"]:
                    confirmed.append(data)
        finally:
            await asyncio.to_thread(stream.exit)
    assert [float(data["close"]) for data in confirmed] == candles.close[72:75].tolist()
