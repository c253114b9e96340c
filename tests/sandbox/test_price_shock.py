"""A price shock: another future, one and the same over REST and on the stream, and the past untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.errors import PositionError
from nightdesk_sandbox.position import ReplayPosition
from nightdesk_sandbox.recordings.aggregate import Aggregate
from nightdesk_sandbox.recordings.candles import RecordedCandles, check
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.recordings.shocks import Shock, Shocks
from nightdesk_sandbox.server import ExchangeHandle

from tests.sandbox.conftest import FIRST_HOUR, Connect, ServeExchange, make_candles

PRICES = ("open", "high", "low", "close")


async def rows(http: aiohttp.ClientSession, handle: ExchangeHandle) -> list[list[str]]:
    """Return all candles so far, oldest first."""
    asked: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "limit": 1000}
    async with http.get(f"{handle.url}/v5/market/kline", params=asked) as answer:
        found: list[list[str]] = (await answer.json())["result"]["list"][::-1]
        return found


async def shock(http: aiohttp.ClientSession, handle: ExchangeHandle, change: float) -> None:
    async with http.post(f"{handle.url}/sandbox/fault", json={"name": "price_shock", "change": change}) as answer:
        assert answer.status == 200
        assert (await answer.json())["faults"]["price_shock"] > 0


async def test_the_next_candle_opens_with_the_jump_and_rest_and_stream_agree_on_it(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, candles: RecordedCandles
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        await subscriber.candle(confirmed=True)
        await http.post(f"{handle.url}/sandbox/pause")
        before = await rows(http, handle)
        await shock(http, handle, -0.2)
        assert await rows(http, handle) == before
        await http.post(f"{handle.url}/sandbox/resume")
        known = {int(row[0]) for row in before}
        seen: list[list[str]] = []
        while len(seen) < 3:
            data = await subscriber.candle(confirmed=True)
            if data["start"] not in known:
                seen.append([str(data["start"]), *(data[name] for name in (*PRICES, "volume", "turnover"))])
        by_rest = {row[0]: row for row in await rows(http, handle)}
    for row in seen:
        index = int(np.searchsorted(candles.time * 1000, int(row[0])))
        assert by_rest[row[0]] == row
        assert [float(value) for value in row[1:5]] == [
            round(float(getattr(candles, name)[index]) * 0.8, 2) for name in PRICES
        ]
        assert float(row[5]) == candles.volume[index]
    index = len(before) - 1
    assert float(by_rest[before[-1][0]][4]) == candles.close[index]


async def test_a_changed_world_does_not_change_back_when_the_exchange_restarts(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        await subscriber.candle(confirmed=True)
        await shock(http, handle, 0.5)
        for _ in range(5):
            await subscriber.candle(confirmed=True)
        await http.post(f"{handle.url}/sandbox/pause")
        closed = (await rows(http, handle))[:-1]
    async with serve() as handle:
        assert (await rows(http, handle))[: len(closed)] == closed


async def test_a_replay_that_begins_anew_begins_without_shocks(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, tmp_path: Path, candles: RecordedCandles
) -> None:
    async with serve() as handle:
        await shock(http, handle, 0.5)
    (tmp_path / "sandbox" / "replay.json").unlink()
    async with serve() as handle, subscribe(handle) as subscriber:
        await subscriber.candle(confirmed=True)
        confirmed = await subscriber.candle(confirmed=True)
    assert float(confirmed["close"]) == candles.close[73]
    assert not (tmp_path / "sandbox" / "shocks.json").exists()


def test_damaged_shocks_are_an_error_and_no_other_world(tmp_path: Path, candles: RecordedCandles) -> None:
    position = ReplayPosition.of(candles, start=FIRST_HOUR, folder=tmp_path)
    position.save(FIRST_HOUR)
    Shocks(position).add(Shock(at=FIRST_HOUR, factor=2))
    assert Shocks(position).load() == [Shock(at=FIRST_HOUR, factor=2)]
    (tmp_path / "shocks.json").write_text("{")
    with pytest.raises(PositionError, match=r"shocks\.json: is not JSON: .*; delete it"):
        Shocks(position).load()


@pytest.mark.parametrize("change", [-1, 11, "NaN", None])
async def test_a_shock_that_no_market_could_take_is_refused(
    change: Any, serve: ServeExchange, http: aiohttp.ClientSession
) -> None:
    body = {"name": "price_shock", "change": change}
    async with serve() as handle, http.post(f"{handle.url}/sandbox/fault", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith("change: ")


def test_a_longer_candle_around_the_shock_is_made_of_the_hours_on_both_sides() -> None:
    candles = make_candles(48)
    chart = HourlyCandles(candles, now=lambda: float(candles.end))
    days = Aggregate(chart, 86_400)
    moment = FIRST_HOUR + 30 * 3600
    chart.scale_after(moment, 0.5)
    index = int(np.searchsorted(days.time, moment, side="right")) - 1
    hours = candles.time // 86_400 == moment // 86_400
    before, after = hours & (candles.time <= moment), hours & (candles.time > moment)
    assert days.candle(index).high == candles.high[before].max()
    assert days.candle(index).low == round(float(candles.low[after].min()) * 0.5, 2)


@given(factors=st.lists(st.floats(0.0001, 11), min_size=1, max_size=4), hour=st.integers(0, 19))
def test_whatever_the_shocks_what_follows_are_candles(factors: list[float], hour: int) -> None:
    candles = make_candles(20)
    chart = HourlyCandles(candles, now=lambda: float(candles.end))
    for factor in factors:
        chart.scale_after(FIRST_HOUR + hour * 3600, factor)
    check(chart.candles, source="shocked")
    assert np.array_equal(chart.candles.close[: hour + 1], candles.close[: hour + 1])
