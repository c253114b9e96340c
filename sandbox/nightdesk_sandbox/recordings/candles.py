"""Candles as arrays, and the check that they are candles at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from nightdesk_core.clock import iso

from nightdesk_sandbox.errors import CandlesError

HOUR_SECONDS = 3600
PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
_MOST_DECIMALS = 8
_LOST_SHARE = 0.01
"""What rounding a price to so many decimals may change it by: the forming candle is rounded so, and fills are."""
_LARGEST = 1e24
"""No price or volume is larger, and none but 0 smaller than one by it: the quotient of two is always a number."""

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

    def until(self, end: float) -> RecordedCandles:
        """Return the candles that have closed by `end`."""
        kept = slice(0, int(np.searchsorted(self.time, end - self.interval_seconds, side="right")))
        return replace(self, time=self.time[kept], **{name: getattr(self, name)[kept] for name in VALUE_COLUMNS})

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


def check(candles: RecordedCandles, *, source: str, rows: Times | None = None) -> None:
    """Raise `CandlesError` for the first row that is not a candle; `rows` numbers them, else from 1."""
    if len(candles) < 2:
        raise CandlesError(source, f"holds {len(candles)} candles; a replay needs 2 at least")
    _Check(candles, source, np.arange(1, len(candles) + 1) if rows is None else rows).run()


@dataclass(frozen=True)
class _Check:
    candles: RecordedCandles
    source: str
    rows: Times

    def run(self) -> None:
        candles = self.candles
        for column in VALUE_COLUMNS:
            self._refuse(~np.isfinite(getattr(candles, column)), column, "is missing or not a number")
        for column in PRICE_COLUMNS:
            self._refuse(getattr(candles, column) <= 0, column, "is not above 0")
        self._refuse(candles.volume < 0, "volume", "is below 0")
        for column in VALUE_COLUMNS:
            size = np.abs(getattr(candles, column))
            self._refuse((size > _LARGEST) | ((size > 0) & (size < 1 / _LARGEST)), column, "is of no market's size")
        for column in PRICE_COLUMNS:
            prices = getattr(candles, column)
            lost = np.abs(np.round(prices, _MOST_DECIMALS) - prices) > _LOST_SHARE * prices
            self._refuse(lost, column, "cannot be told in steps of 0.00000001; multiply all prices by 1,000 or more")
        self._refuse(candles.high < np.maximum(candles.open, candles.close), "high", "is below open or close")
        self._refuse(candles.low > np.minimum(candles.open, candles.close), "low", "is above open or close")
        self._check_times()

    def _check_times(self) -> None:
        time, interval = self.candles.time, self.candles.interval_seconds
        steps = np.diff(time, prepend=time[0] - interval)
        self._refuse(steps == 0, "time", "is the same as in the row before")
        back = steps < 0
        if back.any():
            at = int(np.argmax(back))
            problem = (
                f"is {-int(steps[at]) / HOUR_SECONDS:g} h before that of row {self.rows[at - 1]}, against the order of "
                "the others; sort the rows, or, where a part is in another time zone, put that right"
            )
            self._refuse(back, "time", problem)
        off = time % interval != 0
        if off.any():
            self._refuse(off, "time", f"is {iso(int(time[off][0]))}, not the start of an hour; {self._advice()}")
        if steps[1:].min() > interval:
            problem = f"no two candles are an hour apart, but {steps[1:].min():g} s"
            raise CandlesError(self.source, f"{problem}; the sandbox replays hourly candles")

    def _advice(self) -> str:
        """Return what to do about times that are not the start of an hour."""
        if (self.candles.time % HOUR_SECONDS == HOUR_SECONDS - 1).all():
            return "these are the candles' closes: write when each opened"
        return "the sandbox replays hourly candles: join shorter ones, each opening on the hour, UTC"

    def _refuse(self, bad: _Rows, column: str, problem: str) -> None:
        if not bad.any():
            return
        count = int(bad.sum())
        more = f" (and in {count - 1} more)" if count > 1 else ""
        raise CandlesError(self.source, f"row {self.rows[int(np.argmax(bad))]}, column {column} {problem}{more}")
