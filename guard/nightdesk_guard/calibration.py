"""Limits that fit one model: as tight as its hold-out allows without alarming a healthy bot more often than agreed.

One budget is shared by all rules. Each rule alone may alarm on the same share of resampled hold-outs, and that share is
as large as the joint rate allows. Needs numpy: the retrain job calibrates, a bot only reads the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from nightdesk_core.models.pipeline import Backtest, Progress
from nightdesk_core.units import DAYS_A_YEAR

from nightdesk_guard.expectation import Expected
from nightdesk_guard.limits import SMALLER_WIN_SHARE, GuardLimits, Promise, TierLimits
from nightdesk_guard.profile import Delay, GuardProfile, Measured
from nightdesk_guard.resampling import Holdout, Reached, World, losses_allowed
from nightdesk_guard.settings import GuardSettings

MIN_TRADES = 50
PSEUDO_TRADES = 150
"""Trades at break-even that a hold-out's win rate is averaged with: a model is chosen because it looked good.

Measured, for candidates whose true win rates lie around break-even with a standard deviation of 5 points and which are
promoted at a profit factor of 1.2: limits from the bare rate of 50 / 73 / 100 / 200 trades raise 2.7 / 2.3 / 1.9 / 1.4
false pauses a year instead of 1, with 100 pseudo-trades 1.20 / 1.22 / 1.07 / 1.03, with 150 1.08 / 1.10 / 0.95 / 0.94.
"""
REDUCED_SHARE_OF_FLOOR = 0.75
"""No drawdown limit lies above the floor at which the kill switch trips, that of REDUCED not above this share of it."""
_PATH_ALARMS = 3.0
"""How many alarms of the budget's rate a path has time for: 5% of the paths then see none."""
_STEP = 1e-4
"""What limits are rounded up to."""


@dataclass(frozen=True)
class Payoff:
    """What trades pay, in R: the mean and the mean square of won and of lost ones."""

    win: float
    loss: float
    win_square: float
    loss_square: float

    @classmethod
    def of(cls, holdout: Holdout) -> Payoff:
        """Return the payoff of a hold-out that holds both won and lost trades."""
        won, lost = holdout.r[holdout.won], holdout.r[~holdout.won]
        return cls(float(won.mean()), float(lost.mean()), float((won**2).mean()), float((lost**2).mean()))

    @property
    def break_even_win_rate(self) -> float:
        """The share of winners at which the mean R is 0."""
        return -self.loss / (self.win - self.loss)

    def promise(self, win_rate: float) -> Promise:
        """Return what trades promise at a win rate."""
        mean = win_rate * self.win + (1 - win_rate) * self.loss
        square = win_rate * self.win_square + (1 - win_rate) * self.loss_square
        return Promise(win_rate, mean, math.sqrt(square - mean**2))


def calibrate(
    backtest: Backtest,
    settings: GuardSettings,
    *,
    documented: GuardLimits,
    seed: int = 0,
    progress: Progress = lambda _stage, _share: None,
) -> GuardProfile:
    """Return the limits that a model's hold-out calls for, and what they and the documented ones are worth.

    The documented limits hold, and the note says why, below 50 trades and where all trades were won or all lost.
    """
    expected = Expected.of(backtest)
    if note := _too_little(expected):
        return GuardProfile(documented, expected, note)
    return _Calibration(Holdout.of(backtest), settings, seed, progress).profile(documented, expected)


def shrunk(wins: int, trades: int, *, break_even: float) -> float:
    """Return a hold-out's win rate as it would be averaged with `PSEUDO_TRADES` at break-even; never more than it is.

    The posterior mean under a Beta prior (Efron and Morris 1975 for shrinkage towards a common mean).
    """
    return min(wins / trades, (wins + PSEUDO_TRADES * break_even) / (trades + PSEUDO_TRADES))


def _too_little(expected: Expected | None) -> str:
    trades = 0 if expected is None else expected.trades
    if expected is None or trades < MIN_TRADES:
        return f"documented limits: the hold-out holds {trades} trades, calibrated ones need {MIN_TRADES}"
    if expected.wins in (0, trades):
        which = "won" if expected.wins else "lost"
        return f"documented limits: all {trades} trades of the hold-out were {which}, calibrated ones need both kinds"
    return ""


