"""CSV as a table: whatever divides its columns, with its header found or known to be missing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.files.names import WHAT_A_FILE_HOLDS, is_header, known_as
from nightdesk_sandbox.recordings.files.table import Table, brief, cell

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_HEAD_ROWS = 30
"""A header, or the first candle, stands among so many rows; what lies before is somebody's advertisement."""
_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*(?:[eE][+-]?\d+)?")
_STAMP = re.compile(r"\d{8,19}(?:\.\d+)?|\d{8}[ T]\d{4,6}.*|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}[ -][A-Za-z]{3}.*")
_CLOCK_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?|\d{4}|\d{6}")
_DAY = re.compile(r"\d{8}|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")

_KLINES = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_WITHOUT_HEADER = {
    5: (_KLINES[:5], "time, open, high, low, close"),
    6: (_KLINES[:6], "time, open, high, low, close, volume"),
    # The seventh is Kraken's number of trades, or Bybit's turnover: neither is read.
    7: ([*_KLINES[:6], "more"], "time, open, high, low, close, volume, and one that is not read"),
    12: (_KLINES, "Binance's twelve"),
}
_METATRADER = ["date", "time", *_KLINES[1:6]]


@dataclass(frozen=True)
class _Row:
    number: int
    """The line on which it begins."""
    fields: list[str]


def text_table(content: bytes, source: str) -> Table:
    """Return a CSV's columns as text; a row's number is that of its line. Raises `CandlesError`."""
    text = _decoded(content, source)
    for delimiter in _DELIMITERS:
        head = _rows(text, delimiter, source, limit=_HEAD_ROWS)
        place = next((place for place, row in enumerate(head) if is_header(row.fields)), None)
        if place is not None:
            return _with_header(_rows(text, delimiter, source), place, source)
    found = []
    for delimiter in _DELIMITERS:
        head = _rows(text, delimiter, source, limit=_HEAD_ROWS)
        place = next((place for place, row in enumerate(head) if _is_candle(row.fields)), None)
        if place is not None:
            found.append((delimiter, place))
    if len(found) == 1:
        delimiter, place = found[0]
        return _without_header(_rows(text, delimiter, source), place, source)
    first = cell(text.lstrip().partition("\n")[0])
    raise CandlesError(
        source,
        f"has no header and no candle in its first {_HEAD_ROWS} rows ({first}); put a row above the candles that "
        f"names the columns: it needs {WHAT_A_FILE_HOLDS}",
    )


def _decoded(content: bytes, source: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
        if b"\0" in content:
            raise CandlesError(
                source, "is no text (it holds a zero byte); was its download broken off, or is it packed?"
            )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise CandlesError(source, "is no text (UTF-16 that breaks off); fetch it anew") from error
        return content.decode("latin-1")  # what a candle needs is ASCII in all of them


def _rows(text: str, delimiter: str, source: str, *, limit: int | None = None) -> list[_Row]:
    """Return the rows that hold anything, as many as `limit`, with the lines on which they begin."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    found, line = [], 1
    try:
        for fields in reader:
            number, line = line, reader.line_num + 1
            stripped = [field.strip() for field in fields]
            if any(stripped):
                found.append(_Row(number, stripped))
                if len(found) == limit:
                    break
    except csv.Error as error:
        raise CandlesError(source, f"row {line} cannot be read ({error}); is a quotation mark left open?") from error
    return found


def _is_candle(fields: Sequence[str]) -> bool:
    """Whether a row is a time and four numbers at least, or a day, a time of day and four numbers."""
    if len(fields) < 5 or not _STAMP.fullmatch(fields[0]):
        return False
    return all(_NUMBER.fullmatch(field) for field in (fields[2:6] if _is_metatrader(fields) else fields[1:5]))


def _is_metatrader(fields: Sequence[str]) -> bool:
    return len(fields) == 7 and bool(_DAY.fullmatch(fields[0]) and _CLOCK_TIME.fullmatch(fields[1]))


def _with_header(rows: list[_Row], place: int, source: str) -> Table:
    names, notes = rows[place].fields, []
    while names and not names[-1]:
        names = names[:-1]
    if place:
        notes.append(f"{place} {'row' if place == 1 else 'rows'} above the header left out")
    below = rows[place + 1 :]
    if known_as(names[0]) == "price" and [known_as(row.fields[0]) for row in below[:1]] == ["ticker"]:
        # yfinance writes three rows of names, and the time's in the third.
        last = next((row.fields[0] for row in below[1:2]), "")
        names, below = [last, *names[1:]], below[2:]
    kept = [row for row in below if row.fields[: len(names)] != names and not row.fields[0].startswith("#")]
    if len(kept) < len(below):
        notes.append(f"repeated headers or comments left out: {len(below) - len(kept)}")
    return _table(names, kept, source, notes)


def _without_header(rows: list[_Row], place: int, source: str) -> Table:
    first = rows[place].fields
    while first and not first[-1]:
        first = first[:-1]
    above = next((row for row in rows[:place] if len([name for name in row.fields if name]) >= len(first) - 1), None)
    if above is not None:
        problem = (
            f"row {above.number} names columns that are not known ({', '.join(map(brief, above.fields[:6]))}); "
            f"name them in English: it needs {WHAT_A_FILE_HOLDS}"
        )
        raise CandlesError(source, problem)
    names: Sequence[str]
    if _is_metatrader(first):
        names, words = _METATRADER, "date, time, open, high, low, close, volume"
    elif len(first) in _WITHOUT_HEADER:
        names, words = _WITHOUT_HEADER[len(first)]
    else:
        problem = (
            f"row {rows[place].number} has {len(first)} columns and the file no header, so that it is not known which "
            f"is which; put a row above it that names them: it needs {WHAT_A_FILE_HOLDS}"
        )
        raise CandlesError(source, problem)
    notes = [f"no header: its columns are taken for {words}"]
    if place:
        notes.append(f"{place} {'row' if place == 1 else 'rows'} above the first candle left out")
    return _table(names, rows[place:], source, notes)


def _table(names: Sequence[str], rows: list[_Row], source: str, notes: Sequence[str]) -> Table:
    width = len(names)
    for row in rows:
        if len(row.fields) < width:
            raise CandlesError(
                source,
                f"row {row.number} has {len(row.fields)} columns where {width} are expected; is the file cut off?",
            )
        if any(row.fields[width:]):
            raise CandlesError(
                source,
                f"row {row.number} has {len(row.fields)} columns where {width} are expected; is a decimal comma not "
                "in quotes? Then divide the columns by semicolons",
            )
    columns = list(zip(*(islice(row.fields, width) for row in rows), strict=True)) or [()] * width
    frame = pd.DataFrame({place: pd.Series(column, dtype=object) for place, column in enumerate(columns)})
    return Table(source, list(names), frame, np.array([row.number for row in rows], dtype=np.int64), tuple(notes))
