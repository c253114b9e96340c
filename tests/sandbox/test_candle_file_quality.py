"""What single candles do not show is found, and in what real and simulated markets do nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import PRICE_COLUMNS, VALUE_COLUMNS, RecordedCandles, Values
from nightdesk_sandbox.recordings.files.quality import Finding, findings
from nightdesk_sandbox.recordings.files.reader import read_candles
from nightdesk_sandbox.recordings.files.settings import CandleFileSettings, Stop
from nightdesk_sandbox.recordings.sample import BITCOIN, EURO, Sample, load_sample

from tests.campaigns import SEED, cases
from tests.sandbox.conftest import write_csv
from tests.sandbox.simulated_markets import KINDS, simulated_market

CACHE = Path(__file__).resolve().parents[2] / "var" / "cache"
Columns = dict[str, Values]
Damage = Callable[[Columns, int], None]


@pytest.fixture(scope="module", params=[BITCOIN, EURO], ids=["Bitcoin", "euro"])
def real(request: pytest.FixtureRequest) -> RecordedCandles:
    """A real market, from the network only where the checkout's cache is empty."""
    sample: Sample = request.param
    return load_sample(sample, folder=CACHE)


def found_in(candles: RecordedCandles, *, accept: tuple[Stop, ...] = ()) -> list[Finding]:
    return findings(candles, np.arange(2, len(candles) + 2), accept=accept)


def damaged(candles: RecordedCandles, damage: Damage, at: int) -> RecordedCandles:
    columns = {name: getattr(candles, name).copy() for name in VALUE_COLUMNS}
    damage(columns, at)
    return replace(candles, **columns)


def scaled(factor: float, hours: int | None = None) -> Damage:
    def damage(columns: Columns, at: int) -> None:
        for name in PRICE_COLUMNS:
            columns[name][at : None if hours is None else at + hours] *= factor

    return damage


def frozen(columns: Columns, at: int) -> None:
    for name in PRICE_COLUMNS:
        columns[name][at : at + 100] = columns["close"][at]


def copied(back: int, hours: int) -> Damage:
    def damage(columns: Columns, at: int) -> None:
        for column in columns.values():
            column[at : at + hours] = column[at - back : at - back + hours]

    return damage


def louder(factor: float, hours: int | None) -> Damage:
    def damage(columns: Columns, at: int) -> None:
        columns["volume"][at : None if hours is None else at + hours] *= factor

    return damage


def swapped(hours: int | None = None) -> Damage:
    def damage(columns: Columns, at: int) -> None:
        part = slice(at, None if hours is None else at + hours)
        columns["open"][part], columns["close"][part] = columns["close"][part].copy(), columns["open"][part].copy()

    return damage


def turned_round(columns: Columns, _at: int) -> None:
    for column in columns.values():
        column[:] = column[::-1].copy()


def false_trade(columns: Columns, at: int) -> None:
    columns["high"][at] *= 10


@pytest.mark.parametrize(
    ("damage", "kind", "stops", "row", "words"),
    [
        (scaled(100), "scale", True, 3002, "prices are 100 times those of the row before: another unit"),
        (scaled(1000), "scale", True, 3002, "times those of the row before: another unit"),
        (scaled(0.01), "scale", True, 3002, "prices are 0.01 times"),
        (scaled(0.5), "scale", True, 3002, "prices are 0.5 times"),
        (scaled(10, 300), "scale", True, 3002, "prices are 10 times those of the row before until row 3302 ("),
        (scaled(10, 1), "scale", True, 3002, "until row 3003 ("),
        (copied(24, 24), "repeated", True, 3002, "begin 24 candles that are those from row 2978 ("),
        (copied(2000, 24), "repeated", True, 3002, "begin 24 candles that are those from row 1002 ("),
        (copied(168, 168), "repeated", True, 3002, "begin 168 candles that are those from row 2834 ("),
        (swapped(), "backwards", True, None, "open and close are swapped, or time runs backwards"),
        (swapped(60), "backwards", True, None, "begin candles that open where the next one closes"),
        (turned_round, "backwards", True, 2, "or time runs backwards"),
        (scaled(1.2), "gap", False, 3002, "opens at 1.2 times the close before it: is another currency"),
        (scaled(1 / 1.2), "gap", False, 3002, "opens at 0.83"),
        (louder(0, 240), "volume", False, 3002, "begin 240 candles without volume that have moved"),
        (louder(0, None), "volume", False, 3002, "without volume that have moved: was the volume not recorded?"),
        (frozen, "frozen", False, 3002, "begin 100 candles with the same prices, although there was volume"),
        (louder(11_000, None), "volume", False, None, "times that of the three days before"),
        (louder(1 / 11_000, None), "volume", False, None, "times that of the three days before"),
        (louder(11_000, 30), "volume", False, 3002, "what is usual around it, and so 29 times more"),
        (false_trade, "wick", False, 3002, "beyond open, close and both neighbours"),
    ],
)
def test_what_no_market_does_stops_and_what_one_seldom_does_warns(
    damage: Damage, kind: str, stops: bool, row: int | None, words: str, real: RecordedCandles
) -> None:
    found = [finding for finding in found_in(damaged(real, damage, 3000)) if finding.kind == kind]
    assert found, "nothing was found"
    assert any(words in finding.message for finding in found), found
    assert {finding.stops for finding in found} == {stops}
    if row is not None:
        assert any(finding.message.startswith(f"row {row} (") for finding in found)


