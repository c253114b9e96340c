"""What ccxt's stream makes of each fault: what a bot must be ready for that trusts it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import ExchangeHandle

from tests.sandbox.conftest import WAIT_SECONDS, ProClient, ServeExchange

SYMBOL = "BTC/USDT:USDT"
WATCHED = 8
"""Candles that are watched; what is said of the last two may still change."""


async def begin(http: aiohttp.ClientSession, handle: ExchangeHandle, case: dict[str, Any]) -> None:
    async with http.post(f"{handle.url}/sandbox/fault", json={"seconds": 60, **case}) as answer:
        assert answer.status == 200


async def watch(client: Any, handle: ExchangeHandle) -> None:
    """Watch as a bot does while the candles pass."""
    while handle.exchange.candles_served < WATCHED:
        await client.watch_ohlcv(SYMBOL, "1h")


@pytest.mark.parametrize(
    ("case", "true"),
    [
        ({"name": "gap"}, True),
        ({"name": "duplicate"}, True),
        ({"name": "late"}, True),
        ({"name": "revised"}, True),
        ({"name": "revised", "what": "confirmation"}, True),
        ({"name": "clock_offset", "offset_seconds": 3600}, True),
        ({"name": "malformed", "kind": "no_data"}, True),
        ({"name": "malformed", "kind": "missing_fields"}, True),
        # It drops `confirm`, so what came last stands, whatever it was.
        ({"name": "gap", "what": "confirmation", "every": 1}, False),
        ({"name": "out_of_order"}, False),
        ({"name": "malformed", "kind": "wrong_types"}, False),
    ],
    ids=lambda case: "-".join(map(str, case.values())) if isinstance(case, dict) else None,
)
async def test_what_ccxt_keeps_of_a_closed_candle_is_true_or_not(
    case: dict[str, Any],
    true: bool,
    serve: ServeExchange,
    http: aiohttp.ClientSession,
    pro_client: ProClient,
    candles: RecordedCandles,
) -> None:
    truth = dict(zip((candles.time * 1000).tolist(), candles.close.tolist(), strict=True))
    async with serve(candles_per_second=15) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        await client.load_markets()
        await begin(http, handle, case)
        await watch(client, handle)
        # What `watch_ohlcv` hands out depends on how fast it is asked: an older candle that changed may be left out.
        last = {row[0]: row[4] for row in client.ohlcvs[SYMBOL]["1h"] if row[0] is not None}
    settled = sorted(last)[:-2]
    assert len(settled) >= 2
    assert {last[time] == truth[time] for time in settled} == {true}


async def test_a_message_without_a_start_is_a_candle_without_a_time_to_ccxt(
    serve: ServeExchange, http: aiohttp.ClientSession, pro_client: ProClient
) -> None:
    async with serve(candles_per_second=15) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        await client.load_markets()
        await begin(http, handle, {"name": "malformed", "kind": "missing_fields"})
        await watch(client, handle)
        kept = [list(row) for row in client.ohlcvs[SYMBOL]["1h"]]
    assert [row for row in kept if row[0] is None and row[4] is None]


async def test_after_a_message_that_is_no_json_ccxts_stream_says_nothing_more_and_raises_nothing(
    serve: ServeExchange, http: aiohttp.ClientSession, pro_client: ProClient
) -> None:
    async with serve(candles_per_second=15) as handle, asyncio.timeout(WAIT_SECONDS):
        client = pro_client(handle)
        await client.watch_ohlcv(SYMBOL, "1h")
        await begin(http, handle, {"name": "malformed", "kind": "text"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await watch(client, handle)
        await http.delete(f"{handle.url}/sandbox/fault")
        # By REST it goes on answering, and once hung up it connects again.
        assert await client.fetch_ohlcv(SYMBOL, "1h", limit=2)
        await client.close_ws_clients()
        assert await client.watch_ohlcv(SYMBOL, "1h")
