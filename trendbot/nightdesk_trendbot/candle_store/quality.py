"""What can be wrong with collected candles: pure checks over columns, each finding with its rows, times and weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nightdesk_core.clock import iso
from nightdesk_core.units import DAY_SECONDS

from nightdesk_trendbot.candle_store.spans import Span
from nightdesk_trendbot.market.rows import Mask, impossible
from nightdesk_trendbot.signals.candles import Candles, Floats, Ints

_HOUR_SECONDS = 3600
_NAMED = 5
"""Rows that a finding names one by one; it counts the others."""

SPIKE_DEVIATIONS = 50.0
SPIKE_LOG_RETURN = 0.5
"""A close that jumps, and jumps back in the next bar, by so many robust standard deviations of its neighbours' log
returns, and by 65% up or 39% down at least, is no market. In the sample, Bitcoin by the hour from 2017 to 2019, no such
jump is above 23 of them, and none above 6.5%; a decimal point that slips is 230% of log return."""
WICK_LOG_RETURN = 0.2
"""From here on a high or low beyond both neighbours is worth a word: 13% is the sample's largest."""
_NEIGHBOURS = 84
"""Bars on either side that a spike's neighbours are: three and a half days of hourly bars."""
_MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution, standard deviation over median absolute deviation."""
IDLE_SECONDS = DAY_SECONDS
"""So long without any volume is worth a word. The sample's longest is 15 hours, the exchange being down."""
_LONGEST_SHIFT_HOURS = 14
"""No time zone lies further from UTC."""
_REPEATED_BARS = 3
_REPEATED_SHARE = 0.8
"""So many bars in a row, and so much of the hours between, that come again, equal in every price and in volume, are no
coincidence."""


@dataclass(frozen=True)
class Finding:
    """Something about the data. `rows` are places in the columns that were looked at, `times` their opens."""

    kind: str
    stops: bool
    """Whether nothing may be trained on the data; otherwise it is a warning."""
    message: str
    rows: tuple[int, ...] = ()
    times: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a data report has it, with no more than the first rows."""
        return {
            "kind": self.kind,
            "stops": self.stops,
            "message": self.message,
            "count": len(self.rows),
            "rows": list(self.rows[:_NAMED]),
            "times": [iso(time) for time in self.times[:_NAMED]],
        }


def check_rows(candles: Candles) -> list[Finding]:
    """Return what is wrong with single candles; all of it stops. They may come in any order."""
    # A candle of the same time as the one before it is out of order, too: one of the two is not true.
    out_of_order = np.diff(candles.time, prepend=candles.time[:1] - 1) <= 0
    wrong = {
        "does not come after the row before it": out_of_order,
        f"does not open at a multiple of {candles.interval_seconds} s": candles.time % candles.interval_seconds != 0,
        **impossible(np.column_stack(candles.columns()[1:])),
    }
    kinds = ("order", "time", "price", "range", "volume", "size")
    return [
        _at(candles, kind, rows, what, stops=True)
        for kind, (what, mask) in zip(kinds, wrong.items(), strict=True)
        if len(rows := np.flatnonzero(mask))
    ]


def check_series(candles: Candles) -> list[Finding]:
    """Return what single candles do not show: spikes and repeated stretches stop; gaps and idle stretches warn.

    The candles are in order, each once, and possible.
    """
    return [*_gaps(candles), *_spikes(candles), *_wicks(candles), *_idle(candles), *_repeated(candles)]


def check_coverage(candles: Candles, *, days: float) -> list[Finding]:
    """Return a warning where the candles begin more than a day later than was asked for."""
    covered = (int(candles.time[-1] - candles.time[0]) + candles.interval_seconds) / DAY_SECONDS
    if covered >= days - 1:
        return []
    return [Finding("coverage", False, f"the exchange has {covered:.0f} of the {days:g} days asked for")]


def gaps(time: Ints, interval_seconds: int) -> list[Span]:
    """Return the spans between the first and the last candle in which there is none."""
    before = np.flatnonzero(np.diff(time) > interval_seconds)
    return [(int(time[place]) + interval_seconds, int(time[place + 1])) for place in before]


def check_rates(rates: Mapping[int, float], *, largest: float = 0.1) -> list[Finding]:
    """Return funding that nobody settles: a rate beyond `largest`, which would be a tenth of the position at once."""
    wrong = [time for time, rate in rates.items() if not abs(rate) <= largest]
    if not wrong:
        return []
    what = f"the funding of {iso(wrong[0])} is {rates[wrong[0]]:.4g}{_more(wrong)}"
    return [Finding("funding", True, what, tuple(range(len(wrong))), tuple(wrong))]


def _gaps(candles: Candles) -> list[Finding]:
    interval = candles.interval_seconds
    found = gaps(candles.time, interval)
    if not found:
        return []
    span = int(candles.time[-1] - candles.time[0]) // interval + 1
    longest = max(found, key=lambda gap: gap[1] - gap[0])
    what = (
        f"{span - len(candles)} of {span} candles are missing at the exchange, the longest gap being of "
        f"{(longest[1] - longest[0]) // interval} from {iso(longest[0])} on"
    )
    rows = np.searchsorted(candles.time, [start for start, _ in found])
    return [Finding("gap", False, what, tuple(map(int, rows)), tuple(start for start, _ in found))]


def _spikes(candles: Candles) -> list[Finding]:
    """Find bars whose close jumps away and back, by the median absolute deviation of the log returns around them."""
    returns = np.diff(np.log(candles.close))
    there, back = returns[:-1], returns[1:]
    smaller = np.minimum(np.abs(there), np.abs(back))
    returned = (np.sign(there) != np.sign(back)) & (np.abs(there + back) < smaller / 2)
    rows = [
        int(place) + 1
        for place in np.flatnonzero(returned & (smaller >= SPIKE_LOG_RETURN))
        if smaller[place] >= SPIKE_DEVIATIONS * _deviation(returns, int(place))
    ]
    if not rows:
        return []
    change = f"jumps by {np.expm1(returns[rows[0] - 1]):+.0%} and back"
    return [_at(candles, "spike", np.array(rows), change, stops=True)]


def _deviation(returns: Floats, place: int) -> float:
    """Return the robust standard deviation of the returns around a spike's two, without them."""
    around = np.concatenate([returns[max(0, place - _NEIGHBOURS) : place], returns[place + 2 :][:_NEIGHBOURS]])
    return float(np.median(np.abs(around)) * _MAD_TO_DEVIATION) if len(around) else np.inf


