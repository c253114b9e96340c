"""The second sample: EUR/USD in 2017, by the hour, with the weekends at which nobody trades.

The file is Dukascopy's ask side as the library gym-anytrading ships it, in UTC, oldest first and without flaws: 6,225
hours, and 52 gaps of 15 to 50 hours, which are the weekends and Christmas.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import numpy as np

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import RecordedCandles, check

SOURCE = "the second market's candles"
_HEADER = ["Time", "Open", "High", "Low", "Close", "Volume"]
_STAMP = "%d.%m.%Y %H:%M:%S.%f"


def parse(content: bytes) -> RecordedCandles:
    """Return the candles of the published file. Raises `CandlesError` with the line of what cannot be read."""
    lines = list(csv.reader(content.decode("utf-8", errors="replace").splitlines()))
    if lines[:1] != [_HEADER]:
        raise CandlesError(SOURCE, f"line 1 must read {','.join(_HEADER)}")
    rows = [_row(fields, number) for number, fields in enumerate(lines[1:], start=2)]
    time, *columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(_HEADER)).T
    candles = RecordedCandles(time.astype(np.int64), *(np.ascontiguousarray(column) for column in columns))
    check(candles, source=SOURCE, rows=np.arange(2, len(rows) + 2))
    return candles


def _row(fields: list[str], line: int) -> list[float]:
    if len(fields) != len(_HEADER):
        raise CandlesError(SOURCE, f"line {line} has {len(fields)} columns where {len(_HEADER)} are expected")
    stamp, *numbers = fields
    try:
        moment = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()
        return [moment, *(float(number) for number in numbers)]
    except ValueError as error:
        raise CandlesError(SOURCE, f"line {line} cannot be read ({error})") from error
