"""Settings of the performance guard."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from nightdesk_core.settings import SettingsModel
from pydantic import Field, model_validator


class GuardTier(SettingsModel):
    """The limits at which the guard moves into one state."""

    win_rate_standard_errors: float = Field(gt=0, description="How far below break-even the rolling win rate may lie.")
    losing_streak: int = Field(ge=2, description="Losing trades in a row, a number of trades.")
    drawdown_ratio: float = Field(
        gt=0, lt=1, description="Fall of equity from the guard's own peak, which a step up sets anew, as a share of it."
    )


class RecoverySettings(SettingsModel):
    """What the shadow's trades must show before the guard climbs a step; either will do."""

    trades: int = Field(
        10, ge=3, description="Of so many shadow trades the share won must reach the strategy's break-even."
    )
    wins_in_a_row: int = Field(4, ge=2, description="Or so many shadow trades must be won in a row.")


class KillSwitchSettings(SettingsModel):
    """When the kill switch trips by itself, and what it does with open positions.

    It also trips at `operations.limits.daily_loss_ratio` and `leverage_ratio`, where it cannot be evaluated, and where
    the file KILL is put into the state folder.
    """

    positions: Literal["close", "keep"] = Field(
        "close",
        description="What becomes of open positions: closed at once at fresh prices, or left to their barriers."
        " With prices that are stale or unknown they are always left.",
    )
    floor_drawdown_ratio: float = Field(
        0.20, gt=0, lt=1, description="Fall from the highest equity since somebody last resumed that trips it."
    )
    stale_minutes: float = Field(
        30, gt=0, description="An open position whose price is older, in minutes, trips it: entries stop."
    )


class EntryBlockSettings(SettingsModel):
    """When an entry is blocked though everything else speaks for it. It clears by itself."""

    stale_seconds: float = Field(
        300, gt=0, description="A candle that is decided on later than this after its close, in seconds."
    )
    clock_offset_seconds: float = Field(
        2, gt=0, description="The exchange's clock is further from ours than this, in seconds."
    )


class ProbationSettings(SettingsModel):
    """How a champion that was just promoted earns its full size. A breach of its promise meanwhile takes it back."""

    shares: tuple[float, ...] = Field((0.25, 0.5), description="Of its size at each step; after the last it is full.")
    trades: tuple[int, ...] = Field((10, 25), description="Trades closed with money after which each step ends.")
    days: tuple[float, ...] = Field((30, 60), description="Market days in use after which it ends at the latest.")
    days_between_rollbacks: float = Field(
        30, gt=0, description="In fewer days than these, of the wall, no second champion is taken back by itself."
    )

    @model_validator(mode="after")
    def _steps_lead_upwards(self) -> Self:
        steps = {"shares": self.shares, "trades": self.trades, "days": self.days}
        if len({len(values) for values in steps.values()}) != 1:
            raise ValueError("shares, trades and days must be as many")
        for key, values in steps.items():
            if any(value <= 0 for value in values) or any(before >= after for before, after in pairwise(values)):
                raise ValueError(f"{key} must be positive, and rise from step to step")
        if self.shares[-1:] > (1.0,):
            raise ValueError("shares must be at most 1")
        return self


class GuardSettings(SettingsModel):
    """When the performance guard throttles and pauses, and how it lets the bot back.

    The win rate's limit is a distance below break-even in standard errors of a share over the window: a fixed rate such
    as 40% holds at any moment for 42% of healthy bots that win 40% of their trades.
    """

    enabled: bool = Field(True, description="Off: the guard neither throttles nor pauses; the kill switch still works.")
    limits: Literal["calibrated", "documented"] = Field(
        "calibrated",
        description="calibrated: the limits that the model's own hold-out calls for, where it holds 50 trades or more;"
        " else, and with documented: those written here.",
    )
    false_pauses_a_year: float = Field(
        1.0, gt=0, description="How often calibrated limits, all rules together, may pause a healthy bot in a year."
    )
    false_reductions_a_year: float = Field(
        3.0, gt=0, description="How often they may reduce one; more often than they pause it."
    )
    window_trades: int = Field(20, ge=5, description="Trades in the rolling win rate; no verdict before it is full.")
    reduced: GuardTier = GuardTier(win_rate_standard_errors=1.64, losing_streak=10, drawdown_ratio=0.10)
    paused: GuardTier = GuardTier(win_rate_standard_errors=2.33, losing_streak=14, drawdown_ratio=0.15)
    reduced_size_multiplier: float = Field(
        0.5, gt=0, le=1, description="What a position's size is multiplied by while the guard is REDUCED."
    )
    reduced_threshold_increase: float = Field(
        0.1, ge=0, lt=1, description="What is added to the model's threshold while the guard is REDUCED."
    )
    cool_down_days: float = Field(7, gt=0, description="Market days in a state before the guard may climb one step.")
    recovery: RecoverySettings = RecoverySettings()
    kill_switch: KillSwitchSettings = KillSwitchSettings()
    entries: EntryBlockSettings = EntryBlockSettings()
    probation: ProbationSettings = ProbationSettings()

    @model_validator(mode="after")
    def _paused_lies_beyond_reduced(self) -> Self:
        if self.false_pauses_a_year >= self.false_reductions_a_year:
            raise ValueError("false_reductions_a_year must be greater than false_pauses_a_year")
        for key in ("win_rate_standard_errors", "losing_streak", "drawdown_ratio"):
            if getattr(self.paused, key) <= getattr(self.reduced, key):
                raise ValueError(f"paused.{key} must be greater than reduced.{key}")
        return self
