"""Live against expected: is a model still what its hold-out promised, and where did the difference go?

Only the e-process decides anything: it alone is a breach.

R is a trade's net profit over what its stop would have cost. A signal is what the model would have traded at the NORMAL
threshold: a real trade that was decided in NORMAL, or one that was made in the shadow while the guard held the bot.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from nightdesk_guard.expectation import Expected

ALARM = 20.0
"""The e-value that is a breach. A healthy model ever reaches it in at most 5% (Ville 1939)."""
ALTERNATIVES = (0.70, 0.85)
"""The worse win rates that the e-process bets on, half its stake on each, as shares of the bound.

Measured on win rates down by a third, promised 45% on 50 / 73 / 100 / 200 hold-out trades, as the median of trades to
the alarm: 572 / 210 / 165 / 112. A point at 2/3 needs 3,000 and more / 192 / 152 / 93: over a small hold-out the bound
lies so low that a third less is hardly below it, and the point bets on more than happens. A uniform prior over all
shares, a Beta(1, 1), needs 846 / 290 / 218 / 136, a Beta(4, 2) 722 / 238 / 180 / 115.
"""
MODELS_KEPT = 7
"""Models before the one in use whose evidence is kept, should one of them come back."""


class SignalTrade(Protocol):
    """What is weighed of a closed trade; core's `ClosedTrade` is one."""

    @property
    def model_version(self) -> str:
        """The model that decided it."""

    @property
    def guard(self) -> str:
        """How the guard stood when the entry was decided: `normal` or `reduced`."""

    @property
    def won(self) -> bool:
        """Whether it earned more than it cost."""

    @property
    def r(self) -> float:
        """Net profit over `unit`."""

    @property
    def unit(self) -> float:
        """What its stop would have cost (its notional, without a stop), in money, as are fees and slippage."""

    @property
    def fees(self) -> float:
        """What was paid to the exchange."""

    @property
    def slippage(self) -> float:
        """What was lost between the prices seen and the prices got."""


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

    @property
    def parts(self) -> dict[str, float]:
        """The four parts by their names; they add up to what was promised less what was delivered."""
        return {"fees": self.fees, "slippage": self.slippage, "missed": self.missed, "signal": self.signal}


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
    log_e: float = 0.0
    """Natural logarithm of the e-value as it stands."""
    trades: int = 0
    """Real ones, however the guard stood: what the bot earned is no matter of the shadow's."""
    trades_won: int = 0

    def after(
        self, expected: Expected, trades: Iterable[SignalTrade], *, shadow: bool, size_multiplier: float
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

    def _with(self, expected: Expected, trade: SignalTrade, *, shadow: bool, size_multiplier: float) -> Evidence:
        evidence = self
        if not shadow:
            evidence = replace(self, trades=self.trades + 1, trades_won=self.trades_won + trade.won)
        if not shadow and trade.guard == "reduced":
            return replace(evidence, reduced_r=self.reduced_r + size_multiplier * trade.r)
        signals, wins = self.signals + 1, self.wins + trade.won
        log_e = log_e_value(wins, signals, bound=expected.win_rate_bound)
        return replace(
            evidence,
            signals=signals,
            wins=wins,
            normal_r=self.normal_r + (0.0 if shadow else trade.r),
            shadow_r=self.shadow_r + (trade.r if shadow else 0.0),
            fees_r=self.fees_r + trade.fees / trade.unit,
            slippage_r=self.slippage_r + trade.slippage / trade.unit,
            log_e=log_e,
            largest_log_e=max(self.largest_log_e, log_e),
        )

    @property
    def win_rate(self) -> float | None:
        """The share of signals that was won, `None` before the first."""
        return self.wins / self.signals if self.signals else None

    @property
    def trade_win_rate(self) -> float | None:
        """The share of real trades that was won, `None` before the first."""
        return self.trades_won / self.trades if self.trades else None

    @property
    def e_value(self) -> float:
        """The e-value as it stands: 1 says nothing, `ALARM` is a breach; below 1 speaks for the model."""
        return math.exp(min(self.log_e, 700.0))

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


def weighed(
    known: Mapping[str, Evidence],
    expected: Expected,
    model_version: str,
    trades: Iterable[SignalTrade],
    shadow_trades: Iterable[SignalTrade],
    *,
    size_multiplier: float,
) -> tuple[dict[str, Evidence], Evidence | None]:
    """Return what is known of each model with the trades that closed, the model in use last; and a breach that is new.

    `expected` is what the hold-out of the model in use promised, `size_multiplier` the guard's in REDUCED.
    """
    before = known.get(model_version, Evidence(model_version))
    found = before.after(expected, trades, shadow=False, size_multiplier=size_multiplier)
    found = found.after(expected, shadow_trades, shadow=True, size_multiplier=size_multiplier)
    others = [(version, evidence) for version, evidence in known.items() if version != model_version]
    breach = found if found.breached and not before.breached else None
    return {**dict(others[-MODELS_KEPT:]), model_version: found}, breach


def breach_probability(win_rate: float, signals: int, *, bound: float) -> float:
    """Return how likely a model with a true win rate is shown to break its promise within so many signals.

    Exact: the distribution of wins among the runs that have not been a breach yet, signal by signal.
    """
    going: dict[int, float] = {0: 1.0}
    breached = 0.0
    for number in range(1, signals + 1):
        after: dict[int, float] = {}
        for wins, mass in going.items():
            for more, chance in ((1, win_rate), (0, 1 - win_rate)):
                after[wins + more] = after.get(wins + more, 0.0) + mass * chance
        caught = [wins for wins in after if log_e_value(wins, number, bound=bound) >= math.log(ALARM)]
        breached += math.fsum(after.pop(wins) for wins in caught)
        going = after
    return breached


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
