"""Parquet, Feather and JSON as a table."""

from __future__ import annotations

import codecs
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pf
import pyarrow.parquet as pq
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.files.table import Table

_MOST_ROWS = 10_000_000
_LISTED = ("time", "open", "high", "low", "close", "volume")
_DEEPEST = 8
"""No list of candles lies deeper; what does is meant to exhaust who reads it."""


def arrow_table(content: bytes, source: str, *, parquet: bool) -> Table:
    """Return the columns of a Parquet or Feather file, an index that it keeps among them. Rows are counted from 1.

    Raises `CandlesError`.
    """
    name = "Parquet" if parquet else "Feather"
    buffer = pa.BufferReader(content)
    try:
        if parquet:
            file = pq.ParquetFile(buffer)
            if file.metadata.num_rows > _MOST_ROWS:
                raise CandlesError(source, f"holds {file.metadata.num_rows:,} rows; hourly candles are less")
            table = file.read()
        else:
            table = pf.read_table(buffer, memory_map=False)
        table.validate(full=True)
        frame = table.to_pandas()
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise CandlesError(source, f"cannot be read as {name} ({reason}); was its download broken off?") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(allow_duplicates=True)
    return _typed(frame, source)


def json_table(content: bytes, source: str) -> Table:
    """Return a JSON list of candles, each a list as exchanges send it or an object. Rows are counted from 1.

    Raises `CandlesError`.
    """
    try:
        document = parse_json(content.removeprefix(codecs.BOM_UTF8), source=source)
    except InputError as error:
        raise CandlesError(source, f"{error.reason}; was its download broken off?") from error
    rows = _listed(document)
    if rows and all(isinstance(row, dict) for row in rows):
        return _typed(pd.DataFrame.from_records(rows), source)
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) != 1 or not widths & {5, 6, 7, 12}:
        problem = (
            "is no JSON list of candles, each [time, open, high, low, close, volume] or an object with these names"
        )
        raise CandlesError(source, f"{problem}; save it as CSV with a header")
    names = [*_LISTED, *(f"more {number}" for number in range(1, 7))][: widths.pop()]
    table = _typed(pd.DataFrame(rows, columns=names), source)
    return Table(source, names, table.frame, table.rows, (f"lists without names, taken for {', '.join(names[:6])}",))


def _listed(document: Any) -> list[Any]:
    """Return the list of candles that an exchange's answer holds: itself, or the only list in it, however deep."""
    for _ in range(_DEEPEST):
        if isinstance(document, list):
            return document
        if not isinstance(document, dict):
            return []
        inner = [value for value in document.values() if isinstance(value, list | dict) and value]
        if len(inner) != 1:
            return []
        document = inner[0]
    return []


def _typed(frame: pd.DataFrame, source: str) -> Table:
    names = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    names = ["" if name in ("index", "None") else name for name in names]
    return Table(source, names, frame.set_axis(range(len(names)), axis=1), np.arange(1, len(frame) + 1, dtype=np.int64))
