"""Numbers as people write them: with a decimal point or comma, with thousands set apart, with a currency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.files.table import Table, as_text, cell

DecimalMark = Literal[".", ","]

_AROUND = r"^[$€£¥₿ ]+|[$€£¥₿ ]+$"
_SPACES = "[ \u00a0\u202f'’]"  # noqa: RUF001 - what the Swiss and spreadsheets set thousands apart by
_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_GROUPED = {mark: re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in ".,"}
_TOO_SMALL = ("bool", "boolean", "float16")
"""Types of numbers that hold three digits at most."""
_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9}


def numbers(
    table: Table, columns: Sequence[int], *, decimal: DecimalMark | None
) -> tuple[list[npt.NDArray[np.float64]], list[str]]:
    """Return columns as numbers, NaN where there is nothing, and what was taken for granted.

    All are written in one way. Raises `CandlesError` where a value is no number, or may be either of two.
    """
    text = {
        place: as_text(table.column(place))
        for place in columns
        if not pd.api.types.is_numeric_dtype(table.column(place))
    }
    mark = decimal or _mark(table, text)
    found = [_parsed(table, place, text[place], mark) if place in text else _typed(table, place) for place in columns]
    return found, ["numbers have a decimal comma"] if mark == "," and text else []


def _typed(table: Table, place: int) -> npt.NDArray[np.float64]:
    column = table.column(place)
    kind = str(column.dtype).lower()
    if kind in _TOO_SMALL:
        problem = f"column {table.name(place)} is of the type {kind}, which tells no price: save it as float64"
        raise CandlesError(table.source, problem)
    if kind == "float32":
        # 0.1 in 32 bits is not 0.1 in 64, and its shortest decimals are what was meant.
        column = column.astype(str)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _mark(table: Table, text: dict[int, pd.Series]) -> DecimalMark:
    """Return the decimal mark that the values themselves show, the point where none of them holds a comma."""
    seen: dict[DecimalMark, tuple[int, int]] = {}
    open_to_both: tuple[int, int] | None = None
    for place, column in text.items():
        if not column.str.contains(",", regex=False).any():
            continue
        for at, value in column.items():
            shown = _shown_mark(str(value).strip("$€£¥₿ "))
            if shown == "either":
                open_to_both = open_to_both or (int(str(at)), place)
            elif shown is not None:
                seen.setdefault(shown, (int(str(at)), place))
    if len(seen) == 2:
        (first, place), (second, other) = seen["."], seen[","]
        raise CandlesError(
            table.source,
            f"row {table.rows[first]}, column {table.name(place)} has a decimal point "
            f"({cell(text[place].iloc[first])}), and row {table.rows[second]}, column {table.name(other)} a decimal "
            f"comma ({cell(text[other].iloc[second])}); write all numbers in one way",
        )
    if seen:
        return next(iter(seen))
    if open_to_both is not None and not any(map(_has_decimal_point, text.values())):
        at, place = open_to_both
        raise CandlesError(
            table.source,
            f"row {table.rows[at]}, column {table.name(place)}: {cell(text[place].iloc[at])} may have a decimal comma, "
            "or one that sets thousands apart; say which by `decimal` beside the file in sandbox.candles",
        )
    return "."


def _has_decimal_point(column: pd.Series) -> bool:
    """Whether a value has a point that can set no thousands apart."""
    pointed = column[column.str.contains(".", regex=False)]
    return bool((~pointed.str.fullmatch(_GROUPED["."]) | pointed.str.startswith("0")).any())


def _shown_mark(value: str) -> DecimalMark | Literal["either"] | None:
    """Return the decimal mark that one value shows; `None` where it holds no comma and shows nothing."""
    comma, point = value.rfind(","), value.rfind(".")
    if comma >= 0 and point >= 0:
        return "," if comma > point else "."
    if comma < 0:
        return None
    if not _GROUPED[","].fullmatch(value) or value.lstrip("+-").startswith("0"):
        return ","
    return "." if value.count(",") > 1 else "either"


def _parsed(table: Table, place: int, column: pd.Series, mark: DecimalMark) -> npt.NDArray[np.float64]:
    other = "," if mark == "." else "."
    plain = column.str.replace(_AROUND, "", regex=True)
    if plain.str.contains(_SPACES, regex=True).any():
        set_apart = plain.str.fullmatch(rf"[+-]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d*)? ?[KkMmBb]?")
        plain = plain.where(~set_apart, plain.str.replace(_SPACES, "", regex=True))
    holds_other = plain.str.contains(other, regex=False)
    if holds_other.any():
        grouped = plain.str.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(other)}\d{{3}})+(?:{re.escape(mark)}\d*)?")
        plain = plain.where(~(holds_other & grouped), plain.str.replace(other, "", regex=False))
    if mark == ",":
        # A point that is left sets nothing apart: it must not become a decimal one.
        plain = plain.where(~plain.str.contains(".", regex=False), "?").str.replace(",", ".", regex=False)
    factor = plain.str[-1:].str.upper().map(_SUFFIXES)
    plain = plain.where(factor.isna(), plain.str[:-1].str.strip())
    wrong = ((plain != "") & ~plain.str.fullmatch(_PLAIN)).to_numpy(dtype=bool)
    if wrong.any():
        value = cell(column.iloc[int(np.argmax(wrong))])
        raise table.wrong(wrong, table.name(place), f"is {value}, not a number")
    return (pd.to_numeric(plain, errors="coerce") * factor.fillna(1.0)).to_numpy(dtype=np.float64)
