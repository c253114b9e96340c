"""Live against expected: is a model still what its hold-out promised, and where did the difference go?

Only the e-process decides anything: it alone is a breach. The ratios of Sharpe and drawdown are information, never a
trigger: a live Sharpe below 0.7 of the expected one holds for 61 to 79% of healthy bots by their 170th trade.

R is a trade's net profit over what its stop would have cost. A signal is what the model would have traded at the NORMAL
threshold: a real trade that was decided in NORMAL, or one that was made in the shadow while the guard held the bot.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nightdesk_core.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade

DAYS_A_YEAR = 365
HORIZON_DAYS = (7, 14, 30, 60, 90, 180)
BOUND_ERROR = 0.10
"""How often a hold-out's lower bound lies above the model's true win rate."""
ALARM = 20.0
"""The e-value that is a breach. A healthy model ever reaches it in at most 5% (Ville 1939)."""
ALTERNATIVES = (0.70, 0.85)
"""The worse win rates that the e-process bets on, half its stake on each, as shares of the bound.

Measured on win rates down by a third, promised 45% on 50 / 73 / 100 / 200 hold-out trades, as the median of trades to
the alarm: 572 / 210 / 165 / 112. A point at 2/3 needs 3,000 and more / 192 / 152 / 93: over a small hold-out the bound
lies so low that a third less is hardly below it, and the point bets on more than happens. A uniform prior over all
shares, a Beta(1, 1), needs 846 / 290 / 218 / 136, a Beta(4, 2) 722 / 238 / 180 / 115.
"""
MIN_RATIO_DAYS = 30


@dataclass(frozen=True)
class Expected:
    """What a model's hold-out promised, of at least one trade. Money is in R for a trade."""

    trades: int
    days: int
    wins: int
    win_rate: float
    win_rate_bound: float
    """One-sided 10% lower bound of the win rate (Clopper and Pearson 1934)."""
    mean_r: float
    mean_fees_r: float
    mean_slippage_r: float
    trades_a_day: float
    sharpe_ratio: float | None
    """Of daily returns, annualised with 365 days; `None` where they do not differ."""
    drawdowns: Mapping[int, float]
    """By days: the median, over all windows of so many daily returns, of the largest fall from a peak, a ratio."""

    @classmethod
    def of(cls, backtest: Backtest) -> Expected | None:
        """Return what a hold-out promises; nothing where it holds no trade."""
        trades, days = backtest.trades, len(backtest.daily_returns)
        if not trades:
            return None
        wins = sum(trade.won for trade in trades)
        return cls(
            trades=len(trades),
            days=days,
            wins=wins,
            win_rate=wins / len(trades),
            win_rate_bound=lower_bound(wins, len(trades)),
            mean_r=statistics.fmean(trade.r for trade in trades),
            mean_fees_r=statistics.fmean(trade.fees / trade.unit for trade in trades),
            mean_slippage_r=statistics.fmean(trade.slippage / trade.unit for trade in trades),
            trades_a_day=len(trades) / days,
            sharpe_ratio=sharpe_ratio(backtest.daily_returns),
            drawdowns={
                horizon: median_drawdown(backtest.daily_returns, horizon) for horizon in HORIZON_DAYS if horizon <= days
            },
        )


@dataclass(frozen=True)
class Gap:
    """Where the difference between promise and delivery went, in R for each signal; positive is what was lost."""

    promised: float
    delivered: float
    fees: float
    slippage: float
    missed: float
    """What the shadow earned beyond the real trades, while the guard held the bot; negative where that saved money."""
    signal: float
    """The rest: the signals themselves were worth less."""


@dataclass(frozen=True)
class Evidence:
    """What live trading has shown of one model so far; the bot keeps it in its journal. Sums are in R."""

    model_version: str
    signals: int = 0
    wins: int = 0
    normal_r: float = 0.0
    """Of the real trades that were decided in NORMAL."""
    shadow_r: float = 0.0
    reduced_r: float = 0.0
    """Of the real trades that were decided in REDUCED, at the size that they had."""
    fees_r: float = 0.0
    """Of the signals, as is the slippage."""
    slippage_r: float = 0.0
    largest_log_e: float = 0.0
    """Natural logarithm of the largest e-value so far."""

    def after(
        self, expected: Expected, trades: Iterable[ClosedTrade], *, shadow: bool, size_multiplier: float
    ) -> Evidence:
        """Return the evidence with trades that closed, oldest first; those of other models say nothing of this one.

        `shadow` says that they moved no money, `size_multiplier` is the guard's in REDUCED. A real trade decided in
        REDUCED is the same signal as one of the shadow's: it counts as delivered, not as a signal once more.
        """
        evidence = self
        for trade in trades:
            if trade.model_version == self.model_version:
                evidence = evidence._with(expected, trade, shadow=shadow, size_multiplier=size_multiplier)
        return evidence

    def _with(self, expected: Expected, trade: ClosedTrade, *, shadow: bool, size_multiplier: float) -> Evidence:
        if not shadow and trade.guard == "reduced":
            return replace(self, reduced_r=self.reduced_r + size_multiplier * trade.r)
        signals, wins = self.signals + 1, self.wins + trade.won
        return replace(
            self,
            signals=signals,
            wins=wins,
            normal_r=self.normal_r + (0.0 if shadow else trade.r),
            shadow_r=self.shadow_r + (trade.r if shadow else 0.0),
            fees_r=self.fees_r + trade.fees / trade.unit,
            slippage_r=self.slippage_r + trade.slippage / trade.unit,
            largest_log_e=max(self.largest_log_e, log_e_value(wins, signals, bound=expected.win_rate_bound)),
        )

    @property
    def win_rate(self) -> float | None:
        """The share of signals that was won, `None` before the first."""
        return self.wins / self.signals if self.signals else None

    @property
    def e_value(self) -> float:
        """The largest e-value so far: 1 says nothing, `ALARM` is a breach."""
        return math.exp(min(self.largest_log_e, 700.0))

    @property
    def breached(self) -> bool:
        """Whether the model was ever shown to win less often than its hold-out promised; it does not come undone."""
        return self.largest_log_e >= math.log(ALARM)

    def gap(self, expected: Expected) -> Gap | None:
        """Return where the difference to the promise went, `None` before the first signal. The parts add up to it."""
        if not self.signals:
            return None
        delivered = (self.normal_r + self.reduced_r) / self.signals
        fees = self.fees_r / self.signals - expected.mean_fees_r
        slippage = self.slippage_r / self.signals - expected.mean_slippage_r
        missed = (self.shadow_r - self.reduced_r) / self.signals
        signal = expected.mean_r - delivered - fees - slippage - missed
        return Gap(expected.mean_r, delivered, fees, slippage, missed, signal)

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Evidence:
        """Return the evidence that `to_json` stored. Raises `TypeError` for anything else."""
        return cls(**stored)


