"""Small candles, running servers on free ports, and clients for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import ccxt.pro
import numpy as np
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import ExchangeHandle, InboxHandle, serve_exchange, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

WAIT_SECONDS = 8.0
FIRST_HOUR = 1_500_000_400 // 3600 * 3600

ServeExchange = Callable[..., AbstractAsyncContextManager[ExchangeHandle]]
RestClient = Callable[[ExchangeHandle], Any]
ProClient = Callable[[ExchangeHandle], Any]


def make_candles(count: int, *, missing: tuple[int, ...] = (), seed: int = 1) -> RecordedCandles:
    """Return a random walk of hourly candles with two decimals, without the hours whose numbers are `missing`."""
    random = np.random.default_rng(seed)
    close = np.round(1000 + np.cumsum(random.normal(0, 5, count)), 2)
    opened = np.concatenate([[1000.0], close[:-1]])
    high = np.round(np.maximum(opened, close) + random.uniform(0.5, 4, count), 2)
    low = np.round(np.minimum(opened, close) - random.uniform(0.5, 4, count), 2)
    volume = np.round(random.uniform(10, 100, count), 3)
    kept = np.setdiff1d(np.arange(count), missing)
    time = FIRST_HOUR + 3600 * kept.astype(np.int64)
    return RecordedCandles(time, opened[kept], high[kept], low[kept], close[kept], volume[kept])


def write_csv(candles: RecordedCandles, path: Path) -> Path:
    """Write candles as a person would have them."""
    columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
    rows = [",".join(str(value) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    return path


@pytest.fixture
def candles() -> RecordedCandles:
    """Five days, the hour 100 missing."""
    return make_candles(120, missing=(100,))


@pytest.fixture
def serve(candles: RecordedCandles, tmp_path: Path) -> ServeExchange:
    """Start the exchange on `candles`, the last two days to be replayed; keyword arguments change its settings."""
    path = write_csv(candles, tmp_path / "candles.csv")

    def start(**changes: Any) -> AbstractAsyncContextManager[ExchangeHandle]:
        settings = SandboxSettings(**{"candles": path, "replay_days": 2, "candles_per_second": 50, **changes})
        return serve_exchange(settings, home=tmp_path, host="127.0.0.1", port=0)

    return start


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[InboxHandle]:
    """An inbox with nothing in it."""
    async with serve_inbox(SandboxSettings(), home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as handle:
        yield handle


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client with bounded waits."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_SECONDS)) as session:
        yield session


class Subscriber:
    """A raw websocket client of the exchange."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message and return the answer to it, passing over candles."""
        await self.socket.send_str(json.dumps(message))
        while True:
            answer = await self.receive()
            if "topic" not in answer:
                return answer

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        answer: dict[str, Any] = await self.socket.receive_json(timeout=WAIT_SECONDS)
        return answer

    async def candle(self, *, confirmed: bool | None = None) -> dict[str, Any]:
        """Return the next candle, or the next one that is or is not confirmed."""
        while True:
            message = await self.receive()
            if "topic" in message and confirmed in (None, message["data"][0]["confirm"]):
                data: dict[str, Any] = message["data"][0]
                return data


Connect = Callable[[ExchangeHandle], AbstractAsyncContextManager[Subscriber]]


@pytest.fixture
def subscribe(http: aiohttp.ClientSession) -> Connect:
    """Connect to an exchange and subscribe to its hourly candles."""

    @asynccontextmanager
    async def connect(handle: ExchangeHandle) -> AsyncIterator[Subscriber]:
        async with http.ws_connect(f"{handle.websocket_url}/v5/public/linear") as socket:
            subscriber = Subscriber(socket)
            answer = await subscriber.ask(op="subscribe", args=["kline.60.BTCUSDT"], req_id="1")
            assert answer["success"] is True
            yield subscriber

    return connect


def point_at(client: Any, handle: ExchangeHandle) -> None:
    """Make a ccxt client talk to the sandbox and to nothing else."""
    api = client.urls["api"]
    for key in api:
        api[key] = handle.url
    if isinstance(client, ccxt.pro.bybit):
        api["ws"] = {"public": {"linear": f"{handle.websocket_url}/v5/public/linear"}}


@pytest.fixture
def rest_client() -> RestClient:
    """Return ccxt's blocking client of an exchange; call it in a thread."""

    def make(handle: ExchangeHandle) -> Any:
        client = ccxt.bybit({"enableRateLimit": False})
        point_at(client, handle)
        return client

    return make


@pytest.fixture
async def pro_client() -> AsyncIterator[ProClient]:
    """Return ccxt's websocket client of an exchange."""
    clients = []

    def make(handle: ExchangeHandle) -> Any:
        client = ccxt.pro.bybit({"enableRateLimit": False})
        point_at(client, handle)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Wait until a condition holds, for a bounded time."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)

    return wait
