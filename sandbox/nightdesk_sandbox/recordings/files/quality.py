"""What single candles do not show: prices of another scale, stretches that come again, that stand still, that are odd.

Thresholds are held against the two samples, Bitcoin by the hour from 2017 to 2019 and the euro of 2017, and against
simulated markets. What no market does stops; what a market may do, if seldom, warns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from nightdesk_core.clock import iso

from nightdesk_sandbox.recordings.candles import PRICE_COLUMNS, RecordedCandles, Values
from nightdesk_sandbox.recordings.files.settings import Stop

_Rows = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

SCALE_LOG_GAP = np.log(1.5)
SCALE_DEVIATIONS = 30.0
"""An open that lies so far from the close before it, and so many robust standard deviations of its neighbours' returns:
nobody traded in between. The samples' furthest are 1.8% and 3.6 deviations, over a weekend."""
SCALE_LOG_RETURN = np.log(8.0)
SCALE_RETURN_DEVIATIONS = 50.0
"""Within a candle prices may move, so more is asked: the worst real hours of coins that collapsed took four fifths."""
GAP_LOG = np.log(1.1)
GAP_DEVIATIONS = 20.0
"""What is no other scale, and a gap all the same: where dollars go over into euros, prices are a fifth lower."""
_FEW_TICKS = 5
"""What costs one or two ticks doubles in the next trade: so many of them are no jump."""
REPEATED_BARS = 12
_REPEATED_DIFFERENT = 6
"""So many candles in a row that are those of an earlier stretch in all four prices, of so many kinds. The samples have
not even one pair of such candles."""
BACKWARDS_SCORE = 30
_FORWARD_SCORE = 3
"""A candle opens near the close before it. One that closes nearer to the open before it counts 1, any other takes 3
away. Were either as likely, a sum of 30 would come about once in a hundred million candles; the samples' is 2."""
FROZEN_BARS = 24
"""So many candles in a row with the same four prices although there was volume. The samples have not one. Of a market
that hardly moves by a few ticks an hour nothing is said: there it is the rule."""
VOLUME_LEVEL_RATIO = 50.0
_LEVEL_BARS = 72
"""The median volume of three days against that of the three days before. The samples' largest ratio is 7.2."""
LONGER_BARS = 12
"""So many candles in a row that are equally far apart, and more than an hour."""
SILENT_BARS = 72
"""So many candles in a row without volume, most of which have moved. The samples have not one."""
VOLUME_SPIKE_RATIO = 1000.0
"""One candle's volume against the median around it. The samples' largest ratio is 39."""
WICK_LOG_REACH = np.log(2.0)
"""How far a high or low reaches beyond open, close and both neighbours. The samples' furthest is 18%."""
_AROUND = 169
"""What lies around a candle is a week."""
_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class Finding:
    """Something in the numbers, in `row` of the file and as many more as `message` says."""

    kind: Stop | Literal["gap", "longer", "frozen", "volume", "wick"]
    stops: bool
    message: str


def findings(candles: RecordedCandles, rows: _Rows, *, accept: tuple[Stop, ...] = ()) -> list[Finding]:
    """Return what is odd in candles that are possible and in order; `rows` is where each stands in the file."""
    stopping: dict[Stop, list[str]] = {
        "scale": _scale(candles, rows),
        "repeated": _repeated(candles, rows),
        "backwards": _backwards(candles, rows),
    }
    volumes = [*_volume_level(candles, rows), *_volume_spikes(candles, rows), *_volume_silent(candles, rows)]
    return [
        *(Finding(kind, kind not in accept, message) for kind, messages in stopping.items() for message in messages),
        *(Finding("gap", False, message) for message in _price_gaps(candles, rows)),
        *(Finding("longer", False, message) for message in _longer(candles, rows)),
        *(Finding("frozen", False, message) for message in _frozen(candles, rows)),
        *(Finding("volume", False, message) for message in volumes),
        *(Finding("wick", False, message) for message in _wicks(candles, rows)),
    ]


