"""The exchange's position survives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.errors import PositionError
from nightdesk_sandbox.position import ReplayPosition
from nightdesk_sandbox.recordings.candles import RecordedCandles

from tests.sandbox.conftest import FIRST_HOUR, Connect, ServeExchange, make_candles, write_csv


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "sandbox" / "replay.json"


async def test_after_a_restart_the_market_is_held_where_it_was_and_goes_on_from_there(
    serve: ServeExchange, subscribe: Connect, http: aiohttp.ClientSession
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        for _ in range(3):
            last = await subscriber.candle(confirmed=True)
        await http.post(f"{handle.url}/sandbox/pause")
        stood = handle.exchange.replay.now()
    async with serve() as handle:
        assert handle.exchange.status()["state"] == "held"
        assert handle.exchange.replay.now() == stood
        async with subscribe(handle) as subscriber:
            following = await subscriber.candle(confirmed=True)
    assert following["start"] == int(stood) // 3600 * 3_600_000 > last["start"]


async def test_each_confirmed_candle_is_on_disk_before_it_is_sent(
    serve: ServeExchange, subscribe: Connect, kept: Path
) -> None:
    async with serve(candles_per_second=10) as handle, subscribe(handle) as subscriber:
        for _ in range(3):
            candle = await subscriber.candle(confirmed=True)
            assert json.loads(kept.read_text())["position"] >= (candle["end"] + 1) / 1000


async def test_a_replay_that_is_over_stays_over(
    serve: ServeExchange, http: aiohttp.ClientSession, candles: RecordedCandles, eventually: Any
) -> None:
    async with serve(candles_per_second=1000) as handle:
        await http.post(f"{handle.url}/sandbox/resume")

        async def over() -> bool:
            return handle.exchange.replay.over

        await eventually(over)
    async with serve() as handle:
        assert handle.exchange.status()["state"] == "over"
        assert handle.exchange.replay.now() == candles.end


@pytest.mark.parametrize("change", ["other candles", "another start"])
async def test_another_replay_begins_anew(change: str, serve: ServeExchange, kept: Path, tmp_path: Path) -> None:
    async with serve() as handle:
        handle.exchange.run()
    assert json.loads(kept.read_text())["position"] > FIRST_HOUR + 72 * 3600
    other = write_csv(make_candles(120, seed=2), tmp_path / "other.csv")
    changes: dict[str, Any] = {"candles": other} if change == "other candles" else {"replay_days": 1}
    async with serve(**changes) as handle:
        assert handle.exchange.replay.now() == FIRST_HOUR + (72 if change == "other candles" else 96) * 3600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"candles": "a", "start": 1, "position": NaN, "market_time": ""}'])
def test_a_damaged_position_is_an_error_and_no_fresh_start(
    content: str, candles: RecordedCandles, tmp_path: Path
) -> None:
    position = ReplayPosition.of(candles, start=FIRST_HOUR, folder=tmp_path)
    position.path.write_text(content)
    with pytest.raises(
        PositionError, match=r"replay\.json: (is damaged|is not JSON: ).*; delete it to replay from the start"
    ):
        position.load()


async def test_a_position_that_cannot_be_kept_does_not_stop_the_market(
    serve: ServeExchange, subscribe: Connect, kept: Path
) -> None:
    async with serve() as handle, subscribe(handle) as subscriber:
        kept.parent.write_text("a file where the folder should be")
        for _ in range(3):
            await subscriber.candle(confirmed=True)
    assert not kept.exists()


def test_a_kept_position_says_whether_it_is_another_replay_s(tmp_path: Path) -> None:
    candles = make_candles(120)
    position = ReplayPosition.of(candles, start=FIRST_HOUR + 7200, folder=tmp_path)
    assert not position.is_another_s
    position.save(FIRST_HOUR + 9000)
    assert not position.is_another_s
    assert ReplayPosition.of(candles, start=FIRST_HOUR + 3600, folder=tmp_path).is_another_s
    assert ReplayPosition.of(make_candles(120, seed=2), start=FIRST_HOUR + 7200, folder=tmp_path).is_another_s
