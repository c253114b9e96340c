"""A person's own candles, from CSV or Parquet."""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from nightdesk_core.reader import InputError, open_to_read

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import VALUE_COLUMNS, RecordedCandles, Times, Values, check

TIME_COLUMNS = ("time", "timestamp", "datetime", "date")
_MILLISECONDS_FROM = 1e11
"""As seconds this is the year 5138 and as milliseconds 1973: a larger stamp is in milliseconds."""

_WHAT_A_FILE_HOLDS = f"{TIME_COLUMNS[0]} (or {', '.join(TIME_COLUMNS[1:])}), {', '.join(VALUE_COLUMNS)}"


def read_candles(path: Path) -> RecordedCandles:
    """Return the hourly candles of a CSV or Parquet file.

    Its columns are time (ISO 8601, or Unix seconds or milliseconds; also called timestamp, datetime or date), open,
    high, low, close and volume, in any order; others are ignored. A time without a zone is UTC. A CSV's rows are
    counted as an editor counts its lines, the header being row 1; a Parquet file's from 1.
    Raises `CandlesError` that names the file, the row and the column.
    """
    csv = path.suffix.lower() != ".parquet"
    first_row = 2 if csv else 1
    frame = _read(path, csv=csv)
    frame.columns = pd.Index([str(name).strip().lower() for name in frame.columns])
    time_column = next((name for name in TIME_COLUMNS if name in frame.columns), None)
    missing = [name for name in VALUE_COLUMNS if name not in frame.columns]
    if time_column is None:
        missing.insert(0, "time")
    if time_column is None or missing:
        raise CandlesError(str(path), f"has no column {', '.join(missing)}; it needs {_WHAT_A_FILE_HOLDS}")
    if frame.columns.duplicated().any():
        raise CandlesError(str(path), f"has two columns called {frame.columns[frame.columns.duplicated()][0]}")
    times = _times(frame[time_column], path, time_column, first_row)
    columns: list[Values] = [
        pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64) for name in VALUE_COLUMNS
    ]
    candles = RecordedCandles(times, *columns)
    check(candles, source=str(path), first_row=first_row)
    return candles


def _read(path: Path, *, csv: bool) -> pd.DataFrame:
    try:
        with open_to_read(path) as file:
            return _frame(file, csv=csv)
    except InputError as error:
        raise CandlesError(str(path), error.reason) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise CandlesError(str(path), f"cannot be read as {'CSV' if csv else 'Parquet'} ({reason})") from error


def _frame(file: BufferedReader, *, csv: bool) -> pd.DataFrame:
    if not csv:
        return pd.read_parquet(file).reset_index()
    # As text: what is not a number is then reported with its row, and not by pandas with none.
    # Blank lines are kept so that the rows are counted as in an editor, except those at the end.
    frame = pd.read_csv(file, dtype=str, skip_blank_lines=False, skipinitialspace=True)
    filled = np.flatnonzero(frame.notna().any(axis=1).to_numpy())
    return frame.iloc[: filled[-1] + 1 if len(filled) else 0]


def _times(column: pd.Series, path: Path, name: str, first_row: int) -> Times:
    seconds = _unix_seconds(column)
    bad = seconds.isna().to_numpy()
    if bad.any():
        row = first_row + int(np.argmax(bad))
        raise CandlesError(str(path), f"row {row}, column {name} is neither ISO 8601 nor a Unix time in s or ms")
    floored: Times = np.floor(seconds.to_numpy(dtype=np.float64)).astype(np.int64)
    return floored


def _unix_seconds(column: pd.Series) -> pd.Series:
    """Return seconds since the epoch, NaN where a value is no time."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().any():
            return numbers.where(numbers.abs() < _MILLISECONDS_FROM, numbers / 1000)
    moments = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
