"""Stamps of every unit and form as seconds since the epoch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.files.table import Table, as_text, cell

DateOrder = Literal["day first", "month first"]
Seconds = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_UNITS = (("ns", 1e17, 1e9), ("µs", 1e14, 1e6), ("ms", 1e11, 1e3), ("s", -np.inf, 1.0))
"""From which number on a stamp is in a unit: 1e11 is the year 5138 in seconds and 1973 in ms, and so on upwards."""
_SPREADSHEET_DAYS = (20_000, 80_000)
"""What spreadsheets count from 1900 on: 1954 to 2119. In seconds it is the first day of 1970."""

_NUMBER = r"-?\d{1,30}(?:\.\d*)?"
_FURTHEST_SECONDS = 62_135_596_800
"""As far from 1970 as the year 1."""
_YEAR_FIRST = r"(?P<y1>\d{4})(?P<s1>[-/.])(?P<m1>\d{1,2})(?P=s1)(?P<d1>\d{1,2})"
_YEAR_LAST = r"(?P<a>\d{1,2})(?P<s2>[-/.])(?P<b>\d{1,2})(?P=s2)(?P<y2>\d{4})"
_COMPACT = r"(?P<y3>(?:19|20)\d{2})(?P<m3>\d{2})(?P<d3>\d{2})"
_DAY_NAME_YEAR = r"(?P<d4>\d{1,2})[- ](?P<n4>[A-Za-z]{3,9})[-, ]+(?P<y4>\d{4})"
_NAME_DAY_YEAR = r"(?P<n5>[A-Za-z]{3,9})\.? (?P<d5>\d{1,2}),? (?P<y5>\d{4})"
_HOURS = r"(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<F>\d{1,9}))?)?)?(?:[ -]?(?P<half>[AaPp][Mm]))?"
_COMPACT_HOURS = r"(?P<H2>\d{2})(?P<M2>\d{2})(?P<S2>\d{2})?(?:\.\d+)?"
_ZONE = r" ?(?P<utc>Z|z|UTC|GMT)? ?(?P<offset>[+-]\d{2}(?::?\d{2})?)?(?: \(.*\))?"
_MOMENT = re.compile(
    rf"(?:[A-Za-z]{{3}},? )?(?:{_YEAR_FIRST}|{_YEAR_LAST}|{_COMPACT}|{_DAY_NAME_YEAR}|{_NAME_DAY_YEAR})"
    rf"(?:(?:[Tt]|,? )(?:{_COMPACT_HOURS}|{_HOURS}))?{_ZONE}"
)
_ALL_DIGITS = re.compile(
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?"
)
_CLOCK_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?|\d{4}|\d{6}")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_FORMS = "ISO 8601, a date with a time of day, or Unix time in s, ms, µs or ns"


@dataclass(frozen=True)
class Stamps:
    """Seconds since the epoch, and how they were read."""

    seconds: Seconds
    notes: tuple[str, ...]
    explicit: bool
    """Whether each says itself which moment it means: by a zone, or as Unix time."""
    days_only: bool = False


def joined_times(table: Table, places: tuple[int, ...]) -> tuple[Table, tuple[int, ...]]:
    """Return the table with a day and a time of day, where these are columns of their own, as one of its columns."""
    by_name = {table.name(place).strip("<>").lower(): place for place in places}
    date, time = by_name.get("date"), by_name.get("time")
    if date is None or time is None or len(table.rows) == 0:
        return table, places
    clock = as_text(table.column(time))
    if not clock.str.fullmatch(_CLOCK_TIME).all():
        return table, places
    frame = table.frame.copy()
    frame[date] = as_text(table.column(date)) + " " + clock
    return Table(table.source, table.names, frame, table.rows, table.notes), (date,)


def stamps(table: Table, place: int, *, timezone: str, dates: DateOrder | None) -> Stamps:
    """Return the moments of a column. Raises `CandlesError` where one cannot be read, or may be either of two."""
    column = table.column(place)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _typed(table, place, timezone)
    text = as_text(column.map(str) if pd.api.types.is_float_dtype(column) else column)
    # A float of pandas writes large numbers with an exponent; those of a spreadsheet have lost their last digits.
    if pd.api.types.is_float_dtype(column):
        text = column.map(lambda value: f"{value:.0f}" if np.isfinite(value) else "")
    digits = text.str.fullmatch(_ALL_DIGITS).to_numpy(dtype=bool)
    numeric = text.str.fullmatch(_NUMBER).to_numpy(dtype=bool) & ~digits
    seconds: Seconds = np.full(len(text), np.nan)
    notes: list[str] = []
    if numeric.any():
        seconds[numeric], found = _unix(table, place, text, numeric)
        notes += found
    if numeric.all():
        return Stamps(seconds, tuple(notes), explicit=True)
    spaced = text.str.replace(r"^(\d{8})(\d{4,6})$", r"\1 \2", regex=True).where(digits, text)
    parts = spaced.str.extract(rf"^(?:{_MOMENT.pattern})$")
    _refuse_unread(table, place, text, numeric, parts)
    local, zoned, found = _civil(table, place, text, parts, ~numeric, dates)
    notes += found
    if (zoned | numeric).any() and not (zoned | numeric).all():
        problem = f"is {cell(text.iloc[int(np.argmin(zoned | numeric))])}, without a zone where others have one"
        raise table.wrong(~(zoned | numeric), table.name(place), problem, "give every time its zone")
    if not zoned.any():
        local[~numeric] = _in_zone(table, place, local, ~numeric, timezone)
        notes.append(f"times without a zone taken for {timezone}")
    return Stamps(
        np.where(numeric, seconds, local),
        tuple(notes),
        explicit=bool((zoned | numeric).all()),
        days_only=_days_only(parts),
    )


def _typed(table: Table, place: int, timezone: str) -> Stamps:
    column = table.column(place)
    missing = column.isna().to_numpy()
    if missing.any():
        raise table.wrong(missing, table.name(place), "holds no time")
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    moments = (column.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else column).to_numpy()
    unit, _ = np.datetime_data(moments.dtype)
    seconds = moments.astype(np.int64) / {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    _refuse_beyond(table, place, pd.Series(moments.astype(str)), np.ones(len(seconds), dtype=bool), seconds)
    if zoned:
        return Stamps(seconds, (), explicit=True)
    local = _in_zone(table, place, seconds, np.ones(len(seconds), dtype=bool), timezone)
    return Stamps(local, (f"times without a zone taken for {timezone}",), explicit=False)


def _unix(table: Table, place: int, text: pd.Series, numeric: _Mask) -> tuple[Seconds, list[str]]:
    """Return Unix times, each in the unit that its size shows: a history may change its unit midway."""
    values = pd.to_numeric(text[numeric]).to_numpy(dtype=np.float64)
    low, high = _SPREADSHEET_DAYS
    if len(values) > 1 and (values >= low).all() and (values < high).all():
        problem = f"is {cell(text[numeric].iloc[0])}, a day as spreadsheets count them"
        raise table.wrong(numeric, table.name(place), problem, "format the column as date and time and export it anew")
    unit = np.array([next(n for n, (_, least, _d) in enumerate(_UNITS) if abs(value) >= least) for value in values])
    seconds = values / np.array([divisor for _, _, divisor in _UNITS])[unit]
    _refuse_beyond(table, place, text, numeric, seconds)
    notes = []
    rows = table.rows[numeric]
    for change in np.flatnonzero(np.diff(unit))[:3]:
        before, after = _UNITS[unit[change]][0], _UNITS[unit[change + 1]][0]
        notes.append(f"times go over from {before} to {after} in row {rows[change + 1]}")
    return seconds, notes


def _refuse_beyond(table: Table, place: int, text: pd.Series, wanted: _Mask, seconds: Seconds) -> None:
    """Raise `CandlesError` for moments that no calendar knows; `seconds` are those of the rows that are `wanted`."""
    beyond = np.zeros(len(wanted), dtype=bool)
    beyond[wanted] = ~(np.abs(seconds) <= _FURTHEST_SECONDS)
    if beyond.any():
        value = cell(text.iloc[int(np.argmax(beyond))])
        raise table.wrong(beyond, table.name(place), f"is {value}, no time in s, ms, µs or ns")


def _refuse_unread(table: Table, place: int, text: pd.Series, numeric: _Mask, parts: pd.DataFrame) -> None:
    years = parts[["y1", "y2", "y3", "y4", "y5"]].notna().any(axis=1).to_numpy()
    bad = ~(numeric | years)
    if not bad.any():
        return
    value = text.iloc[int(np.argmax(bad))]
    if re.fullmatch(r"\d(?:[.,]\d+)?[eE]\+?\d+", value):
        problem = f"is {cell(value)}: a spreadsheet has rounded it"
        raise table.wrong(bad, table.name(place), problem, "take the file as it was published")
    what = f"is {cell(value)}, no time" if value else "holds no time"
    raise table.wrong(bad, table.name(place), what, f"write {_FORMS}; a zone as Z or +01:00")


def _civil(
    table: Table, place: int, text: pd.Series, parts: pd.DataFrame, wanted: _Mask, dates: DateOrder | None
) -> tuple[Seconds, _Mask, list[str]]:
    """Return dates with times of day as seconds, by their zone where they name one, and which do."""
    words = ("n4", "n5", "s1", "s2", "half", "utc", "offset", "F")
    number = {name: _number(parts[name]) for name in map(str, parts) if name not in words}
    order, notes = _date_order(table, place, number["a"], number["b"], dates)
    day_first, month_first = ("a", "b") if order == "day first" else ("b", "a")
    named = [_month_number(parts[name]) for name in ("n4", "n5")]
    year = _either(*(number[f"y{form}"] for form in "12345"))
    month = _either(number["m1"], number[month_first], number["m3"], *named)
    day = _either(number["d1"], number[day_first], number["d3"], number["d4"], number["d5"])
    hour, half = _either(number["H"], number["H2"]), parts["half"].str.lower()
    minute, second = _either(number["M"], number["M2"]), _either(number["S"], number["S2"])
    twelve = half.notna().to_numpy()
    possible = (
        (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (day <= 31)
        & (year >= 1)
        & ~(twelve & ~((hour >= 1) & (hour <= 12)))
    )
    hour = np.where(twelve, hour % 12 + np.where((half == "pm").to_numpy(), 12, 0), hour)
    hour, minute, second = (np.nan_to_num(value) for value in (hour, minute, second))
    possible &= (hour < 24) & (minute < 60) & (second < 60)
    safe = [np.where(possible, value, 1).astype(np.int64) for value in (year, month, day)]
    months = (safe[0] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (safe[1] - 1)
    days = months.astype("datetime64[D]") + (safe[2] - 1)
    possible &= days.astype("datetime64[M]") == months  # there is no 30 February
    bad = wanted & ~possible
    if bad.any():
        raise table.wrong(bad, table.name(place), f"is {cell(text.iloc[int(np.argmax(bad))])}, which no clock shows")
    fraction = pd.to_numeric("0." + parts["F"].fillna("0")).to_numpy(dtype=np.float64)
    seconds = days.astype(np.int64) * 86_400.0 + hour * 3600 + minute * 60 + second + fraction
    offset = parts["offset"].fillna("").str.replace(":", "", regex=False)
    zoned = ((offset != "") | parts["utc"].notna()).to_numpy()
    sign = np.where(offset.str.startswith("-"), -1, 1)
    hours, minutes = (pd.to_numeric(offset.str[part]).fillna(0).to_numpy() for part in (slice(1, 3), slice(3, 5)))
    return seconds - sign * (hours * 3600 + minutes * 60), zoned & wanted, notes


def _number(column: pd.Series) -> Seconds:
    return pd.to_numeric(column).to_numpy(dtype=np.float64)


def _either(*columns: Seconds) -> Seconds:
    """Return of each row the first value that there is."""
    found: Seconds = columns[0]
    for column in columns[1:]:
        found = np.where(np.isnan(found), column, found)
    return found


def _month_number(names: pd.Series) -> Seconds:
    short = {name: float(number) for number, name in enumerate(_MONTHS, start=1)}
    return np.asarray(names.str[:3].str.lower().map(short), dtype=np.float64)


def _date_order(
    table: Table, place: int, first: Seconds, second: Seconds, dates: DateOrder | None
) -> tuple[DateOrder, list[str]]:
    """Return which of the two comes first where the year comes last, as some date in the file shows it."""
    if np.isnan(first).all():
        return "day first", []
    if dates is not None:
        return dates, []
    day_first, month_first = first > 12, second > 12
    name = table.name(place)
    if day_first.any() and month_first.any():
        other = int(table.rows[int(np.argmax(month_first))])
        problem = f"has the day first, and row {other} the month"
        raise table.wrong(day_first, name, problem, "write all dates in one order, best as 2019-12-31")
    if not day_first.any() and not month_first.any():
        value = cell(as_text(table.column(place)).iloc[int(np.argmin(np.isnan(first)))])
        problem = f"is {value}, where day and month may be either way round"
        advice = "say which by `dates` beside the file in sandbox.candles: day first or month first"
        raise table.wrong(~np.isnan(first), name, problem, advice)
    order: DateOrder = "day first" if day_first.any() else "month first"
    return order, [f"dates have the {order}"]


def _in_zone(table: Table, place: int, local: Seconds, wanted: _Mask, timezone: str) -> Seconds:
    """Return moments of a local clock as seconds since the epoch."""
    if timezone == "UTC":
        return local[wanted]
    chosen = local[wanted]
    newest_first = len(chosen) > 1 and chosen[0] > chosen[-1]
    ordered = chosen[::-1] if newest_first else chosen
    try:
        clock = pd.DatetimeIndex(pd.to_datetime(ordered, unit="s")).tz_localize(ZoneInfo(timezone), ambiguous="infer")
    except (ValueError, OverflowError) as error:
        problem = f"column {table.name(place)}: in {timezone} the clocks do not show these times ({str(error)[:120]})"
        raise CandlesError(table.source, f"{problem}; is the zone right? Else write the times in UTC") from error
    seconds: Seconds = np.array((clock - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=np.float64)
    return np.flip(seconds) if newest_first else seconds


def _days_only(parts: pd.DataFrame) -> bool:
    return bool((parts["H"].isna() & parts["H2"].isna()).all())
