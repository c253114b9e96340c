"""A hold-out, resampled into many long paths, and what the guard's measures reach on them. Needs numpy.

Circular block bootstrap of days (Politis and Romano 1992): each day brings its return, marked to market, and the trades
that closed in it, so that trade rate, clustering and drawdown stay as they belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.units import DAYS_A_YEAR
from numpy.typing import NDArray

from nightdesk_guard.limits import RETURN_SLACK, RULES, Promise, TierLimits, TradeResult

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BLOCK_DAYS = 5
"""Long enough for trades that follow each other, short enough that a hold-out holds many blocks.

Measured on limits from 55, 73 and 170 independent trades for one false pause a year: blocks of 10 days cause 1.16, 1.32
and 1.06 on average, 5 days 1.05, 1.20 and 1.06, single days 0.93, 1.07 and 1.02.
"""
_CELLS = 2_200_000
_FEWEST_PATHS, _MOST_PATHS = 200, 2_000
_PATHS_AT_ONCE = 100


@dataclass(frozen=True)
class World:
    """How resampled trades differ from the hold-out's: a share of the wins is lost instead, and all earn `shift` R."""

    lost_wins: float = 0.0
    shift_r: float = 0.0


@dataclass(frozen=True)
class Holdout:
    """A hold-out of D days and n trades, the trades sorted by the day in which they closed."""

    daily_returns: Floats
    """Shape (D,)."""
    first: Ints
    """Index of each day's first trade, and n at the end, shape (D + 1,)."""
    r: Floats
    """Shape (n,)."""
    unit: Floats
    """What 1 R was as a share of the equity, shape (n,)."""

    @classmethod
    def of(cls, backtest: Backtest) -> Holdout:
        """Return the arrays of a backtest; a trade belongs to the first day that ends at its exit or later."""
        trades = sorted(backtest.trades, key=lambda trade: trade.exit_time)
        days = np.searchsorted(np.array(backtest.days), [trade.exit_time for trade in trades])
        count = len(backtest.days)
        return cls(
            daily_returns=np.array(backtest.daily_returns),
            first=np.searchsorted(np.minimum(days, count - 1), np.arange(count + 1)),
            r=np.array([trade.r for trade in trades]),
            unit=np.array([trade.unit / trade.equity_before for trade in trades]),
        )

    @property
    def won(self) -> Bools:
        """Which trades earned more than they cost, shape (n,)."""
        return self.r > 0

    def resampled(self, days: int, *, world: World, source: np.random.Generator) -> Paths:
        """Return as many paths of so many days as fit into memory, between 200 and 2,000, in a world."""
        held = len(self.daily_returns)
        length = max(days, int(days * len(self.r) / held))
        count = min(_MOST_PATHS, max(_FEWEST_PATHS, _CELLS // length))
        starts = source.integers(held, size=(count, -(-days // BLOCK_DAYS), 1))
        day = ((starts + np.arange(BLOCK_DAYS)) % held).reshape(count, -1)[:, :days]
        return self._joined(day, world, source)

    def _joined(self, day: Ints, world: World, source: np.random.Generator) -> Paths:
        """Return the paths that the hold-out's days `day`, shape (P, N), make."""
        paths, days = day.shape
        closed = np.diff(self.first)[day]
        # All trades of all paths in one row, each with its path, its place there and its day.
        total = int(closed.sum())
        place_of_day = np.repeat(np.arange(paths * days), closed.ravel())
        before = np.cumsum(closed.ravel()) - closed.ravel()
        trade = self.first[day].ravel()[place_of_day] + np.arange(total) - before[place_of_day]
        path = place_of_day // days
        trades = closed.sum(axis=1)
        place = np.arange(total) - np.repeat(np.cumsum(trades) - trades, trades)
        r = self._in(world, trade, source)
        change = np.bincount(place_of_day, (r - self.r[trade]) * self.unit[trade], minlength=paths * days)
        shape = (paths, int(trades.max(initial=0)))
        rows = np.zeros(shape)
        rows[path, place] = r
        day_of_trade = np.full(shape, days)
        day_of_trade[path, place] = place_of_day % days
        returns = np.maximum(self.daily_returns[day] + change.reshape(day.shape), -0.99)
        return Paths(r=rows, day=day_of_trade, trades=trades, daily_returns=returns)

    def _in(self, world: World, trade: Ints, source: np.random.Generator) -> Floats:
        """Return what trades earn in a world, in R."""
        r = self.r[trade]
        turned = self.won[trade] & (source.random(len(trade)) < world.lost_wins)
        if turned.any():
            r[turned] = source.choice(self.r[~self.won], size=int(turned.sum()))
        return r + world.shift_r


@dataclass(frozen=True)
class Paths:
    """P paths of N days and at most T trades. Where a path has fewer, the rest of its row is padding."""

    r: Floats
    """Shape (P, T)."""
    day: Ints
    """The day in which each trade closed, N in the padding, shape (P, T)."""
    trades: Ints
    """How many each path has, shape (P,)."""
    daily_returns: Floats
    """Shape (P, N)."""

    def reached(self, promise: Promise, *, window: int) -> Reached:
        """Return how far each of the guard's measures has ever been, from a fresh start on."""
        by_rule = {
            rule: np.empty(self.daily_returns.shape if rule == "drawdown" else self.r.shape, dtype=np.float64)
            for rule in RULES
        }
        # A few paths at a time: what is needed on the way alone would be most of the memory.
        for start in range(0, len(self.r), _PATHS_AT_ONCE):
            rows = slice(start, start + _PATHS_AT_ONCE)
            part = Paths(self.r[rows], self.day[rows], self.trades[rows], self.daily_returns[rows])
            for rule, values in part._by_rule(promise, window).items():
                by_rule[rule][rows] = values
        return Reached(paths=self, window=window, by_rule=by_rule)

    def _by_rule(self, promise: Promise, window: int) -> Mapping[str, Floats]:
        real = self.day < self.daily_returns.shape[1]
        lost = real & (self.r <= 0)
        number = np.arange(1, self.r.shape[1] + 1)
        last_win = np.maximum.accumulate(np.where(lost, 0, number), axis=1)
        losses = np.cumsum(lost, axis=1)
        in_window = losses.copy()
        in_window[:, window:] -= losses[:, :-window]
        in_window[:, : window - 1] = 0
        won_step = promise.win_step(TradeResult(won=True, r=0.0))
        lost_step = promise.win_step(TradeResult(won=False, r=0.0))
        equity = np.cumprod(1 + self.daily_returns, axis=1)
        peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
        return {
            "win_rate": _largest(np.where(real, in_window, 0)),
            "losing_streak": _largest(np.where(real, number - last_win, 0)),
            "drawdown": _largest(1 - equity / peak),  # core's max_drawdown_ratio, of all paths at once and day by day
            "win_cusum": _largest(_cusum(np.where(lost, lost_step, won_step), real)),
            "return_cusum": _largest(_cusum((promise.mean_r - self.r) / promise.deviation_r - RETURN_SLACK, real)),
        }


@dataclass(frozen=True)
class Reached:
    """The largest value of each measure so far: by trade, shape (P, T), the drawdown by day, shape (P, N).

    The win rate is here the number of trades lost in a window that is full.
    """

    paths: Paths
    window: int
    by_rule: Mapping[str, Floats]

    @cached_property
    def extremes(self) -> Mapping[str, Floats]:
        """What each measure reaches in the end, one path after the other from the largest, shape (P,)."""
        return {rule: np.sort(values[:, -1])[::-1] for rule, values in self.by_rule.items()}

    def alarms(self, limits: TierLimits) -> Alarms:
        """Return when the first of the limits is reached on each path."""
        days = self.paths.daily_returns.shape[1]
        paths = np.arange(len(self.paths.trades))
        day = np.full(len(paths), days)
        trade = np.full(len(paths), self.paths.r.shape[1])
        for rule in RULES:
            limit = _bound(rule, limits, self.window)
            if limit is None:
                continue
            # The values never fall: as many lie below the limit as come before it is reached.
            before = (self.by_rule[rule] < limit).sum(axis=1)
            if rule == "drawdown":
                day = np.minimum(day, before)
            else:
                trade = np.minimum(trade, before)
        padded = np.pad(self.paths.day, ((0, 0), (0, 1)), constant_values=days)
        first = np.minimum(day, padded[paths, trade])
        on_time = padded[paths, trade] <= first
        closed = np.minimum((self.paths.day <= first[:, None]).sum(axis=1), self.paths.trades)
        return Alarms(first, np.where(on_time, np.minimum(trade + 1, closed), closed), days)


@dataclass(frozen=True)
class Alarms:
    """The first alarm on each of P paths of `days` days."""

    day: Ints
    """`days` where there is none, shape (P,)."""
    trades: Ints
    """Closed up to the alarm; all of the path's where there is none, shape (P,)."""
    days: int

    @property
    def a_year(self) -> float:
        """How many there are in a year, if each begins everything afresh: their number over the time up to them."""
        return float(self._raised.sum()) / self._years

    @property
    def standard_error(self) -> float:
        """Of `a_year`, as of a Poisson count; of one alarm, where there is none."""
        return math.sqrt(max(1, int(self._raised.sum()))) / self._years

    @property
    def median_trades(self) -> int | None:
        """Up to which number of trades half of the paths have raised one; `None` where fewer than half ever do."""
        if self._raised.mean() <= 0.5:
            return None
        return int(np.median(np.where(self._raised, self.trades, np.iinfo(np.int64).max)))

    @property
    def _raised(self) -> Bools:
        return self.day < self.days

    @property
    def _years(self) -> float:
        return float(np.minimum(self.day + 1, self.days).sum()) / DAYS_A_YEAR


def losses_allowed(limit: float, window: int) -> int:
    """Return the fewest lost trades of a window whose win rate lies below a limit."""
    return next(lost for lost in range(window + 2) if (window - lost) / window < limit or lost > window)


def _bound(rule: str, limits: TierLimits, window: int) -> float | None:
    limit: float | None = getattr(limits, rule)
    return losses_allowed(limit, window) if rule == "win_rate" and limit is not None else limit


def _largest(values: NDArray[np.generic]) -> Floats:
    return np.maximum.accumulate(values.astype(np.float64), axis=1)


def _cusum(steps: Floats, real: Bools) -> Floats:
    """Return max(0, S + step), one step after the other along each row, and 0 in the padding."""
    total = np.cumsum(steps, axis=1)
    lowest = np.minimum(np.minimum.accumulate(total, axis=1), 0.0)
    return np.where(real, total - lowest, 0.0)