def _scale(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find jumps of the whole price level from one candle to the next."""
    gaps, gapped = _gapped(candles, SCALE_LOG_GAP, SCALE_DEVIATIONS)
    returns = np.diff(np.log(candles.close))
    moved = np.abs(returns) >= np.maximum(SCALE_LOG_RETURN, SCALE_RETURN_DEVIATIONS * _deviation(candles))
    moved &= np.abs(np.diff(candles.close)) > _few_ticks(candles)
    at = np.flatnonzero(gapped | moved) + 1
    if len(at) == 0:
        return []
    first = int(at[0])
    factor = float(np.exp(gaps[first - 1] if gapped[first - 1] else returns[first - 1]))
    back = next((int(place) for place in at[1:] if abs(gaps[place - 1] + np.log(factor)) < 0.3), None)
    until = f" until {_place(candles, rows, back)}" if back is not None else ""
    return [
        f"{_place(candles, rows, first)} prices are {_times(factor)} those of the row before{until}"
        f"{_more(len(at) - 1 - (back is not None))}: another unit, a split, or another market"
    ]


def _price_gaps(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find jumps between two candles that are no other scale, and that the market around does not make."""
    gaps, wide = _gapped(candles, GAP_LOG, GAP_DEVIATIONS)
    # After an hour in which nobody traded, any open may follow.
    wide &= (candles.high > candles.low)[:-1] & ~_gapped(candles, SCALE_LOG_GAP, SCALE_DEVIATIONS)[1]
    at = np.flatnonzero(wide) + 1
    if len(at) == 0:
        return []
    first = int(at[0])
    words = f"opens at {_times(float(np.exp(gaps[first - 1])))} the close before it{_more(len(at) - 1)}"
    return [f"{_place(candles, rows, first)} {words}: is another currency or market joined there?"]


def _gapped(candles: RecordedCandles, log_gap: float, deviations: float) -> tuple[Values, _Mask]:
    """Return the logarithms of each open over the close before it, and which of them are no trade's."""
    gaps = np.log(candles.open[1:]) - np.log(candles.close[:-1])
    wide = np.abs(gaps) >= np.maximum(log_gap, deviations * _deviation(candles))
    return gaps, wide & (np.abs(candles.open[1:] - candles.close[:-1]) > _few_ticks(candles))


def _deviation(candles: RecordedCandles) -> Values:
    """Return the robust standard deviation of the returns around each step from one candle to the next.

    What is missing between the two has moved the price, too, and so have hours in which nobody traded: the close that
    stands there is an older one. Where most hours are such, the others say how far prices go.
    """
    traded = (candles.volume > 0) | (candles.high > candles.low)
    last_traded = np.maximum.accumulate(np.where(traded, candles.time, candles.time[0]))[:-1]
    stretch = np.sqrt((candles.time[1:] - last_traded) / candles.interval_seconds)
    steps = np.flatnonzero(traded[1:])
    if len(steps) == 0:
        return np.zeros(len(stretch))
    around: Values = _median_around((np.abs(np.diff(np.log(candles.close))) / stretch)[steps])
    nearest = np.searchsorted(steps, np.arange(len(stretch)), side="right") - 1
    deviation: Values = around[np.maximum(nearest, 0)] * stretch * _MAD_TO_DEVIATION
    return deviation


def _few_ticks(candles: RecordedCandles) -> float:
    return float(_FEW_TICKS * 10.0**-candles.price_decimals)


def _backwards(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find stretches in which a candle opens where the next one closes, and not where the last one did."""
    forward = np.abs(candles.open[1:] - candles.close[:-1])
    backward = np.abs(candles.open[:-1] - candles.close[1:])
    score = np.where(forward > backward, 1, np.where(backward > forward, -_FORWARD_SCORE, 0))
    total = np.concatenate([[0], np.cumsum(score)])
    above = np.flatnonzero(total - np.minimum.accumulate(total) >= BACKWARDS_SCORE)
    if len(above) == 0:
        return []
    # The last of the lowest: what stands still before it tells nothing.
    end = int(above[0])
    first = end - int(np.argmin(total[end::-1]))
    words = "begin candles that open where the next one closes, and not where the one before closed"
    return [f"{_place(candles, rows, first)} {words}: open and close are swapped, or time runs backwards"]


def _repeated(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find stretches that are copies of earlier ones."""
    columns = [getattr(candles, name) for name in PRICE_COLUMNS]
    kind = pd.factorize(pd.MultiIndex.from_arrays(columns))[0]
    places = np.arange(len(kind))
    before = pd.Series(places).groupby(kind).shift().to_numpy(dtype=np.float64)
    lag = places - before  # NaN where a candle is like none before it
    # What stands still is like the row before it, and is looked at by itself.
    alike = np.isfinite(lag) & (lag > 1) & (candles.high > candles.low)
    edges = np.concatenate([[True], (lag[1:] != lag[:-1]) | ~alike[1:] | ~alike[:-1]])
    run = np.cumsum(edges)
    lengths = np.bincount(run[alike], minlength=int(run[-1]) + 1)
    for number in np.flatnonzero(lengths >= REPEATED_BARS):
        copy = np.flatnonzero((run == number) & alike)
        if len(np.unique(kind[copy])) >= _REPEATED_DIFFERENT:
            original = int(copy[0] - lag[copy[0]])
            return [
                f"{_place(candles, rows, int(copy[0]))} begin {len(copy)} candles that are those from row "
                f"{rows[original]} ({iso(int(candles.time[original]))}) on once more: a part was copied"
            ]
    return []


def _longer(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find stretches of candles of another length, such as years by the day before years by the hour."""
    steps = np.diff(candles.time)
    starts, ends = _runs(np.concatenate([[False], (np.diff(steps) == 0) & (steps[1:] > candles.interval_seconds)]))
    long = np.flatnonzero(ends - starts + 1 >= LONGER_BARS)
    if len(long) == 0:
        return []
    first, count = int(starts[long[0]]) - 1, int(ends[long[0]] - starts[long[0]]) + 1
    hours = int(steps[first]) / candles.interval_seconds
    what = f"begin {count} candles that are {hours:g} h apart{_more(len(long) - 1)}: are they longer ones?"
    return [f"{_place(candles, rows, first)} {what}"]


def _frozen(candles: RecordedCandles, rows: _Rows) -> list[str]:
    same = np.logical_and.reduce([np.diff(getattr(candles, name)) == 0 for name in PRICE_COLUMNS])
    moving = np.concatenate([[True], ~same])
    if np.median((candles.high - candles.low)[moving]) < _few_ticks(candles):
        return []
    if candles.volume.any():
        same &= candles.volume[1:] > 0
    starts, ends = _runs(same)
    long = np.flatnonzero(ends - starts + 1 >= FROZEN_BARS)
    if len(long) == 0:
        return []
    count = int(ends[long[0]] - starts[long[0]]) + 1
    traded = ", although there was volume" if candles.volume.any() else ""
    what = f"begin {count} candles with the same prices{traded}{_more(len(long) - 1)}"
    return [f"{_place(candles, rows, int(starts[long[0]]))} {what}: did whoever recorded it hang?"]


def _volume_level(candles: RecordedCandles, rows: _Rows) -> list[str]:
    medians = pd.Series(candles.volume).rolling(_LEVEL_BARS).median().to_numpy(dtype=np.float64)
    before, after = medians[:-_LEVEL_BARS], medians[_LEVEL_BARS:]
    known = (before > 0) & (after > 0)
    ratio = np.zeros(len(before))
    np.log(np.divide(after, before, out=np.ones(len(before)), where=known), out=ratio, where=known)
    if len(ratio) == 0 or np.abs(ratio).max() < np.log(VOLUME_LEVEL_RATIO):
        return []
    at = int(np.argmax(np.abs(ratio)))
    words = f"the median volume of three days is {_times(float(np.exp(ratio[at])))} that of the three days before"
    return [f"{_place(candles, rows, at + 1)} {words}: another unit, such as the quote's in place of the base's?"]


def _volume_silent(candles: RecordedCandles, rows: _Rows) -> list[str]:
    if not candles.volume.any():
        return []  # the file has none, which is said already
    moved = np.concatenate([[0], np.cumsum(candles.high > candles.low)])
    starts, ends = _runs(candles.volume == 0)
    long = np.flatnonzero((ends - starts >= SILENT_BARS) & (2 * (moved[ends] - moved[starts]) > ends - starts))
    if len(long) == 0:
        return []
    count = int(ends[long[0]] - starts[long[0]])
    what = f"begin {count} candles without volume that have moved{_more(len(long) - 1)}"
    return [f"{_place(candles, rows, int(starts[long[0]]))} {what}: was the volume not recorded?"]


def _volume_spikes(candles: RecordedCandles, rows: _Rows) -> list[str]:
    around = _median_around(candles.volume)
    at = np.flatnonzero((around > 0) & (candles.volume >= VOLUME_SPIKE_RATIO * around))
    if len(at) == 0:
        return []
    first = int(at[0])
    factor = float(candles.volume[first] / around[first])
    return [
        f"{_place(candles, rows, first)} the volume is {_times(factor)} what is usual around it{_more(len(at) - 1)}"
    ]


def _wicks(candles: RecordedCandles, rows: _Rows) -> list[str]:
    """Find highs and lows that no neighbour saw: single false trades, or a crash of minutes."""
    body_high, body_low = np.maximum(candles.open, candles.close), np.minimum(candles.open, candles.close)
    high, low = np.log(candles.high), np.log(candles.low)
    up = high[1:-1] - np.maximum.reduce([high[:-2], high[2:], np.log(body_high[1:-1])])
    down = np.minimum.reduce([low[:-2], low[2:], np.log(body_low[1:-1])]) - low[1:-1]
    reach = np.maximum(up, down)
    few_ticks = (candles.high - candles.low)[1:-1] <= _few_ticks(candles)
    at = np.flatnonzero((reach >= WICK_LOG_REACH) & ~few_ticks) + 1
    if len(at) == 0:
        return []
    factor = float(np.exp(reach[at[0] - 1]))
    words = f"high or low lies {_times(factor)} beyond open, close and both neighbours"
    return [f"{_place(candles, rows, int(at[0]))} {words}{_more(len(at) - 1)}: a false trade?"]


def _median_around(values: Values) -> Values:
    return pd.Series(values).rolling(_AROUND, center=True, min_periods=1).median().to_numpy(dtype=np.float64)


def _runs(mask: _Mask) -> tuple[_Rows, _Rows]:
    """Return where each run of true values begins and where it has ended."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _place(candles: RecordedCandles, rows: _Rows, index: int) -> str:
    return f"row {rows[index]} ({iso(int(candles.time[index]))})"


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.3g} times"


def _more(count: int) -> str:
    return f", and so {count} times more" if count > 0 else ""
