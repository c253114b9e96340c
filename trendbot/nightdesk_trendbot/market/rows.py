"""What an exchange tells as candles, row by row, read in one place: those that can be true, and those that cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightdesk_trendbot.signals.candles import Bar, Floats

FIELDS = 6
"""Time, open, high, low, close, volume."""
LATEST = 4_102_444_800
"""The year 2100: a time beyond it is one in another unit, such as microseconds."""
LARGEST_PRICE = 1e12
"""A price beyond it is none."""
_LARGEST_TURNOVER = 1e18
"""Of a candle, in units and in the quote currency: a thousand times what the busiest market of the smallest unit trades
in a day."""
_DIGEST_DIGITS = 16
_LONGEST_ROW = 2000
"""Characters of a row that its digest is taken of."""

Mask = NDArray[np.bool_]


class Rejected(NamedTuple):
    """A row that cannot be a candle."""

    time: int | None
    """The open that it claims, in Unix seconds of market time; `None` where no candle can open then."""
    digest: str
    """Of what the exchange told, so that two wrong answers can be told apart."""
    reason: str


class Told(NamedTuple):
    """What an answer holds, both by time: candles, each time once, and what is not one."""

    bars: tuple[Bar, ...]
    rejected: tuple[Rejected, ...]


def impossible(values: Floats) -> dict[str, Mask]:
    """Return what no candle can be, and which are it: `values` are open, high, low, close, volume, shape (N, 5)."""
    prices, volume = values[:, :4], values[:, 4]
    open_, high, low, close = prices.T
    priced = np.isfinite(prices).all(axis=1) & (prices > 0).all(axis=1)
    inside = (high >= np.maximum(open_, close)) & (low <= np.minimum(open_, close))
    counted = (volume >= 0) & np.isfinite(volume)
    with np.errstate(over="ignore", invalid="ignore"):
        turnover = volume * close
    small = (prices <= LARGEST_PRICE).all(axis=1) & (volume <= _LARGEST_TURNOVER) & (turnover <= _LARGEST_TURNOVER)
    return {
        "holds a price that is not positive": ~priced,
        "has its open or close outside high and low": priced & ~inside,
        "has a negative volume": ~counted,
        "has a price or a volume beyond what any market trades": priced & counted & ~small,
    }


def numbers(answered: Sequence[Any]) -> Floats:
    """Return rows as numbers, shape (N, 6): time in milliseconds, open, high, low, close, volume.

    What is missing or is no number is NaN. A truth is none, though numpy and Python take it for 1.
    """
    try:
        found = np.zeros(0) if _has_truths(answered) else np.array(answered, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.shape == (len(answered), FIELDS):
        return found
    return np.array([_numbers_of(row) for row in answered], dtype=np.float64).reshape(len(answered), FIELDS)


def read_rows(answered: Sequence[Any], *, interval_seconds: int) -> Told:
    """Return the candles among the rows that an exchange answered with, and what is none.

    A row told twice is one candle; two rows of one time that differ are none, and one of them may be another candle's.
    """
    rows = numbers(answered)
    seconds = np.floor(rows[:, 0] / 1000)
    placed = np.isfinite(seconds) & (seconds >= 0) & (seconds < LATEST)
    placed[placed] = seconds[placed] % interval_seconds == 0
    wrong = {f"does not open at a multiple of {interval_seconds} s": ~placed, **impossible(rows[:, 1:])}
    bars: dict[int, Bar] = {}
    rejected: dict[int, Rejected] = {}
    misplaced = []
    for at, row in enumerate(answered):
        reasons = [reason for reason, mask in wrong.items() if mask[at]]
        time = int(seconds[at]) if placed[at] else None
        bar = Bar(time or 0, *rows[at, 1:].tolist())
        if not reasons and bars.get(bar.time, bar) != bar:
            reasons = ["is told twice, each time otherwise"]
            misplaced.append(Rejected(None, _digest(row), reasons[0]))
        if time is None:
            misplaced.append(Rejected(None, _digest(row), "; ".join(reasons)))
        elif reasons or time in rejected:
            bars.pop(time, None)
            rejected.setdefault(time, Rejected(time, _digest(row), "; ".join(reasons)))
        else:
            bars[time] = bar
    return Told(
        tuple(bars[time] for time in sorted(bars)), (*(rejected[time] for time in sorted(rejected)), *misplaced)
    )


def _has_truths(answered: Sequence[Any]) -> bool:
    return any(isinstance(value, bool) for row in answered if isinstance(row, list | tuple) for value in row)


def _numbers_of(row: Any) -> list[float]:
    values = list(row)[:FIELDS] if isinstance(row, list | tuple) else []
    return [*map(_number, values), *[np.nan] * (FIELDS - len(values))]


def _number(value: Any) -> float:
    try:
        return np.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _digest(row: Any) -> str:
    return hashlib.sha256(repr(row)[:_LONGEST_ROW].encode()).hexdigest()[:_DIGEST_DIGITS]
