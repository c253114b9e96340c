"""Two clocks have two types: a mix-up is a type error, and raises where nobody ran mypy."""

from __future__ import annotations

import operator
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import CandleTime, MarketTime, WallTime, iso, utc
from nightdesk_core.files import stored
from nightdesk_core.files.stored import StoredError

KINDS = (WallTime, MarketTime)
MIXED = ((WallTime(5.0), MarketTime(3)), (MarketTime(3), WallTime(5.0)))
CHECKOUT = Path(__file__).parents[2]
USES = Path(__file__).parent / "uses_of_time.py.txt"

numbers = st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)


@dataclass(frozen=True)
class Kept:
    """One of each that is stored."""

    received_at: WallTime
    data_end: MarketTime
    closed: CandleTime = MarketTime(0)
    lifted: WallTime | None = None


def test_mypy_finds_each_mix_up_and_nothing_wrong_with_the_right_uses(tmp_path: Path) -> None:
    lines = USES.read_text(encoding="utf-8").splitlines()
    source = tmp_path / "uses_of_time.py"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    # No cache: other tests and people may be at it.
    options = ("--strict", "--config-file", "pyproject.toml", "--cache-dir", "/dev/null")
    told = subprocess.run(
        [sys.executable, "-m", "mypy", *options, source], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    found = {int(line) for line in re.findall(r"uses_of_time\.py:(\d+): error", told.stdout)}
    assert found == {number for number, line in enumerate(lines, start=1) if line.endswith("# mixed up")}, told.stdout
    assert len(found) > 20


@pytest.mark.parametrize("mixed", MIXED)
@pytest.mark.parametrize(
    "use", [operator.sub, operator.lt, operator.le, operator.gt, operator.ge, operator.add, max, min]
)
def test_a_mix_up_raises(use: Callable[[Any, Any], object], mixed: tuple[object, object]) -> None:
    with pytest.raises(TypeError):
        use(*mixed)


@pytest.mark.parametrize(
    "use", [float, int, lambda time: time < 3.0, lambda time: 3.0 - time, lambda time: time + time]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_time_is_no_number(kind: type[WallTime] | type[MarketTime], use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        use(kind(5.0))


def test_times_of_two_kinds_are_never_equal() -> None:
    wall: object = WallTime(3.0)
    assert wall != MarketTime(3.0)
    assert wall != 3.0
    assert wall == WallTime(3.0)
    assert len({wall, MarketTime(3.0), WallTime(3.0)}) == 2


@given(one=numbers, other=numbers)
def test_times_of_one_kind_reckon_as_their_seconds_do(one: float, other: float) -> None:
    for kind in KINDS:
        first: Any = kind(one)
        second: Any = kind(other)
        assert first - second == one - other
        assert (first + other, first - other) == (kind(one + other), kind(one - other))
        assert (first < second, first <= second) == (one < other, one <= other)
        assert (first > second, first >= second) == (one > other, one >= other)
        assert max(first, second).seconds == max(one, other)


def test_a_whole_number_of_seconds_stays_one() -> None:
    closed = MarketTime(3600)
    assert [type(time.seconds) for time in (closed, closed + 60, closed - 60)] == [int] * 3
    assert type(closed - MarketTime(60)) is int


def test_a_time_cannot_be_changed_and_outlives_a_pickle() -> None:
    time = WallTime(3.0)
    with pytest.raises(FrozenInstanceError):
        time.seconds = 4.0  # type: ignore[misc] # mypy knows, too
    assert pickle.loads(pickle.dumps(time)) == time
    assert not hasattr(time, "__dict__")


def test_a_time_is_written_as_its_seconds_are() -> None:
    assert iso(WallTime(1_571_302_800.9)) == iso(MarketTime(1_571_302_800)) == "2019-10-17T09:00:00Z"
    assert utc(WallTime(0.0)) == utc(0.0)


def test_a_market_time_knows_its_day() -> None:
    assert [MarketTime(seconds).day for seconds in (0, 86_399.9, 86_400, -1)] == [0, 0, 1, -1]


def test_a_time_is_stored_as_the_bare_number_and_a_candles_as_a_whole_one() -> None:
    kept = Kept(WallTime(5.0), MarketTime(10.0), MarketTime(3600), WallTime(7.5))
    plain = {"received_at": 5.0, "data_end": 10.0, "closed": 3600, "lifted": 7.5}
    assert repr(stored.plain(kept)) == repr(plain)
    found = stored.from_plain(Kept, plain, source="desk.json")
    assert repr(found) == repr(kept)
    assert stored.from_plain(Kept, plain | {"lifted": None}, source="desk.json").lifted is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"received_at": "5", "data_end": 1.0}', "received_at: Input should be a valid number"),
        ('{"received_at": true, "data_end": 1.0}', "received_at: Input should be a valid number"),
        ('{"received_at": 5.0, "data_end": 1.0, "closed": 3600.5}', "closed: Input should be a valid integer"),
        ('{"received_at": 5.0, "data_end": 1.0, "closed": 3600.0}', "closed: Input should be a valid integer"),
        ('{"received_at": NaN, "data_end": 1.0}', "received_at: Input should be a finite number"),
        ('{"received_at": 5.0}', "data_end: is missing"),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(text: str, problem: str) -> None:
    with pytest.raises(StoredError) as error:
        stored.from_json(Kept, text, source="desk.json")
    assert error.value.reason == problem


@pytest.mark.parametrize("seconds", ["5", 3.5])
def test_what_could_not_be_read_again_is_not_written(seconds: Any) -> None:
    with pytest.raises(ValueError, match="serialized"):
        stored.plain(Kept(WallTime(5.0), MarketTime(10.0), MarketTime(seconds)))
