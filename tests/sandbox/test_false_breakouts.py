"""A market in which breakouts fail: candles like any other, the past untouched, and no seam."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.recordings.candles import PRICE_COLUMNS, VALUE_COLUMNS, RecordedCandles, check
from nightdesk_sandbox.recordings.false_breakouts import Spell, with_false_breakouts
from nightdesk_sandbox.recordings.markets import false_breakouts, load_markets
from nightdesk_sandbox.settings import SandboxSettings
from pydantic import ValidationError

from tests.sandbox.conftest import FIRST_HOUR, Connect, ServeExchange, make_candles, write_csv

HOUR = 3600
DAY = 24 * HOUR


def trending(hours: int = 600) -> RecordedCandles:
    """A market that rises by half a percent every hour, with gaps between close and open now and then."""
    number = np.arange(hours)
    close = np.round(1000 * 1.005**number, 2)
    opened = np.round(np.concatenate([[1000.0], close[:-1]]) * np.where(number % 50 == 49, 1.001, 1.0), 2)
    high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    return RecordedCandles(FIRST_HOUR + HOUR * number, opened, high, low, close, np.full(hours, 10.0))


def spell(first: int, stop: float, *, share: float = 1.0) -> Spell:
    """Return a spell from one hour's number until another's."""
    return Spell(FIRST_HOUR + HOUR * first, FIRST_HOUR + HOUR * stop, share=share)


def failures(candles: RecordedCandles, first: int, stop: int) -> list[bool]:
    """Return of each breakout whether the next move of 1% goes back; one that follows before that does not count."""
    found, settled = [], first
    for index in range(first, stop):
        hours = slice(index - 24, index)
        up, down = candles.close[index] > candles.high[hours].max(), candles.close[index] < candles.low[hours].min()
        if index < settled or not (up or down):
            continue
        price = candles.close[index]
        for later in range(index + 1, stop):
            rose, fell = candles.high[later] > price * 1.0099, candles.low[later] < price / 1.0099
            if rose or fell:
                found.append(bool(fell if up else rose))
                settled = later
                break
    return found


def assert_candles_with_their_shape(before: RecordedCandles, after: RecordedCandles) -> None:
    """Check that they are candles, of the same times, volumes, gaps and widths as before but for the tick."""
    check(after, source="a test")
    assert after.time is before.time
    assert after.volume is before.volume
    for name in ("open", "close"):
        was = np.log(getattr(before, name)[1:] / before.close[:-1])
        now = np.log(getattr(after, name)[1:] / after.close[:-1])
        np.testing.assert_allclose(np.abs(now), np.abs(was), atol=3 * 0.01 / after.low.min())
    width = np.log(before.high / before.low)
    np.testing.assert_allclose(np.log(after.high / after.low), width, atol=3 * 0.01 / after.low.min())


def test_every_breakout_of_the_spell_fails_and_those_before_and_after_it_go_on() -> None:
    market = trending()
    changed = with_false_breakouts(market, spell(200, 400))
    assert not any(failures(market, 30, 600))
    assert not any(failures(changed, 30, 190))
    inside = failures(changed, 200, 400)
    assert len(inside) > 10
    assert all(inside)
    assert not any(failures(changed, 430, 600))


def test_a_share_of_the_breakouts_fails_one_after_the_other() -> None:
    changed = with_false_breakouts(trending(2000), spell(200, 1900, share=0.5))
    inside = failures(changed, 200, 1900)
    assert len(inside) > 30
    assert 0.4 < np.mean(inside) < 0.6


@given(
    seed=st.integers(0, 1000),
    first=st.integers(0, 350),
    length=st.one_of(st.integers(0, 300), st.just(math.inf)),
    share=st.floats(0.01, 1),
)
def test_whatever_the_spell_they_are_candles_and_what_lies_before_it_is_untouched(
    seed: int, first: int, length: float, share: float
) -> None:
    market = make_candles(360, missing=(100, 250), seed=seed)
    chosen = spell(first, first + length, share=share)
    changed = with_false_breakouts(market, chosen)
    assert_candles_with_their_shape(market, changed)
    before = market.time < chosen.start
    for name in VALUE_COLUMNS:
        assert (getattr(changed, name)[before] == getattr(market, name)[before]).all()
    after = market.time >= chosen.end
    if after.any():
        ratio = changed.close[after] / market.close[after]
        np.testing.assert_allclose(ratio, ratio[0], atol=0.02 / market.low.min())


def test_the_same_spell_makes_the_same_candles() -> None:
    market = make_candles(360)
    made = [with_false_breakouts(market, spell(100, 300)).fingerprint for _ in range(2)]
    assert made[0] == made[1] != market.fingerprint


@pytest.mark.parametrize("chosen", [spell(300, 200), spell(400, 500), spell(0, 20)])
def test_a_spell_that_holds_no_hour_changes_nothing(chosen: Spell) -> None:
    market = make_candles(360)
    assert with_false_breakouts(market, chosen) is market


def test_a_tiny_price_stays_above_zero() -> None:
    market = trending()
    falling = replace(market, **{name: np.round(getattr(market, name) * 1e-5, 2) for name in PRICE_COLUMNS})
    cheap = replace(falling, open=falling.close, high=falling.close + 0.01, low=falling.close)
    positive = replace(cheap, **{name: np.maximum(getattr(cheap, name), 0.01) for name in PRICE_COLUMNS})
    check(with_false_breakouts(positive, spell(50, 600)), source="a test")


def settings(path: Path, **spell: float) -> SandboxSettings:
    return SandboxSettings.model_validate({"candles": path, "replay_days": 10, "false_breakouts": spell})


def test_the_settings_count_days_from_the_replay_s_start(tmp_path: Path) -> None:
    market = make_candles(480)
    path = write_csv(market, tmp_path / "candles.csv")
    start = market.end - 10 * DAY
    assert false_breakouts(settings(path), market) is None
    chosen = settings(path, share=0.5, from_day=2, days=3)
    assert false_breakouts(chosen, market) == Spell(start + 2 * DAY, start + 5 * DAY, share=0.5)
    assert false_breakouts(settings(path, share=1), market) == Spell(start, math.inf)
    (loaded,) = load_markets(chosen, home=tmp_path).values()
    expected = with_false_breakouts(market, Spell(start + 2 * DAY, start + 5 * DAY, share=0.5))
    assert loaded.fingerprint == expected.fingerprint != market.fingerprint


@pytest.mark.parametrize("wrong", [{"share": 1.1}, {"share": -0.1}, {"days": 0}, {"from_day": -1}])
def test_a_spell_that_cannot_be_is_refused(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        settings(tmp_path, **wrong)


async def test_rest_and_stream_tell_of_the_same_market_also_after_a_restart(
    serve: ServeExchange, http: aiohttp.ClientSession, subscribe: Connect, candles: RecordedCandles
) -> None:
    start = candles.end - 3 * DAY
    expected = with_false_breakouts(candles, Spell(start, math.inf))
    assert expected.fingerprint != candles.fingerprint
    asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "limit": "1000"}
    for _ in range(2):
        async with serve(replay_days=3, false_breakouts={"share": 1}) as handle, subscribe(handle) as subscriber:
            streamed = [await subscriber.candle(confirmed=True) for _ in range(10)]
            async with http.get(f"{handle.url}/v5/market/kline", params=asked) as answer:
                rows = {int(row[0]): row for row in (await answer.json())["result"]["list"]}
        for data in streamed:
            index = int(np.searchsorted(expected.time * 1000, data["start"]))
            row = rows[data["start"]]
            assert row[1:6] == [data[name] for name in VALUE_COLUMNS]
            assert [float(value) for value in row[1:6]] == [getattr(expected, name)[index] for name in VALUE_COLUMNS]
