"""Candles as arrays, and the check that they are candles at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from nightdesk_core.clock import iso

from nightdesk_sandbox.errors import CandlesError

HOUR_SECONDS = 3600
PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
_MOST_DECIMALS = 8

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RecordedCandles:
    """Candles in rising order of time, all arrays of one length; a missing candle is simply absent.

    `time` is each candle's open in seconds since the epoch, UTC. Volume is in the base coin.
    """

    time: Times
    open: Values
    high: Values
    low: Values
    close: Values
    volume: Values
    interval_seconds: int = field(default=HOUR_SECONDS, kw_only=True)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def end(self) -> int:
        """The last candle's close, in seconds since the epoch."""
        return int(self.time[-1]) + self.interval_seconds

    @cached_property
    def price_decimals(self) -> int:
        """How many decimals the prices have, 8 at most: the market's tick is ten to the power of minus this."""
        prices = np.concatenate([self.open, self.high, self.low, self.close])
        for decimals in range(_MOST_DECIMALS):
            if np.allclose(np.round(prices, decimals), prices, rtol=1e-12, atol=0):
                return decimals
        return _MOST_DECIMALS

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all the numbers, the same on every machine."""
        digest = hashlib.sha256(str(self.interval_seconds).encode())
        digest.update(self.time.astype("<i8").tobytes())
        for column in VALUE_COLUMNS:
            digest.update(getattr(self, column).astype("<f8").tobytes())
        return digest.hexdigest()


def check(candles: RecordedCandles, *, source: str, first_row: int) -> None:
    """Raise `CandlesError` for the first row that is not a candle; `first_row` is what the file calls its first one."""
    if len(candles) < 2:
        raise CandlesError(source, f"holds {len(candles)} candles; a replay needs 2 at least")
    _check_values(candles, source, first_row)
    _check_times(candles, source, first_row)


def _check_values(candles: RecordedCandles, source: str, first_row: int) -> None:
    for column in VALUE_COLUMNS:
        values: Values = getattr(candles, column)
        _refuse(~np.isfinite(values), column, "is missing or not a number", source, first_row)
    for column in PRICE_COLUMNS:
        _refuse(getattr(candles, column) <= 0, column, "is not above 0", source, first_row)
    _refuse(candles.volume < 0, "volume", "is below 0", source, first_row)
    _refuse(candles.high < np.maximum(candles.open, candles.close), "high", "is below open or close", source, first_row)
    _refuse(candles.low > np.minimum(candles.open, candles.close), "low", "is above open or close", source, first_row)


def _check_times(candles: RecordedCandles, source: str, first_row: int) -> None:
    time, interval = candles.time, candles.interval_seconds
    steps = np.diff(time)
    _refuse(steps == 0, "time", "is the same as in the row before", source, first_row + 1)
    _refuse(
        steps < 0,
        "time",
        "is before that of the row above; rows run from the oldest to the newest",
        source,
        first_row + 1,
    )
    off = time % interval != 0
    if off.any():
        stamp = iso(int(time[off][0]))
        _refuse(
            off, "time", f"is {stamp}, not the start of an hour; the sandbox replays hourly candles", source, first_row
        )
    if steps.min() > interval:
        raise CandlesError(
            source, f"no two candles are an hour apart, but {steps.min():g} s; the sandbox replays hourly candles"
        )


def _refuse(bad: _Rows, column: str, problem: str, source: str, first_row: int) -> None:
    if not bad.any():
        return
    count = int(bad.sum())
    more = f" (and in {count - 1} more)" if count > 1 else ""
    raise CandlesError(source, f"row {first_row + int(np.argmax(bad))}, column {column} {problem}{more}")
