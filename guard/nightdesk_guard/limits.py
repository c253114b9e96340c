"""What the guard measures a bot by: the limits of its two tiers, documented ones or those calibrated for one model.

A `None` among the limits is a rule that does not apply. R is a trade's net profit over what its stop would have cost.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nightdesk_guard.settings import GuardSettings, GuardTier

RULES = ("win_rate", "losing_streak", "drawdown", "win_cusum", "return_cusum")
"""Of `TierLimits`, in the order in which reasons name them."""
SMALLER_WIN_SHARE = 2 / 3
"""The win rate that the CUSUM on wins is tuned to, over the promised one: down by a third."""
RETURN_SLACK = 0.25
"""What the CUSUM on returns forgives a trade, in standard deviations: half of the shift that it is tuned to."""


@dataclass(frozen=True)
class TradeResult:
    """What the guard needs to know of a closed trade."""

    won: bool
    """Whether it earned more than it cost."""
    r: float
    """Net profit over what the stop would have cost (or, without a stop, over the notional)."""


@dataclass(frozen=True)
class TierLimits:
    """Where one tier begins."""

    win_rate: float | None = None
    """The rolling win rate below which it begins, a ratio."""
    losing_streak: int | None = None
    """Trades lost in a row."""
    drawdown: float | None = None
    """Fall from the guard's own peak, a ratio."""
    win_cusum: float | None = None
    """Of the log-likelihood ratio of a win rate down by a third."""
    return_cusum: float | None = None
    """Of the standardised shortfall of R, in standard deviations."""


@dataclass(frozen=True)
class Promise:
    """What the CUSUMs hold trades against."""

    win_rate: float
    """The share of trades that is won, shrunk for selection; a ratio strictly between 0 and 1."""
    mean_r: float
    deviation_r: float
    """Standard deviation of R, positive."""

    def win_step(self, result: TradeResult) -> float:
        """Return what a trade adds to the CUSUM on wins: ln of its likelihood at a rate down by a third over this one.

        Page, Continuous inspection schemes, 1954; Reynolds and Stoumbos 1999 for Bernoulli observations.
        """
        worse = self.win_rate * SMALLER_WIN_SHARE
        if result.won:
            return math.log(SMALLER_WIN_SHARE)
        return math.log((1 - worse) / (1 - self.win_rate))

    def return_step(self, result: TradeResult) -> float:
        """Return what a trade adds to the CUSUM on returns: its shortfall in standard deviations, less the slack."""
        return (self.mean_r - result.r) / self.deviation_r - RETURN_SLACK


@dataclass(frozen=True)
class GuardLimits:
    """Both tiers, where they come from, and what the CUSUMs are measured against (`None`: they do not apply)."""

    source: Literal["documented", "calibrated"]
    reduced: TierLimits
    paused: TierLimits
    promise: Promise | None = None

    def by_rule_and_tier(self) -> dict[tuple[str, ...], float]:
        """Return each limit that applies, by rule and tier."""
        tiers = (("reduced", self.reduced), ("paused", self.paused))
        return {
            (rule, name): limit for name, tier in tiers for rule, limit in asdict(tier).items() if limit is not None
        }


def documented_limits(settings: GuardSettings, *, break_even_win_rate: float) -> GuardLimits:
    """Return the limits that the settings write down: they know no model, only what its trades must win to pay."""

    def tier(written: GuardTier) -> TierLimits:
        share = break_even_win_rate
        standard_error = math.sqrt(share * (1 - share) / settings.window_trades)
        return TierLimits(
            win_rate=max(0.0, share - written.win_rate_standard_errors * standard_error),
            losing_streak=written.losing_streak,
            drawdown=written.drawdown_ratio,
        )

    return GuardLimits("documented", reduced=tier(settings.reduced), paused=tier(settings.paused))