class _Calibration:
    """One calibration: a hold-out, what it promises, and the settings."""

    def __init__(self, holdout: Holdout, settings: GuardSettings, seed: int, progress: Progress) -> None:
        self._holdout = holdout
        self._settings = settings
        self._source = np.random.default_rng(seed)
        self._progress = progress
        payoff = Payoff.of(holdout)
        self._win_rate = float(holdout.won.mean())
        wins = int(holdout.won.sum())
        self._promise = payoff.promise(shrunk(wins, len(holdout.r), break_even=payoff.break_even_win_rate))
        self._healthy = World(lost_wins=1 - self._promise.win_rate / self._win_rate)

    def profile(self, documented: GuardLimits, expected: Expected | None) -> GuardProfile:
        settings, window = self._settings, self._settings.window_trades
        floor = settings.kill_switch.floor_drawdown_ratio
        above = round(REDUCED_SHARE_OF_FLOOR * floor, 4)
        reductions, pauses = settings.false_reductions_a_year, settings.false_pauses_a_year
        reduced = fit(self._reached(self._healthy, reductions), reductions, lambda tier: _capped(tier, above))
        self._progress("calibrate", 0.2)
        paused = fit(
            self._reached(self._healthy, pauses),
            pauses,
            lambda tier: _capped(_beyond(tier, reduced, window), floor),
        )
        self._progress("calibrate", 0.5)
        limits = GuardLimits("calibrated", reduced=reduced, paused=paused, promise=self._promise)
        first, second = self._measured(documented, limits)
        self._progress("calibrate", 1.0)
        held = reduced.drawdown == above or paused.drawdown == floor
        note = f"the drawdown limits are held at {above:.0%} and {floor:.0%}: the kill switch trips at {floor:.0%}"
        return GuardProfile(limits, expected, note if held else "", {"documented": first, "calibrated": second})

    def _reached(self, world: World, alarms_a_year: float) -> Reached:
        """Return what the measures reach on paths long enough for a rate of alarms."""
        days = math.ceil(_PATH_ALARMS * DAYS_A_YEAR / alarms_a_year)
        paths = self._holdout.resampled(days, world=world, source=self._source)
        return paths.reached(self._promise, window=self._settings.window_trades)

    def _measured(self, *several: GuardLimits) -> list[Measured]:
        """Return what limits are worth, on paths that none of them was chosen by."""
        rate = self._settings.false_pauses_a_year
        healthy = self._reached(self._healthy, rate)
        alarms = [(healthy.alarms(limits.paused), healthy.alarms(limits.reduced)) for limits in several]
        del healthy  # as large as what follows
        self._progress("calibrate", 0.65)
        fewer = World(lost_wins=1 - SMALLER_WIN_SHARE * self._promise.win_rate / self._win_rate)
        fewer_wins = _delays(self._reached(fewer, rate), several)
        self._progress("calibrate", 0.8)
        nothing = replace(self._healthy, shift_r=-self._promise.mean_r)
        promising = self._promise.mean_r > 1e-9
        no_expectancy = _delays(self._reached(nothing, rate), several) if promising else []
        return [
            Measured(
                false_pauses_a_year=pauses.a_year,
                false_pauses_standard_error=pauses.standard_error,
                false_reductions_a_year=reductions.a_year,
                false_reductions_standard_error=reductions.standard_error,
                fewer_wins=fewer_wins[index],
                no_expectancy=no_expectancy[index] if no_expectancy else None,
            )
            for index, (pauses, reductions) in enumerate(alarms)
        ]


def fit(reached: Reached, alarms_a_year: float, bounded: Callable[[TierLimits], TierLimits]) -> TierLimits:
    """Return the tightest limits whose joint rate of alarms is within a budget, each rule alarming equally often alone.

    `bounded` moves limits to where they may lie; it never moves one of them the other way.
    """
    share, too_large = 0, len(reached.paths.trades)
    while too_large - share > 1:
        middle = (share + too_large) // 2
        if reached.alarms(bounded(_alarming(reached, middle))).a_year <= alarms_a_year:
            share = middle
        else:
            too_large = middle
    return bounded(_alarming(reached, share))


def _alarming(reached: Reached, paths: int) -> TierLimits:
    """Return the tightest limits that are each reached on at most so many paths."""
    extreme = {rule: float(values[paths]) for rule, values in reached.extremes.items()}
    return TierLimits(
        win_rate=_win_rate_limit(int(extreme["win_rate"]) + 1, reached.window),
        losing_streak=int(extreme["losing_streak"]) + 1,
        drawdown=_above(extreme["drawdown"]),
        win_cusum=_above(extreme["win_cusum"]),
        return_cusum=_above(extreme["return_cusum"]),
    )


def _above(value: float) -> float:
    """Return a limit above a value, with room for what live sums round differently."""
    return round(math.ceil((value + 1e-9) / _STEP) * _STEP, 4)


def _win_rate_limit(losses: int, window: int) -> float | None:
    """Return a limit, midway between two win rates, that so many losses in a window reach; `None` where none can."""
    return (window - losses + 0.5) / window if losses <= window else None


def _capped(tier: TierLimits, drawdown: float) -> TierLimits:
    return replace(tier, drawdown=min(tier.drawdown or drawdown, drawdown))


def _beyond(paused: TierLimits, reduced: TierLimits, window: int) -> TierLimits:
    """Return limits that lie beyond those of the milder tier in every rule."""
    losses = [
        losses_allowed(tier.win_rate, window) if tier.win_rate is not None else window + 1 for tier in (paused, reduced)
    ]
    return TierLimits(
        win_rate=_win_rate_limit(max(losses[0], losses[1] + 1), window),
        losing_streak=max(paused.losing_streak or 0, (reduced.losing_streak or 0) + 1),
        drawdown=max(paused.drawdown or 0.0, (reduced.drawdown or 0.0) + _STEP),
        win_cusum=max(paused.win_cusum or 0.0, (reduced.win_cusum or 0.0) + _STEP),
        return_cusum=max(paused.return_cusum or 0.0, (reduced.return_cusum or 0.0) + _STEP),
    )


def _delays(reached: Reached, several: Sequence[GuardLimits]) -> list[Delay]:
    simulated = int(np.median(reached.paths.trades))
    return [
        Delay(
            paused=reached.alarms(limits.paused).median_trades,
            reduced=reached.alarms(limits.reduced).median_trades,
            simulated=simulated,
        )
        for limits in several
    ]
