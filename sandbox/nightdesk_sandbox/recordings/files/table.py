"""A file's rows and columns before anything in them is understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from nightdesk_core.text import line

from nightdesk_sandbox.errors import CandlesError

NULLS = ("", "nan", "null", "none", "n/a", "na", "-", "--", "<na>", "nat")
"""What files write where there is nothing, in small letters."""


@dataclass(frozen=True)
class Table:
    """Columns by their place, of text or typed as the file has them; `rows` is the number of each row in the file."""

    source: str
    names: Sequence[str]
    """As the file has them; empty where it names no columns."""
    frame: pd.DataFrame
    rows: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()
    """What was left out or taken for granted in making it."""

    def column(self, place: int) -> pd.Series:
        """Return a column."""
        return self.frame.iloc[:, place]

    def name(self, place: int) -> str:
        """Return what to call a column in a message."""
        return brief(self.names[place].strip() if self.names else "") or f"number {place + 1}"

    def take(self, chosen: npt.NDArray[np.int64]) -> Table:
        """Return the rows at the places `chosen`, in that order."""
        frame = self.frame.iloc[chosen].reset_index(drop=True)
        return Table(self.source, self.names, frame, self.rows[chosen], self.notes)

    def wrong(self, at: npt.NDArray[np.bool_], column: str, problem: str, advice: str = "") -> CandlesError:
        """Return the error for the first of the rows `at`."""
        count = int(at.sum())
        more = f" (and in {count - 1} more)" if count > 1 else ""
        row = int(self.rows[int(np.argmax(at))])
        return CandlesError(self.source, f"row {row}, column {column} {problem}{more}" + (advice and f"; {advice}"))


def cell(value: object) -> str:
    """Return a value as a message shows it: short, and without anything that a terminal would act on."""
    return repr(brief(line(str(value))))


def brief(text: str) -> str:
    """Return the beginning of a text, as much as a message has room for."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def as_text(column: pd.Series) -> pd.Series:
    """Return a column as text without spaces around it, empty where there is nothing."""
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return text.where(~text.str.lower().isin(NULLS), "")
