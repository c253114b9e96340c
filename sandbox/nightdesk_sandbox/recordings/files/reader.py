"""A person's own candles, from whatever file they have them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from nightdesk_core.clock import iso
from nightdesk_core.text import line

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import (
    HOUR_SECONDS,
    RecordedCandles,
    Values,
    check,
)
from nightdesk_sandbox.recordings.files.arrow import arrow_table, json_table
from nightdesk_sandbox.recordings.files.content import read_content
from nightdesk_sandbox.recordings.files.names import in_quote_coin, places
from nightdesk_sandbox.recordings.files.numerals import numbers
from nightdesk_sandbox.recordings.files.quality import Finding, findings
from nightdesk_sandbox.recordings.files.settings import CandleFileSettings
from nightdesk_sandbox.recordings.files.table import Table, as_text, cell
from nightdesk_sandbox.recordings.files.text import text_table
from nightdesk_sandbox.recordings.files.times import Stamps, joined_times, stamps

_FACTOR_OF_VOLUMES = 3.0
"""The volume in the quote coin is the base coin's at a price between low and high: by so much the median may be off."""


@dataclass(frozen=True)
class CandleFileRead:
    """Hourly candles as a file has them, oldest first, each hour once."""

    candles: RecordedCandles
    notes: tuple[str, ...]
    """How the file was read where it does not say so itself, and what was left out."""
    warnings: tuple[str, ...]
    """What is odd in it and does not stop."""

    def __str__(self) -> str:
        first, last = (iso(int(self.candles.time[place])) for place in (0, -1))
        parts = [f"{len(self.candles):,} candles from {first} to {last}", *self.notes]
        return line("; ".join([*parts, *(f"warning: {warning}" for warning in self.warnings)]))


def read_candles(settings: CandleFileSettings, *, home: Path = Path()) -> CandleFileRead:
    """Return the hourly candles of a file; a relative path lies in `home`.

    CSV, JSON, Parquet and Feather, also in gzip or zip; docs/candle-files.md says what they may look like. A text's
    rows are counted as an editor counts its lines, others from 1.
    Raises `CandlesError` that names the file, the row, what is wrong and what to do: also where two readings are
    possible, and where the numbers are such as no market makes.
    """
    table = _table(home / settings.file)
    rows, columns, notes, warnings = _columns(table, settings)
    rows, columns, found = _in_order(rows, columns, table.source)
    candles = RecordedCandles(np.floor(columns[0]).astype(np.int64), *columns[1:])
    check(candles, source=table.source, rows=rows)
    odd = findings(candles, rows, accept=settings.accept)
    _refuse_stopping(odd, table.source)
    warnings += [*_gaps(candles), *(finding.message for finding in odd)]
    return CandleFileRead(candles, (*notes, *found), tuple(warnings))


def _columns(
    table: Table, settings: CandleFileSettings
) -> tuple[npt.NDArray[np.int64], list[Values], list[str], list[str]]:
    """Return the rows' numbers, their times, prices and volumes as they stand in the file, notes and warnings."""
    where = places(_names(table), table.source)
    _refuse_several_markets(table, where.markets)
    table, times = joined_times(table, where.times)
    values, notes = numbers(table, (*where.prices, *where.volumes), decimal=settings.decimal)
    notes = [*table.notes, *notes]
    empty = np.isnan(np.array(values[:4])).all(axis=0)
    if empty.any():
        # This is how some write an hour without a trade.
        kept = np.flatnonzero(~empty)
        table, values = table.take(kept), [column[kept] for column in values]
        notes.append(f"rows without prices left out: {int(empty.sum()):,}")
    if len(table.rows) < 2:
        raise CandlesError(table.source, f"holds {len(table.rows)} candles; a replay needs 2 at least")
    prices = values[:4]
    seconds, of_times = _seconds(table, times, settings)
    volume, of_volumes, warnings = _volume(table, dict(zip(where.volumes, values[4:], strict=True)), prices[3])
    return table.rows, [seconds, *prices, volume], [*notes, *of_times, *of_volumes], warnings


def _refuse_stopping(odd: Sequence[Finding], source: str) -> None:
    stopping = [finding for finding in odd if finding.stops]
    if not stopping:
        return
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in stopping))
    problem = "; ".join(finding.message for finding in stopping)
    advice = f"correct the file, or, where the market was so, accept it: `accept: [{kinds}]` beside the file"
    raise CandlesError(source, f"{problem}; nothing learnt on it would be worth its money: {advice}")


def _table(path: Path) -> Table:
    kind, content = read_content(path)
    if kind == "CSV":
        return text_table(content, str(path))
    if kind == "JSON":
        return json_table(content, str(path))
    return arrow_table(content, str(path), parquet=kind == "Parquet")


def _names(table: Table) -> Sequence[str]:
    return [name.strip().lstrip("#").strip("<>") for name in table.names]


def _refuse_several_markets(table: Table, markets: tuple[int, ...]) -> None:
    for place in markets:
        text = as_text(table.column(place))
        other = (text != text.iloc[0]).to_numpy() if len(text) else np.zeros(0, dtype=bool)
        if other.any():
            problem = f"is {cell(text[other].iloc[0])}, where the first row has {cell(text.iloc[0])}"
            raise table.wrong(other, table.name(place), problem, "keep the rows of one market in each file")


