"""The retrain job's collecting, by ccxt over HTTP: through an exchange's bad moments, and from one world to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_sandbox.settings import SandboxSettings
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.settings import ExchangeSettings, TrendbotSettings

from tests.sandbox.conftest import make_candles, write_csv

SYMBOL = "BTC/USDT:USDT"
COUNT = 60 * 24
MISSING = 700


@asynccontextmanager
async def world(folder: Path, *, seed: int = 1, port: int = 0, **changes: Any) -> AsyncIterator[ExchangeHandle]:
    """Serve sixty days, an hour missing, the last two to be replayed, at a standstill."""
    folder.mkdir(exist_ok=True)
    candles = write_csv(make_candles(COUNT, seed=seed, missing=(MISSING,)), folder / "candles.csv")
    settings = SandboxSettings(candles=candles, replay_days=2, candles_per_second=0.001, funding_rate=0.0001, **changes)
    async with serve_exchange(settings, home=folder, host="127.0.0.1", port=port) as handle:
        yield handle


async def collected(handle: ExchangeHandle, home: Path) -> CandleWindow:
    there = ExchangeSettings(rest_url=handle.url, stream_url=handle.websocket_url, rate_limited=False)
    pipeline = TrendPipeline(TrendbotSettings(exchange=there, symbols=(SYMBOL,)), home=home)
    return await asyncio.to_thread(pipeline.collect, days=60, progress=lambda _stage, _share: None)


def notes(window: CandleWindow) -> list[str]:
    findings = window.info.report["symbols"][SYMBOL]["findings"]
    return [finding["message"] for finding in findings if finding["kind"] == "store"]


@pytest.mark.parametrize("fault", ["error500", "rate_limit"])
async def test_it_waits_until_an_exchange_answers_again(
    fault: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with world(tmp_path / "world") as handle:
        quiet = await collected(handle, tmp_path / "quiet")
        async with http.post(f"{handle.url}/sandbox/fault", json={"name": fault, "seconds": 0.4}) as answer:
            assert answer.status == 200
        window = await collected(handle, tmp_path)
    assert (window.info.fingerprint, window.info.warnings) == (quiet.info.fingerprint, quiet.info.warnings)
    part = window.info.report["symbols"][SYMBOL]
    assert (part["missing"], part["gaps"][0]["bars"], part["funding"]["rows"]) == (1, 1, 58 * 3)


async def test_a_clock_that_was_ahead_leaves_nothing_behind(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with world(tmp_path / "world") as handle:
        truth = await collected(handle, tmp_path / "truth")
        ahead = {"name": "clock_offset", "seconds": 60, "offset_seconds": 3600}
        async with http.post(f"{handle.url}/sandbox/fault", json=ahead) as answer:
            assert answer.status == 200
        wrong = await collected(handle, tmp_path)
        async with http.delete(f"{handle.url}/sandbox/fault"):
            pass
        window = await collected(handle, tmp_path)
    assert wrong.info.rows == truth.info.rows + 1  # the candle that was forming
    assert window.info.fingerprint == truth.info.fingerprint
    assert notes(window)[0].startswith("1 stored rows lie ahead of the exchange's time, ")


async def test_what_was_collected_in_another_world_at_the_same_place_is_not_mixed_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with world(tmp_path / "one") as handle:
        first = await collected(handle, home)
        port = int(handle.url.rpartition(":")[2])
    async with world(tmp_path / "other", seed=2, port=port) as handle:
        second = await collected(handle, home)
        truth = await collected(handle, tmp_path / "truth")
    assert first.info.fingerprint != second.info.fingerprint == truth.info.fingerprint
    assert notes(second)[0].startswith("24 of 24 rows stored from ")
    assert "set aside as BTC%2FUSDT%3AUSDT-1h.parquet.damaged-" in notes(second)[0]
    assert notes(second)[0].endswith("Z, and all is fetched anew")