@dataclass(frozen=True)
class Ratios:
    """Live over expected. Information: healthy bots show bad ones all the time."""

    sharpe: float | None
    drawdown: float | None


def ratios(expected: Expected, daily_returns: Sequence[float]) -> Ratios:
    """Return live over expected Sharpe and drawdown, of the daily returns since the model is in use, shape (D,).

    The drawdown is that of the last days, as many as the longest horizon that has passed, over the expected median of
    just as many. `None` in the first 30 days, and where what is expected is not positive.
    """
    horizons = [days for days in expected.drawdowns if MIN_RATIO_DAYS <= days <= len(daily_returns)]
    if not horizons:
        return Ratios(None, None)
    days = max(horizons)
    sharpe, promised = sharpe_ratio(daily_returns), expected.sharpe_ratio
    drawdown = expected.drawdowns[days]
    return Ratios(
        sharpe=sharpe / promised if sharpe is not None and promised is not None and promised > 0 else None,
        drawdown=max_drawdown(daily_returns[-days:]) / drawdown if drawdown > 0 else None,
    )


def log_e_value(wins: int, signals: int, *, bound: float) -> float:
    """Return ln of the e-value against "each signal wins with a probability of `bound` or more".

    A mixture of likelihood ratios of `ALTERNATIVES` against the bound. At a higher win rate each is a nonnegative
    supermartingale, so Ville's inequality bounds how often it is ever large: Shafer, Testing by betting, 2021; Waudby-
    Smith and Ramdas, Estimating means of bounded random variables by betting, 2024.
    """
    terms = [
        wins * math.log(share) + (signals - wins) * math.log((1 - share * bound) / (1 - bound))
        for share in ALTERNATIVES
    ]
    largest = max(terms)
    return largest + math.log(statistics.fmean(math.exp(term - largest) for term in terms))


def lower_bound(wins: int, trades: int) -> float:
    """Return the one-sided 10% lower bound of a win rate: where so many wins, or more, have a probability of 10%.

    Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    if wins == 0:
        return 0.0
    below, above = 0.0, 1.0
    while above - below > 1e-12:
        middle = (below + above) / 2
        if _at_least(wins, trades, middle) < BOUND_ERROR:
            below = middle
        else:
            above = middle
    return below


def _at_least(wins: int, trades: int, rate: float) -> float:
    """Return the probability of so many wins or more."""
    odds, whole = math.log(rate) - math.log1p(-rate), trades * math.log1p(-rate)
    return math.fsum(
        math.exp(math.lgamma(trades + 1) - math.lgamma(k + 1) - math.lgamma(trades - k + 1) + k * odds + whole)
        for k in range(wins, trades + 1)
    )


def sharpe_ratio(daily_returns: Sequence[float]) -> float | None:
    """Return the annualised Sharpe ratio of daily returns, shape (D,), against a risk-free rate of 0.

    A year has 365 days. `None` for fewer than two returns, and where all are alike.
    """
    if len(daily_returns) < 2:
        return None
    deviation, mean = statistics.stdev(daily_returns), statistics.fmean(daily_returns)
    if deviation <= 1e-9 * abs(mean):
        return None
    return mean / deviation * math.sqrt(DAYS_A_YEAR)


def max_drawdown(daily_returns: Iterable[float]) -> float:
    """Return the largest fall of the compounded equity from its peak, its start included, as a positive ratio."""
    equity = peak = 1.0
    deepest = 0.0
    for change in daily_returns:
        equity *= 1 + change
        peak = max(peak, equity)
        deepest = max(deepest, 1 - equity / peak)
    return deepest


def median_drawdown(daily_returns: Sequence[float], days: int) -> float:
    """Return the median, over all windows of `days` daily returns, of their largest fall from a peak."""
    starts = range(len(daily_returns) - days + 1)
    return statistics.median(max_drawdown(daily_returns[start : start + days]) for start in starts)
