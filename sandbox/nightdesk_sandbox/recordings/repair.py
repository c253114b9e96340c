"""What is wrong with the sample candles as they are published, put right.

The file is `Coinbase_BTCUSD_1h.csv` of CryptoDataDownload: BTC/USD at Coinbase, real, newest first, stamped in 12-hour
notation, with a banner in its first line. 1,208 of its bars are in US Eastern time although the banner says UTC.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import numpy as np

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, VALUE_COLUMNS, RecordedCandles, check

SOURCE = "the sample candles"
_HEADER = ["date", "symbol", "open", "high", "low", "close", "volume_btc", "volume"]
_STAMP = "%Y-%m-%d %I-%p"

# The stretch in Eastern time begins with a gap of 4 hours and ends with 5 hours that come twice. In between, daylight
# saving ended on 2017-11-05. With these shifts the doubled hours are the same bars to the cent.
_EASTERN_STRETCHES = (
    (datetime(2017, 9, 22, 20, tzinfo=UTC), datetime(2017, 11, 5, 1, tzinfo=UTC), timedelta(hours=4)),
    (datetime(2017, 11, 5, 1, tzinfo=UTC), datetime(2017, 11, 12, 4, tzinfo=UTC), timedelta(hours=5)),
)

EXPECTED_ROWS = 20_106
EXPECTED_MISSING_HOURS = 5


def repair(content: bytes) -> RecordedCandles:
    """Return the candles of the published file in UTC, oldest first, each hour once.

    Raises `CandlesError` where the file is another one than the one that this repair was written for.
    """
    candles = parse(content)
    missing = (candles.end - int(candles.time[0])) // HOUR_SECONDS - len(candles)
    if (len(candles), missing) != (EXPECTED_ROWS, EXPECTED_MISSING_HOURS):
        raise CandlesError(
            SOURCE,
            f"hold {len(candles):,} rows and lack {missing} hours after the repair, "
            f"where {EXPECTED_ROWS:,} rows and {EXPECTED_MISSING_HOURS} hours are expected",
        )
    return candles


def parse(content: bytes) -> RecordedCandles:
    """Return the candles of a file in the published form, times put right and doubles dropped.

    Raises `CandlesError` with the line and the column of what cannot be read, and where two bars of one hour differ.
    """
    lines = list(csv.reader(content.decode("utf-8", errors="replace").splitlines()))
    if lines[1:2] != [_HEADER]:
        raise CandlesError(SOURCE, f"line 2 must read {','.join(_HEADER)}")
    bars: dict[int, tuple[float, ...]] = {}
    for number, fields in enumerate(lines[2:], start=3):
        time, bar = _time(fields, number), _bar(fields, number)
        if bars.setdefault(time, bar) != bar:
            raise CandlesError(SOURCE, f"line {number} is another bar for an hour that a line above has")
    times = sorted(bars)
    columns = np.array([bars[time] for time in times], dtype=np.float64).reshape(len(times), len(VALUE_COLUMNS)).T
    candles = RecordedCandles(np.array(times, dtype=np.int64), *(np.ascontiguousarray(column) for column in columns))
    check(candles, source=SOURCE)
    return candles


def _time(fields: list[str], line: int) -> int:
    try:
        stamp = datetime.strptime(fields[0], _STAMP).replace(tzinfo=UTC)
    except (IndexError, ValueError) as error:
        raise CandlesError(SOURCE, f"line {line}, column date must read like 2017-07-01 11-AM") from error
    for start, end, shift in _EASTERN_STRETCHES:
        if start <= stamp < end:
            return int((stamp + shift).timestamp())
    return int(stamp.timestamp())


def _bar(fields: list[str], line: int) -> tuple[float, ...]:
    if len(fields) != len(_HEADER):
        raise CandlesError(SOURCE, f"line {line} has {len(fields)} columns where {len(_HEADER)} are expected")
    values = []
    for name, field in zip(_HEADER[2:7], fields[2:7], strict=True):
        try:
            values.append(float(field))
        except ValueError as error:
            raise CandlesError(SOURCE, f"line {line}, column {name} is not a number") from error
    return tuple(values)
