"""The performance guard: a pure state machine over closed trades and mark-to-market equity.

It gets worse at once and better one step at a time, after a cool-down. Each step up starts the measures afresh from
where the bot then stands, so that a paused bot, whose trades cannot change, is never stuck. The cool-down runs in
market time: a replay must decide what the live bot decided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nightdesk_core.journal import GuardTransition

if TYPE_CHECKING:
    from nightdesk_guard.settings import GuardSettings, GuardTier

_DAY_SECONDS = 86_400


class GuardStatus(StrEnum):
    """How the bot may trade: as designed, smaller and pickier, or not at all."""

    NORMAL = "normal"
    REDUCED = "reduced"
    PAUSED = "paused"

    @property
    def severity(self) -> int:
        """0 for NORMAL, 1 for REDUCED, 2 for PAUSED."""
        return _ORDER.index(self)


_ORDER = (GuardStatus.NORMAL, GuardStatus.REDUCED, GuardStatus.PAUSED)


@dataclass(frozen=True)
class GuardState:
    """Everything that the guard remembers; it is stored in the journal with the trade that changed it."""

    status: GuardStatus = GuardStatus.NORMAL
    since: int = 0
    """Market time of the last transition, Unix seconds."""
    peak_equity: float = 0.0
    """The guard's own peak: re-anchored on recovery, while the true drawdown goes on being reported."""
    equity: float = 0.0
    wins: tuple[bool, ...] = ()
    """Outcomes of the last trades, newest last, at most a window of them."""
    losing_streak: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the state as it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> GuardState:
        """Return the state that `to_json` stored."""
        return cls(**{**stored, "status": GuardStatus(stored["status"]), "wins": tuple(stored["wins"])})


@dataclass(frozen=True)
class GuardMeasures:
    """What the guard looks at. The win rate is `None` until its window is full."""

    win_rate: float | None
    losing_streak: int
    drawdown_ratio: float


class PerformanceGuard:
    """Decides the bot's status from its results. Holds no state of its own: it is passed in and returned."""

    def __init__(self, settings: GuardSettings, *, break_even_win_rate: float) -> None:
        """`break_even_win_rate` is the share of winners at which the strategy's barriers just pay their costs."""
        self.settings = settings
        self.break_even_win_rate = break_even_win_rate

    def measures(self, state: GuardState) -> GuardMeasures:
        """Return what the limits are held against; defined before the first trade, too."""
        window = self.settings.window_trades
        full = len(state.wins) >= window
        return GuardMeasures(
            win_rate=sum(state.wins[-window:]) / window if full else None,
            losing_streak=state.losing_streak,
            drawdown_ratio=1 - state.equity / state.peak_equity if state.peak_equity > 0 else 0.0,
        )

    def win_rate_limit(self, tier: GuardTier) -> float:
        """Return the rolling win rate below which `tier` begins: break-even less its standard errors of a share."""
        share = self.break_even_win_rate
        standard_error = math.sqrt(share * (1 - share) / self.settings.window_trades)
        return max(0.0, share - tier.win_rate_standard_errors * standard_error)

    def size_multiplier(self, status: GuardStatus) -> float:
        """Return the share of its size at which the bot may enter."""
        if status is GuardStatus.PAUSED:
            return 0.0
        return self.settings.reduced_size_multiplier if status is GuardStatus.REDUCED else 1.0

    def threshold_increase(self, status: GuardStatus) -> float:
        """Return what is added to the entry threshold."""
        return self.settings.reduced_threshold_increase if status is GuardStatus.REDUCED else 0.0

    def advance(
        self, state: GuardState, *, time: int, equity: float, closed: Sequence[bool] = ()
    ) -> tuple[GuardState, GuardTransition | None]:
        """Return the state after a candle, and the transition it caused.

        `time` is the candle's close (market time), `equity` marked to market there, `closed` whether each trade that
        closed in it won, oldest first.
        """
        state = self._observe(state, equity=equity, closed=closed)
        if not self.settings.enabled:
            if state.status is GuardStatus.NORMAL:
                return state, None
            # Nothing else would ever let a bot go that was held when the guard was switched off.
            return self._move(
                _afresh(state), GuardStatus.NORMAL, time=time, reason="the guard is switched off (guard.enabled)"
            )
        wanted, reason = self._wanted(state)
        if wanted.severity > state.status.severity:
            return self._move(state, wanted, time=time, reason=reason)
        cooled_down = time - state.since >= self.settings.cool_down_days * _DAY_SECONDS
        if not cooled_down or state.status is GuardStatus.NORMAL:
            return state, None
        if state.status is GuardStatus.PAUSED:
            reason = f"cool-down of {self.settings.cool_down_days:g} days in paused is over"
            return self._move(_afresh(state), GuardStatus.REDUCED, time=time, reason=reason)
        if wanted is GuardStatus.NORMAL:
            reason = f"no limit reached after {self.settings.cool_down_days:g} days in reduced"
            return self._move(_afresh(state), GuardStatus.NORMAL, time=time, reason=reason)
        return state, None

    def _observe(self, state: GuardState, *, equity: float, closed: Sequence[bool]) -> GuardState:
        streak = state.losing_streak
        for won in closed:
            streak = 0 if won else streak + 1
        return replace(
            state,
            equity=equity,
            peak_equity=max(state.peak_equity, equity),
            wins=(*state.wins, *closed)[-self.settings.window_trades :],
            losing_streak=streak,
        )

    def _wanted(self, state: GuardState) -> tuple[GuardStatus, str]:
        """Return the worst status that a limit calls for, and the numbers that do."""
        for status, tier in ((GuardStatus.PAUSED, self.settings.paused), (GuardStatus.REDUCED, self.settings.reduced)):
            if reasons := self._breaches(self.measures(state), tier):
                return status, "; ".join(reasons)
        return GuardStatus.NORMAL, "no limit reached"

    def _breaches(self, measures: GuardMeasures, tier: GuardTier) -> list[str]:
        found = []
        limit = self.win_rate_limit(tier)
        if measures.win_rate is not None and measures.win_rate < limit:
            found.append(
                f"win rate {measures.win_rate:.1%} of {self.settings.window_trades} trades is below {limit:.1%}"
            )
        if measures.losing_streak >= tier.losing_streak:
            found.append(f"losing streak of {measures.losing_streak} reaches {tier.losing_streak}")
        if measures.drawdown_ratio >= tier.drawdown_ratio:
            found.append(f"drawdown {measures.drawdown_ratio:.2%} reaches {tier.drawdown_ratio:.2%}")
        return found

    def _move(
        self, state: GuardState, status: GuardStatus, *, time: int, reason: str
    ) -> tuple[GuardState, GuardTransition]:
        transition = GuardTransition(time, state.status.value, status.value, reason)
        return replace(state, status=status, since=time), transition


def _afresh(state: GuardState) -> GuardState:
    return replace(state, peak_equity=state.equity, wins=(), losing_streak=0)