def test_in_the_real_markets_nothing_is_found(real: RecordedCandles) -> None:
    assert found_in(real) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_in_simulated_markets_nothing_stops_and_little_warns(kind: str) -> None:
    number = cases(sample=8, campaign=300)
    found = [found_in(simulated_market(kind, seed=SEED * 1000 + case)) for case in range(number)]
    assert [finding for some in found for finding in some if finding.stops] == [], f"seed {SEED}"
    warned = sum(bool(some) for some in found)
    # A market that moves by 3% an hour has wicks that look like false trades, and they are worth the look.
    assert warned <= (number if kind == "wild" else max(1, number // 10)), f"seed {SEED}: {found}"


@pytest.mark.parametrize("factor", [100.0, 0.01, 10.0])
@pytest.mark.parametrize("kind", KINDS)
def test_another_scale_is_found_in_any_market(kind: str, factor: float) -> None:
    market = damaged(simulated_market(kind, seed=SEED), scaled(factor), 2500)
    assert [finding.kind for finding in found_in(market) if finding.stops] == ["scale"]


@pytest.mark.parametrize("kind", KINDS)
def test_opens_and_closes_that_are_swapped_are_found_in_any_market(kind: str) -> None:
    market = damaged(simulated_market(kind, seed=SEED), swapped(), 0)
    assert "backwards" in [finding.kind for finding in found_in(market) if finding.stops]


@pytest.mark.parametrize("hours", [2, 4])
def test_candles_of_another_length_among_hours_are_named(hours: int, real: RecordedCandles) -> None:
    kept = np.r_[0:3000, 3000 + np.flatnonzero(real.time[3000:4000] % (hours * 3600) == 0), 4000 : len(real)]
    columns = {name: getattr(real, name)[kept] for name in ("time", *VALUE_COLUMNS)}
    messages = [finding.message for finding in found_in(replace(real, **columns)) if finding.kind == "longer"]
    assert len(messages) == 1
    assert f"candles that are {hours} h apart" in messages[0]


def test_a_price_that_no_step_of_the_exchange_can_tell_is_refused(real: RecordedCandles, tmp_path: Path) -> None:
    path = write_csv(damaged(real, scaled(1e-12), 0), tmp_path / "tiny.csv")
    with pytest.raises(CandlesError, match=r"row \d+, column open cannot be told in steps of 0\.00000001"):
        read_candles(CandleFileSettings(file=path))


def test_what_stops_can_be_accepted_and_then_warns(real: RecordedCandles, tmp_path: Path) -> None:
    path = write_csv(damaged(real, scaled(0.5), 3000), tmp_path / "split.csv")
    with pytest.raises(CandlesError) as raised:
        read_candles(CandleFileSettings(file=path))
    assert str(raised.value).startswith(f"{path}: row 3002 (")
    assert str(raised.value).endswith(
        "prices are 0.5 times those of the row before: another unit, a split, or another market; nothing learnt on it "
        "would be worth its money: correct the file, or, where the market was so, accept it: `accept: [scale]` beside "
        "the file"
    )
    accepted = read_candles(CandleFileSettings(file=path, accept=("scale",)))
    assert len(accepted.candles) == len(real)
    assert any("prices are 0.5 times" in warning for warning in accepted.warnings)


def test_the_row_is_that_of_the_file_also_where_it_is_newest_first(real: RecordedCandles, tmp_path: Path) -> None:
    path = write_csv(damaged(real, scaled(100), 3000), tmp_path / "own.csv")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join(["an advertisement", header, "", *rows[::-1]]))
    with pytest.raises(CandlesError, match=rf"row {len(real) - 3000 + 3} \(.*prices are 100 times"):
        read_candles(CandleFileSettings(file=path))


def test_days_without_a_candle_may_move_the_price(real: RecordedCandles) -> None:
    kept = np.r_[0:1000, 5000 : len(real)]
    columns = {name: getattr(real, name)[kept] for name in ("time", *VALUE_COLUMNS)}
    assert found_in(replace(real, **columns)) == []