def _wicks(candles: Candles) -> list[Finding]:
    """Find bars that reach far beyond both neighbours while they close among them: real crashes do, so they warn."""
    up = np.log(candles.high[1:-1] / np.maximum(candles.high[:-2], candles.high[2:]))
    down = np.log(np.minimum(candles.low[:-2], candles.low[2:]) / candles.low[1:-1])
    reach = np.maximum(up, down)
    rows = np.flatnonzero(reach >= WICK_LOG_RETURN) + 1
    if len(rows) == 0:
        return []
    what = f"reaches {np.expm1(reach[rows[0] - 1]):.0%} beyond its neighbours"
    return [_at(candles, "wick", rows, what, stops=False)]


def _idle(candles: Candles) -> list[Finding]:
    starts, ends = _runs(candles.volume == 0)
    long = (ends - starts) * candles.interval_seconds >= IDLE_SECONDS
    if not long.any():
        return []
    hours = int((ends - starts)[long].max()) * candles.interval_seconds / _HOUR_SECONDS
    what = f"begins a stretch without any volume, the longest of {hours:g} hours"
    return [_at(candles, "idle", starts[long], what, stops=False)]


def _repeated(candles: Candles) -> list[Finding]:
    """Find stretches that come again some hours later: what is left where a part of the series is in another zone.

    Where clocks that lie behind UTC go over to it, the hours between the two are told twice.
    """
    columns = candles.columns()[1:]
    # A bar in which nothing moved may well look like another.
    alive = (candles.volume > 0) & (candles.high > candles.low)
    for hours in range(1, _LONGEST_SHIFT_HOURS + 1):
        lag = hours * _HOUR_SECONDS
        if lag % candles.interval_seconds:
            continue
        bars = lag // candles.interval_seconds
        least = max(_REPEATED_BARS, int(_REPEATED_SHARE * bars))
        equal = alive[bars:] & (candles.close[bars:] == candles.close[:-bars])
        if np.count_nonzero(equal) < least:
            continue
        equal &= np.logical_and.reduce([column[bars:] == column[:-bars] for column in columns])
        starts, ends = _runs(equal)
        long = ends - starts >= least
        if long.any():
            first = int(ends[long][0] - starts[long][0])
            what = f"begins {first} that are those of {hours} h before once more: a stretch is shifted by hours"
            return [_at(candles, "shift", starts[long] + bars, what, stops=True)]
    return []


def _runs(mask: Mask) -> tuple[Ints, Ints]:
    """Return where each run of true values begins and where it has ended."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _at(candles: Candles, kind: str, rows: Ints, what: str, *, stops: bool) -> Finding:
    times = candles.time[rows]
    message = f"candle {int(rows[0])} ({iso(float(times[0]))}) {what}{_more(rows)}"
    return Finding(kind, stops, message, tuple(map(int, rows)), tuple(map(int, times)))


def _more(rows: Sequence[int] | Ints) -> str:
    return f", and {len(rows) - 1} more" if len(rows) > 1 else ""
