"""From indicators to a wish: a breakout, the features that describe it, and whether it may become an entry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import GuardStatus

from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Floats, Ints
from nightdesk_trendbot.signals.indicators import COLUMN
from nightdesk_trendbot.signals.regime import Regime, allowed_side, size_multiplier

FEATURES = (
    "return_1",
    "return_6",
    "return_24",
    "return_72",
    "distance_to_ema",
    "directional_difference",
    "breakout_distance",
    "adx",
    "atr_ratio",
    "atr_share",
    "volatility_ratio",
    "volume_ratio",
    "range_position",
    "hour_sine",
    "hour_cosine",
)
"""The model's inputs in their order; those with a direction point the way of the trade."""


class Outcome(StrEnum):
    """What became of a candle's decision; the label of `signals_total`."""

    NO_SIGNAL = "no_signal"
    ENTERED = "entered"
    IN_POSITION = "in_position"
    BLOCKED_REGIME = "blocked_regime"
    BLOCKED_MODEL = "blocked_model"
    BLOCKED_NO_MODEL = "blocked_no_model"
    BLOCKED_GUARD = "blocked_guard"
    BLOCKED_KILL_SWITCH = "blocked_kill_switch"
    BLOCKED_EXPOSURE = "blocked_exposure"
    BLOCKED_STALE = "blocked_stale"
    BLOCKED_GAP = "blocked_gap"
    BLOCKED_CLOCK = "blocked_clock"
    BLOCKED_DISK = "blocked_disk"


def breakout_side(row: Floats, close: float) -> int:
    """Return 1 where the close lies above the prior bars' high, -1 below their low, else 0."""
    if close > row[COLUMN["prior_high"]]:
        return 1
    return -1 if close < row[COLUMN["prior_low"]] else 0


def breakout_sides(rows: Floats, close: Floats) -> Ints:
    """Return `breakout_side` for every bar, shape (N,); 0 where the indicators are not yet known."""
    up = close > rows[:, COLUMN["prior_high"]]
    down = close < rows[:, COLUMN["prior_low"]]
    return up.astype(np.int64) - down.astype(np.int64)


def features(rows: Floats, close: Floats, close_time: Ints, side: Ints) -> Floats:
    """Return the model's inputs for E events, shape (E, len(FEATURES)); every argument has E rows."""

    def column(name: str) -> Floats:
        return np.asarray(rows[:, COLUMN[name]])

    atr = np.maximum(column("atr"), 1e-12)
    extreme = np.where(side > 0, column("prior_high"), column("prior_low"))
    hour = 2 * np.pi * (close_time % DAY_SECONDS) / DAY_SECONDS
    position = np.where(side > 0, column("range_position"), 1 - column("range_position"))
    return np.column_stack(
        [
            side * column("return_1"),
            side * column("return_6"),
            side * column("return_24"),
            side * column("return_72"),
            side * (close - column("ema")) / atr,
            side * column("directional_difference"),
            side * (close - extreme) / atr,
            column("adx"),
            atr / np.maximum(column("atr_average"), 1e-12),
            atr / close,
            column("volatility_ratio"),
            column("volume_ratio"),
            position,
            np.sin(hour),
            np.cos(hour),
        ]
    )


@dataclass(frozen=True)
class Signal:
    """What the market and the model say of a symbol at a candle's close."""

    regime: Regime
    breakout: int
    """1, -1 or 0."""
    side: int
    """The breakout's side where the regime allows it, else 0."""
    probability: float | None
    """The model's, where it was asked: it is only asked where a side is left."""
    leverage: float
    """Notional over equity by the volatility target, before guard and probation."""
    volatility: float
    """Standard deviation of a day's return; 0 where it is not yet known."""


@dataclass(frozen=True)
class Permission:
    """What the bot is allowed in a symbol at this candle, gathered from guard, kill switch and the model's standing."""

    model_loaded: bool = True
    killed: bool = False
    guard: GuardStatus = GuardStatus.NORMAL
    size_share: float = 1.0
    """Guard multiplier times the standing's share."""
    threshold: float = 0.5
    """The probability below which nothing is entered."""
    blocked: Outcome | None = None
    """Why nothing may be entered on this candle, however good it is: stale, history, a wrong clock, a full disk."""


@dataclass(frozen=True)
class Decision:
    """The outcome of one candle; `leverage` is 0 unless it is an entry."""

    outcome: Outcome
    side: int = 0
    leverage: float = 0.0


def daily_volatility(row: Floats, *, bars_a_day: float) -> float:
    """Return the standard deviation of a day's return at one row of the indicators; 0 where it is not yet known."""
    daily = float(row[COLUMN["volatility"]]) * float(np.sqrt(bars_a_day))
    return daily if daily >= 0 else 0.0


def leverage_for(volatility: float, regime: Regime, settings: TrendbotSettings) -> float:
    """Return notional over equity such that a day at the present volatility moves equity by the target."""
    wanted = settings.sizing.daily_volatility / max(volatility, 1e-9)
    return min(wanted, settings.sizing.leverage_cap) * size_multiplier(regime, settings.regime)


def regime_side(row: Floats, close: float, regime: Regime, settings: TrendbotSettings) -> int:
    """Return the breakout's side where the regime allows it, else 0."""
    side = breakout_side(row, close)
    allowed = allowed_side(regime, close=close, ema=float(row[COLUMN["ema"]]), settings=settings.regime)
    return side if allowed is not None and allowed in (0, side) else 0


def decide(signal: Signal, permission: Permission, *, in_position: bool) -> Decision:
    """Return what to do at a candle's close. The first reason against an entry is the one reported."""
    if signal.breakout == 0:
        return Decision(Outcome.NO_SIGNAL)
    if in_position:
        return Decision(Outcome.IN_POSITION)
    if signal.side == 0:
        return Decision(Outcome.BLOCKED_REGIME)
    if permission.killed:
        return Decision(Outcome.BLOCKED_KILL_SWITCH)
    if permission.blocked is not None:
        return Decision(permission.blocked)
    if not permission.model_loaded or signal.probability is None:
        return Decision(Outcome.BLOCKED_NO_MODEL)
    if permission.guard is GuardStatus.PAUSED:
        return Decision(Outcome.BLOCKED_GUARD)
    if signal.probability < permission.threshold:
        return Decision(Outcome.BLOCKED_MODEL)
    return Decision(Outcome.ENTERED, signal.side, signal.leverage * permission.size_share)