def _seconds(
    table: Table, times: tuple[int, ...], settings: CandleFileSettings
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Return the moments, of several columns those of the one that is most explicit; the others must agree with it."""
    first, error = None, None
    read: list[tuple[int, Stamps]] = []
    for place in times:
        try:
            read.append((place, stamps(table, place, timezone=settings.timezone, dates=settings.dates)))
        except CandlesError as refused:
            error = error or refused
    if not read:
        assert error is not None  # there is a column of times, or its names would have been refused
        raise error
    first, best = min(read, key=lambda item: (not item[1].explicit, item[1].days_only))
    notes = list(best.notes)
    if len(times) > 1:
        notes.append(f"times taken from column {table.name(first)}")
    for place, other in read:
        if place != first:
            _refuse_other_times(table, (first, best), (place, other))
    return best.seconds, notes


def _refuse_other_times(table: Table, first: tuple[int, Stamps], second: tuple[int, Stamps]) -> None:
    """Raise `CandlesError` where a second column of times goes another way than the first."""
    (place, best), (other_place, other) = first, second
    told = np.floor(best.seconds / 86_400) * 86_400 if other.days_only else np.floor(best.seconds)
    apart = np.floor(other.seconds) - told
    # A local clock is always as far from the other. A unit's lost digits do not make another hour.
    usual = 0.0 if other.explicit else apart[0]
    differs = np.abs(apart - usual) >= HOUR_SECONDS / 2
    if differs.any() and not other.days_only:
        problem = f"tells another time than column {table.name(place)}"
        raise table.wrong(differs, table.name(other_place), problem, "take the wrong one of the two out")


def _volume(table: Table, volumes: dict[int, Values], close: Values) -> tuple[Values, list[str], list[str]]:
    """Return the volume in the base coin, how it was chosen, and warnings; `volumes` are the columns by their place."""
    found = {place: column for place, column in volumes.items() if not np.isnan(column).all()}
    # MetaTrader has a second one that nobody fills.
    found = {place: column for place, column in found.items() if column.any()} or found
    if not found:
        return np.zeros(len(table.rows)), [], ["no volumes: all are taken for 0, and a model learns nothing from them"]
    place, notes = next(iter(found)), []
    if len(found) > 1:
        place = _base_volume(table, found, close)
        notes.append(f"volumes taken from column {table.name(place)}, which times the price is the other one")
    volume, warnings = found[place], []
    if len(found) == 1 and in_quote_coin(table.name(place)):
        problem = "is named after a coin that prices are in; what is read is the base coin's"
        warnings.append(
            f"column {table.name(place)} {problem}: divide it by the close, or call it volume if it is right"
        )
    missing = np.isnan(volume)
    if missing.any():
        problem = "is missing, where other rows have one"
        raise table.wrong(missing, table.name(place), problem, "write 0 where nothing was traded")
    return volume, notes, warnings


def _base_volume(table: Table, found: dict[int, Values], close: Values) -> int:
    """Return which of two columns is in the base coin: times the price it is the other. Raises `CandlesError`."""
    names = " and ".join(table.name(place) for place in found)
    fitting = []
    for base, volume in found.items():
        for quote, other in found.items():
            traded = (volume > 0) & (other > 0) & (close > 0)
            if base != quote and traded.any():
                apart = np.log(other[traded]) - np.log(volume[traded]) - np.log(close[traded])
                if abs(float(np.median(apart))) < np.log(_FACTOR_OF_VOLUMES):
                    fitting.append(base)
    if len(set(fitting)) != 1:
        problem = f"has several volumes, {names}, and the numbers do not show which is in the base coin"
        raise CandlesError(table.source, f"{problem}; leave one of them, called volume")
    return fitting[0]


def _in_order(
    rows: npt.NDArray[np.int64], columns: list[Values], source: str
) -> tuple[npt.NDArray[np.int64], list[Values], list[str]]:
    """Return rows and columns oldest first, each candle once. What runs neither way is left for the check to name."""
    notes = []
    if columns[0][0] > columns[0][-1]:
        rows, columns = rows[::-1], [column[::-1] for column in columns]
        notes.append("newest first: turned round")
    # Downloads that overlap are often joined: a row that is in every number another one adds nothing.
    doubled = pd.DataFrame(dict(enumerate(columns))).duplicated().to_numpy()
    if doubled.any():
        rows, columns = rows[~doubled], [column[~doubled] for column in columns]
        notes.append(f"doubled rows left out: {int(doubled.sum()):,}")
    same_time = np.diff(columns[0]) == 0
    if same_time.any():
        at = int(np.argmax(same_time))
        raise CandlesError(
            source,
            f"row {rows[at + 1]} is another candle of the hour of row {rows[at]} ({iso(int(columns[0][at]))}): which "
            "is true? Are these times of a zone whose clocks went back? Then name it by `timezone` beside the file in "
            "sandbox.candles; else take one out",
        )
    return rows, [np.ascontiguousarray(column) for column in columns], notes


def _gaps(candles: RecordedCandles) -> list[str]:
    steps = np.diff(candles.time) // candles.interval_seconds
    missing = int(steps.sum()) - len(steps)
    if missing == 0:
        return []
    longest = int(np.argmax(steps))
    since = iso(int(candles.time[longest]) + candles.interval_seconds)
    return [f"hours missing: {missing:,}, {int(steps[longest]) - 1} of them from {since} on"]
