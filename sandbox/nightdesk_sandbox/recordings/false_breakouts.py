"""A stretch of a market in which breakouts fail: made of the market's own moves, some of them the other way round.

Where a close leaves the range of the hours before it, the next move of a given size goes back: where the market would
have gone on, its hours are mirrored from there, until a later breakout turns them round again. A mirrored hour is as
wide as it was and has its own volume. Who follows trends loses in such a market; to others it looks like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nightdesk_sandbox.recordings.candles import PRICE_COLUMNS, RecordedCandles, Values

_LONGEST_HOURS = 48
"""A breakout after which the market makes no move of the size within so many hours is left as it is."""


@dataclass(frozen=True)
class Spell:
    """From `start` until before `end` (market time) breakouts fail, the share `share` of them.

    A breakout is a close outside the range of the `range_hours` candles before it. It fails where the first move of
    `move` after it, a ratio of its close, goes back.
    """

    start: float
    end: float
    share: float = 1.0
    range_hours: int = 24
    move: float = 0.01


def with_false_breakouts(candles: RecordedCandles, spell: Spell) -> RecordedCandles:
    """Return candles of which breakouts fail during a spell.

    Those before it are untouched. Those after it move as they did, from the price that was reached. There is no seam:
    each hour opens as far from the close before it as it did. Prices keep the market's tick.
    """
    first, stop = (int(np.searchsorted(candles.time, moment)) for moment in (spell.start, spell.end))
    first = max(first, spell.range_hours + 1)
    if first >= stop:
        return candles
    path = _Path(candles, first)
    judge = _Judge(candles, spell)
    for index in range(first, len(candles)):
        inside = index < stop
        path.walk(index, mirrored=inside and judge.mirrored)
        if inside:
            judge.see(path, index)
    return path.candles()


class _Path:
    """The candles as they become, in logarithms, hour by hour from `first` on."""

    def __init__(self, candles: RecordedCandles, first: int) -> None:
        self._of = candles
        self._first = first
        self._was = {name: np.log(getattr(candles, name)) for name in PRICE_COLUMNS}
        self._now = {name: column.copy() for name, column in self._was.items()}

    def walk(self, index: int, *, mirrored: bool) -> None:
        """Go one hour on from the close before, as the market did or the other way."""
        before, reached = self._was["close"][index - 1], self._now["close"][index - 1]
        sign = -1.0 if mirrored else 1.0
        for name, column in self._now.items():
            source = {"high": "low", "low": "high"}.get(name, name) if mirrored else name
            column[index] = reached + sign * (self._was[source][index] - before)

    def breakout(self, index: int, *, range_hours: int) -> int:
        """Return 1 where the close lies above the range of the hours before it, -1 where below, else 0."""
        hours, close = slice(index - range_hours, index), self._now["close"][index]
        return int(close > self._now["high"][hours].max()) - int(close < self._now["low"][hours].min())

    def candles(self) -> RecordedCandles:
        """Return what has become of the candles."""
        candles, decimals = self._of, self._of.price_decimals

        def walked(name: str) -> Values:
            prices = np.round(np.exp(self._now[name][self._first :]), decimals)
            return np.concatenate([getattr(candles, name)[: self._first], np.maximum(prices, 10.0**-decimals)])

        return replace(candles, open=walked("open"), high=walked("high"), low=walked("low"), close=walked("close"))


class _Judge:
    """Decides after each breakout which way the market goes on, and lets one come to its end before the next."""

    def __init__(self, candles: RecordedCandles, spell: Spell) -> None:
        self._candles = candles
        self._spell = spell
        self._breakouts = 0
        self._settled_at = 0
        self.mirrored = False
        """Whether the hours from here on are the other way round."""

    def see(self, path: _Path, index: int) -> None:
        """Look at the hour that was walked last."""
        if index < self._settled_at:
            return
        side = path.breakout(index, range_hours=self._spell.range_hours)
        if side == 0:
            return
        share, before = self._spell.share, self._breakouts
        self._breakouts += 1
        move, self._settled_at = self._next_move(index)
        if move != 0 and math.floor(share * self._breakouts) > math.floor(share * before):
            self.mirrored = move == side

    def _next_move(self, index: int) -> tuple[int, int]:
        """Return which way the market's next move of the size goes, 0 for none, and the index of the hour it ends."""
        candles, price = self._candles, self._candles.close[index]
        for later in range(index + 1, min(index + 1 + _LONGEST_HOURS, len(candles))):
            up = candles.high[later] >= price * (1 + self._spell.move)
            down = candles.low[later] <= price / (1 + self._spell.move)
            if up or down:
                return int(up) - int(down), later
        return 0, index
