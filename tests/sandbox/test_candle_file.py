"""A person's own candles: every form that is taken, and what is said about the rest."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, RecordedCandles
from nightdesk_sandbox.recordings.files import content as content_module
from nightdesk_sandbox.recordings.files.reader import CandleFileRead, read_candles
from nightdesk_sandbox.recordings.files.settings import CandleFileSettings
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.settings import SandboxSettings

HEADER = "time,open,high,low,close,volume"
EIGHT = 1_546_329_600  # 2019-01-01T08:00:00Z
ROWS = ["{0},10,12,9,11,5", "{1},11,13,10,12,6"]


def read(path: Path, **settings: Any) -> CandleFileRead:
    return read_candles(CandleFileSettings(file=path, **settings))


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
    candles = read(written(tmp_path / "own.csv", HEADER.replace("time", name), *rows, "", "")).candles
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
    assert read(path).candles.fingerprint == candles.fingerprint


def test_settings_name_the_file_relative_to_home(candles: RecordedCandles, tmp_path: Path) -> None:
    from_home = SandboxSettings(candles=Path("own.csv"))
    written(tmp_path / "own.csv", HEADER, *(row.format(EIGHT, EIGHT + HOUR_SECONDS) for row in ROWS))
    assert len(load_markets(from_home, home=tmp_path)["BTCUSDT"]) == 2


NEEDS = "it needs time (or timestamp, datetime, date, open_time, unix), open, high, low, close and volume"
FORMS = "write ISO 8601, a date with a time of day, or Unix time in s, ms, µs or ns; a zone as Z or +01:00"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, f"{EIGHT},10,12,9,11,5"], "holds 1 candles; a replay needs 2 at least"),
        ([HEADER], "holds 0 candles; a replay needs 2 at least"),
        (
            ["when,open,high,low,close", f"{EIGHT},10,12,9,11"],
            f"has no column time among its 5 (when, open, high, low, close); {NEEDS}",
        ),
        (
            ["time,open,high,low", f"{EIGHT},10,12,9"],
            "has no header and no candle in its first 30 rows ('time,open,high,low'); put a row above the candles that "
            f"names the columns: {NEEDS}",
        ),
        (
            ["Datum;Hoch;Tief;Auf;Zu", "2020-01-01 00:00;12;9;10;11"],
            f"row 1 names columns that are not known (Datum, Hoch, Tief, Auf, Zu); name them in English: {NEEDS}",
        ),
        (
            [f"{EIGHT},10,12,9,11,10.5,5,3"],
            "row 1 has 8 columns and the file no header, so that it is not known which is which; put a row above it "
            f"that names them: {NEEDS}",
        ),
        (["time,open,high,low,close,Close", "0,1,1,1,1,1"], "has two columns called close; take one of them out"),
        ([HEADER, "yesterday,1,1,1,1,1", "0,1,1,1,1,1"], f"row 2, column time is 'yesterday', no time; {FORMS}"),
        ([HEADER, "0,1,1,1,1,1", "", ",1,1,1,1,1"], f"row 4, column time holds no time; {FORMS}"),
        ([HEADER, "0,1,1,1,1,1", "3600,1,x,1,1,1"], "row 3, column high is 'x', not a number"),
        ([HEADER, "0,1,1,1,1,1", "3600,1,,1,1,1"], "row 3, column high is missing or not a number"),
        (
            [HEADER, "0,1,1,1,1,", "3600,1,1,1,1,2"],
            "row 2, column volume is missing, where other rows have one; write 0 where nothing was traded",
        ),
        ([HEADER, "0,1,1,0,1,1", "3600,1,1,1,1,1"], "row 2, column low is not above 0"),
        ([HEADER, "0,1,1,1,1,-1", "3600,1,1,1,1,1"], "row 2, column volume is below 0"),
        ([HEADER, "0,1,1,1e-300,1,1", "3600,1,1e300,1,1,1"], "row 3, column high is of no market's size"),
        ([HEADER, "0,1,1,1,1,1", "3600,1,1,1,1,1e99"], "row 3, column volume is of no market's size"),
        ([HEADER, "0,1,1,1,1,1", "3600,1,1.5,1,2,1"], "row 3, column high is below open or close"),
        ([HEADER, "0,1,1,1,1,1", "3600,2,2,1.5,1,1"], "row 3, column low is above open or close"),
        (
            [HEADER, "0,1,1,1,1,1", "0,1,1,1,1,2"],
            "row 3 is another candle of the hour of row 2 (1970-01-01T00:00:00Z): which is true? Are these times of a "
            "zone whose clocks went back? Then name it by `timezone` beside the file in sandbox.candles; else take one "
            "out",
        ),
        (
            [HEADER, "3600,1,1,1,1,1", "0,1,1,1,1,1", "7200,1,1,1,1,1"],
            "row 3, column time is 1 h before that of row 2, against the order of the others; sort the rows, or, where "
            "a part is in another time zone, put that right",
        ),
        (
            [HEADER, "7200,1,1,1,1,1", "0,1,1,1,1,1", "3600,1,1,1,1,1"],
            "row 3, column time is 1 h before that of row 4, against the order of the others; sort the rows, or, where "
            "a part is in another time zone, put that right",
        ),
        (
            [HEADER, "0,1,1,1,1,1", "900,1,1,1,1,1"],
            "row 3, column time is 1970-01-01T00:15:00Z, not the start of an hour; the sandbox replays hourly candles: "
            "join shorter ones, each opening on the hour, UTC",
        ),
        (
            [HEADER, f"{EIGHT + 3599}999,1,1,1,1,1", f"{EIGHT + 7199}999,1,1,1,1,1"],
            "row 2, column time is 2019-01-01T08:59:59Z, not the start of an hour; these are the candles' closes: "
            "write when each opened (and in 1 more)",
        ),
        (
            [HEADER, "0,1,1,1,1,1", "14400,1,1,1,1,1"],
            "no two candles are an hour apart, but 14400 s; the sandbox replays hourly candles",
        ),
        ([HEADER, "0,1,1,1,1,1", "3600,1,1"], "row 3 has 3 columns where 6 are expected; is the file cut off?"),
        (
            [HEADER, "0,1,5,1,5,1,5,1,5,1", "3600,1,5,1,5,1,5,1,5,1"],
            "row 2 has 10 columns where 6 are expected; is a decimal comma not in quotes? Then divide the columns by "
            "semicolons",
        ),
        (
            [HEADER, '0,"1,234","1,234","1,234","1,234",1', '3600,"1,235","1,235","1,235","1,235",1'],
            "row 2, column open: '1,234' may have a decimal comma, or one that sets thousands apart; say which by "
            "`decimal` beside the file in sandbox.candles",
        ),
        (
            [HEADER, '0,"1,5","1,5","1,5","1,5",1', '3600,1.5,1.5,1.5,1.5,"1,234.5"'],
            "row 3, column volume has a decimal point ('1,234.5'), and row 2, column open a decimal comma ('1,5'); "
            "write all numbers in one way",
        ),
        (
            [HEADER, "01/02/2020 01:00,1,1,1,1,1", "01/02/2020 02:00,1,1,1,1,1"],
            "row 2, column time is '01/02/2020 01:00', where day and month may be either way round (and in 1 more); "
            "say which by `dates` beside the file in sandbox.candles: day first or month first",
        ),
        (
            [HEADER, "13/02/2020 01:00,1,1,1,1,1", "02/14/2020 02:00,1,1,1,1,1"],
            "row 2, column time has the day first, and row 3 the month; write all dates in one order, best as "
            "2019-12-31",
        ),
        (
            [HEADER, "2020-02-30 01:00,1,1,1,1,1", "2020-03-01 02:00,1,1,1,1,1"],
            "row 2, column time is '2020-02-30 01:00', which no clock shows",
        ),
        (
            [HEADER, "2020-02-20T01:00Z,1,1,1,1,1", "2020-02-20T02:00,1,1,1,1,1"],
            "row 3, column time is '2020-02-20T02:00', without a zone where others have one; give every time its zone",
        ),
        (
            [HEADER, "43831.0,1,1,1,1,1", "43831.0417,1,1,1,1,1"],
            "row 2, column time is '43831.0', a day as spreadsheets count them (and in 1 more); format the column as "
            "date and time and export it anew",
        ),
        (
            [HEADER, f"{'9' * 25},1,1,1,1,1", "0,1,1,1,1,1"],
            f"row 2, column time is '{'9' * 25}', no time in s, ms, µs or ns",
        ),
        ([HEADER, "0,1,1,1,1,1", f"{'9' * 400},1,1,1,1,1"], f"row 3, column time is '{'9' * 39}…', no time; {FORMS}"),
        (
            [HEADER, "1.58E+12,1,1,1,1,1", "1.58E+12,1,1,1,1,1"],
            "row 2, column time is '1.58E+12': a spreadsheet has rounded it (and in 1 more); take the file as it was "
            "published",
        ),
        (
            [
                "unix,date,open,high,low,close",
                f"{EIGHT},2019-01-01 08:00Z,1,1,1,1",
                f"{EIGHT + 3600},2019-01-01 10:00Z,1,1,1,1",
            ],
            "row 3, column date tells another time than column unix; take the wrong one of the two out",
        ),
        (
            ["time,symbol,open,high,low,close", "0,BTC,1,1,1,1", "0,ETH,1,1,1,1"],
            "row 3, column symbol is 'ETH', where the first row has 'BTC'; keep the rows of one market in each file",
        ),
        (
            ["time,open,high,low,close,Volume BTC,Volume USD", "0,9,9,9,9,5,5000", "3600,9,9,9,9,5,5000"],
            "has several volumes, Volume BTC and Volume USD, and the numbers do not show which is in the base coin; "
            "leave one of them, called volume",
        ),
        (
            [HEADER, '0,"1,1,1,1,1', "3600,1,1,1,1,1"],
            "row 2 has 2 columns where 6 are expected; is the file cut off?",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named_by_file_row_and_column(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "own.csv", *lines)
    with pytest.raises(CandlesError) as raised:
        read(path)
    assert str(raised.value) == f"{path}: {message}"


def packed(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in members:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; was its download broken off?"),
        (b"\xef\xbb\xbf\r\n\r\n", "is empty; was its download broken off?"),
        (b"PAR1 and no more", "cannot be read as Parquet"),
        (b"ARROW1 and no more", "cannot be read as Feather"),
        (b"FEA1", "is Feather of version 1, which is not read; save it as CSV, JSON, Parquet or Feather"),
        (b"<!DOCTYPE html>", "is a web page, which is not read"),
        (b"\x1f\x8b broken", "cannot be unpacked"),
        (b"PK\x03\x04 broken", "cannot be unpacked"),
        (packed("a.csv", "b.csv"), r"holds 2 files \(a\.csv, b\.csv\); pack one only"),
        (packed("xl/workbook.xml"), "is an Excel workbook, which is not read"),
        (b"time,open\0", "is no text"),
        (b"[[1,2]]", r"is no JSON list of candles, each \[time, open, high, low, close, volume\]"),
        (b"[" * 200_000, "is nested more than 64 deep"),
        (b'{"a": 1}', "is no JSON list of candles"),
    ],
)
def test_what_is_no_file_of_candles_is_refused_with_what_to_do(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    with pytest.raises(CandlesError, match=rf"own\.csv: {message}"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CandlesError, match=r"gone\.csv: cannot be read \(No such file or directory\)"):
        read(tmp_path / "gone.csv")


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CandlesError, match="is a FIFO where a file must be"):
        read(tmp_path / "pipe.csv")
    with pytest.raises(CandlesError, match="is a folder where a file must be; move it away; name one file"):
        read(tmp_path)


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["as it is", "packed"])
def test_a_file_that_is_too_large_is_refused_before_it_fills_the_memory(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_module, "LARGEST_BYTES", 1000)
    path = tmp_path / "own.csv"
    path.write_bytes(pack(b"0,1,1,1,1,1\n" * 1000))
    with pytest.raises(CandlesError, match="hourly candles are less"):
        read(path)


@pytest.mark.parametrize(
    ("prices", "decimals"), [([1.0, 2.0], 0), ([1.05, 2.5], 2), ([0.1 + 0.2, 1.0], 1), ([1 / 3, 1.0], 8)]
)
def test_the_tick_is_that_of_the_prices(prices: list[float], decimals: int) -> None:
    values = np.array(prices)
    candles = RecordedCandles(np.array([0, 3600]), values, values, values, values, values)
    assert candles.price_decimals == decimals
