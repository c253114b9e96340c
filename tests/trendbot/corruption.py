"""What exchanges have made of candles: rows that cannot be true, each wrong in one way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Row = list[Any]
Corruption = Callable[[Row], list[Row]]
"""Returns what is told in a row's place; a row is time in milliseconds, open, high, low, close, volume."""

OPEN, HIGH, LOW, CLOSE, VOLUME = range(1, 6)
HOUR_MS = 3_600_000


def _with(place: int, value: Callable[[Row], Any]) -> Corruption:
    return lambda row: [[*row[:place], value(row), *row[place + 1 :]]]


def _is(value: Any) -> Callable[[Row], Any]:
    return lambda _row: value


CORRUPTIONS: dict[str, Corruption] = {
    "high below low": lambda row: [[*row[:2], row[LOW], row[HIGH] * 1.01, *row[4:]]],
    "open above high": _with(OPEN, lambda row: row[HIGH] * 1.5),
    "close below low": _with(CLOSE, lambda row: row[LOW] * 0.5),
    "a price of zero": _with(LOW, _is(0.0)),
    "a negative price": _with(CLOSE, lambda row: -row[CLOSE]),
    "no price": _with(HIGH, _is(None)),
    "a price that is no number": _with(OPEN, _is(math.nan)),
    "an infinite price": _with(HIGH, _is(math.inf)),
    "a price in words": _with(CLOSE, _is("n/a")),
    "a price that is a list": _with(CLOSE, _is([1.0])),
    "an absurd price": lambda row: [[row[0], *(price * 1e12 for price in row[1:5]), row[5]]],
    "truths for prices": lambda row: [[row[0], True, True, True, True, row[5]]],
    "a truth for a volume": _with(VOLUME, _is(True)),
    "a negative volume": _with(VOLUME, _is(-1.0)),
    "no volume": _with(VOLUME, _is(None)),
    "a volume that is no number": _with(VOLUME, _is(math.nan)),
    "an absurd volume": _with(VOLUME, _is(1e30)),
    "an infinite volume": _with(VOLUME, _is(math.inf)),
    "no time": _with(0, _is(None)),
    "a time in words": _with(0, _is("2017-07-14")),
    "a time that is no number": _with(0, _is(math.nan)),
    "a time between the hours": _with(0, lambda row: row[0] + HOUR_MS // 2),
    "a time in seconds": _with(0, lambda row: row[0] / 1000),
    "a time in microseconds": _with(0, lambda row: row[0] * 1000),
    "a time far ahead": _with(0, lambda row: row[0] + 1000 * HOUR_MS),
    "twice, each time otherwise": lambda row: [row, [*row[:4], (row[HIGH] + row[LOW]) / 2, row[5] + 1]],
    "half a row": lambda row: [row[:3]],
    "an empty row": lambda row: [[]],
    "a word for a row": lambda row: ["candle"],  # type: ignore[list-item]
    "nothing for a row": lambda row: [None],  # type: ignore[list-item]
}

MOVED: dict[str, Corruption] = {
    "a time an hour late": _with(0, lambda row: row[0] + HOUR_MS),
    "a time an hour early": _with(0, lambda row: row[0] - HOUR_MS),
}
"""Rows that take another candle's place: that candle is told twice."""
