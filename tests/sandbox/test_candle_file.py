"""A person's own candles: every form that is taken, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candle_file import read_candles
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, RecordedCandles
from nightdesk_sandbox.recordings.sample import load_symbol
from nightdesk_sandbox.settings import SandboxSettings

HEADER = "time,open,high,low,close,volume"
EIGHT = 1_546_329_600  # 2019-01-01T08:00:00Z
ROWS = ["{0},10,12,9,11,5", "{1},11,13,10,12,6"]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("time", "2019-01-01T08:00:00Z", "2019-01-01T09:00:00Z"),
        ("Timestamp", str(EIGHT), str(EIGHT + HOUR_SECONDS)),
        ("timestamp", f"{EIGHT}000", f"{EIGHT + HOUR_SECONDS}000"),
        ("date", "2019-01-01 08:00", "2019-01-01 09:00"),
        ("datetime", "2019-01-01T10:00:00+02:00", "2019-01-01T11:00:00+02:00"),
    ],
)
def test_a_csv_may_write_its_times_in_many_ways(name: str, first: str, second: str, tmp_path: Path) -> None:
    rows = [row.format(first, second) for row in ROWS]
    candles = read_candles(written(tmp_path / "own.csv", HEADER.replace("time", name), *rows, "", ""))
    assert candles.time.tolist() == [EIGHT, EIGHT + HOUR_SECONDS]
    assert candles.close.tolist() == [11, 12]


@pytest.mark.parametrize("as_index", [False, True])
def test_a_parquet_file_may_hold_moments_as_a_column_or_as_its_index(
    as_index: bool, candles: RecordedCandles, tmp_path: Path
) -> None:
    frame = pd.DataFrame({name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")})
    frame["time"] = pd.to_datetime(candles.time, unit="s", utc=True)
    path = tmp_path / "own.parquet"
    (frame.set_index("time") if as_index else frame).to_parquet(path)
    assert read_candles(path).fingerprint == candles.fingerprint


def test_settings_name_the_file_relative_to_home(candles: RecordedCandles, tmp_path: Path) -> None:
    from_home = SandboxSettings(candles=Path("own.csv"))
    written(tmp_path / "own.csv", HEADER, *(row.format(EIGHT, EIGHT + HOUR_SECONDS) for row in ROWS))
    assert len(load_symbol("BTCUSDT", from_home, home=tmp_path)) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, f"{EIGHT},10,12,9,11,5"], "holds 1 candles; a replay needs 2 at least"),
        ([HEADER], "holds 0 candles; a replay needs 2 at least"),
        (
            ["when,open,high,low,close", f"{EIGHT},10,12,9,11"],
            "has no column time, volume; it needs time (or timestamp, datetime, date), open, high, low, close, volume",
        ),
        ([HEADER, "yesterday,1,1,1,1,1"], "row 2, column time is neither ISO 8601 nor a Unix time in s or ms"),
        (
            [HEADER, "0,1,1,1,1,1", "", "3600,1,1,1,1,1"],
            "row 3, column time is neither ISO 8601 nor a Unix time in s or ms",
        ),
        ([HEADER, "0,1,1,1,1,1", "3600,1,x,1,1,1"], "row 3, column high is missing or not a number"),
        ([HEADER, "0,1,1,1,1,", "3600,1,1,1,1,"], "row 2, column volume is missing or not a number (and in 1 more)"),
        ([HEADER, "0,1,1,0,1,1", "3600,1,1,1,1,1"], "row 2, column low is not above 0"),
        ([HEADER, "0,1,1,1,1,-1", "3600,1,1,1,1,1"], "row 2, column volume is below 0"),
        ([HEADER, "0,1,1,1,1,1", "3600,1,1.5,1,2,1"], "row 3, column high is below open or close"),
        ([HEADER, "0,1,1,1,1,1", "3600,2,2,1.5,1,1"], "row 3, column low is above open or close"),
        ([HEADER, "0,1,1,1,1,1", "0,1,1,1,1,1"], "row 3, column time is the same as in the row before"),
        (
            [HEADER, "3600,1,1,1,1,1", "0,1,1,1,1,1"],
            "row 3, column time is before that of the row above; rows run from the oldest to the newest",
        ),
        (
            [HEADER, "0,1,1,1,1,1", "900,1,1,1,1,1"],
            "row 3, column time is 1970-01-01T00:15:00Z, not the start of an hour; the sandbox replays hourly candles",
        ),
        (
            [HEADER, "0,1,1,1,1,1", "14400,1,1,1,1,1"],
            "no two candles are an hour apart, but 14400 s; the sandbox replays hourly candles",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named_by_file_row_and_column(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "own.csv", *lines)
    with pytest.raises(CandlesError) as raised:
        read_candles(path)
    assert str(raised.value) == f"{path}: {message}"


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(CandlesError, match=f"{name}: cannot be read"):
        read_candles(tmp_path / name)


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "own.parquet", "not parquet")
    with pytest.raises(CandlesError, match=r"own\.parquet: cannot be read as Parquet"):
        read_candles(path)


@pytest.mark.parametrize(
    ("prices", "decimals"), [([1.0, 2.0], 0), ([1.05, 2.5], 2), ([0.1 + 0.2, 1.0], 1), ([1 / 3, 1.0], 8)]
)
def test_the_tick_is_that_of_the_prices(prices: list[float], decimals: int) -> None:
    values = np.array(prices)
    candles = RecordedCandles(np.array([0, 3600]), values, values, values, values, values)
    assert candles.price_decimals == decimals
