"""The performance guard: a pure state machine over closed trades and mark-to-market equity.

It gets worse at once. It gets better one step at a time, after a cool-down, and only on evidence: that of the trades
which the bot makes in the shadow meanwhile, or an operator's word. Each step up starts the measures afresh from where
the bot then stands, so that losses which cannot change any more hold it nowhere. The cool-down runs in market time: a
replay must decide what the live bot decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_core.units import DAY_SECONDS

from nightdesk_guard.limits import GuardLimits, TierLimits, TradeResult, documented_limits
from nightdesk_guard.shadow import ShadowEvidence

if TYPE_CHECKING:
    from nightdesk_guard.settings import GuardSettings


class GuardStatus(StrEnum):
    """How the bot may trade: as designed, smaller and pickier, or not at all."""

    NORMAL = "normal"
    REDUCED = "reduced"
    PAUSED = "paused"

    @property
    def severity(self) -> int:
        """0 for NORMAL, 1 for REDUCED, 2 for PAUSED."""
        return _ORDER.index(self)

    @property
    def better(self) -> GuardStatus:
        """The status one step up."""
        return _ORDER[max(0, self.severity - 1)]


_ORDER = (GuardStatus.NORMAL, GuardStatus.REDUCED, GuardStatus.PAUSED)


@dataclass(frozen=True)
class Resume:
    """An operator's word that the guard may climb one step; `number` counts them, so that each is taken once."""

    number: int
    reason: str
    actor: str


@dataclass(frozen=True)
class Observation:
    """What the guard is shown at a candle's close."""

    time: MarketTime
    """The close."""
    equity: float
    """Marked to market there."""
    closed: Sequence[TradeResult] = ()
    """The trades that closed in the candle, oldest first."""
    shadow_equity: float | None = None
    """The shadow account's, `None` where there is none."""
    shadow_closed: Sequence[TradeResult] = ()
    model_version: str = ""
    """The model in use; empty for none, or for a bot without models."""
    calibrated: GuardLimits | None = None
    """Those that the model's hold-out calls for, where there are any."""
    resume: Resume | None = None
    """The last one that an operator gave, taken already or not."""


@dataclass(frozen=True)
class GuardState:
    """Everything that the guard remembers; it is stored in the journal with the trade that changed it."""

    status: GuardStatus = GuardStatus.NORMAL
    since: CandleTime = MarketTime(0)
    """The close of the last transition."""
    peak_equity: float = 0.0
    """The guard's own peak: re-anchored on recovery, while the true drawdown goes on being reported."""
    equity: float = 0.0
    wins: tuple[bool, ...] = ()
    """Outcomes of the last trades, newest last, at most a window of them."""
    losing_streak: int = 0
    win_cusum: float = 0.0
    return_cusum: float = 0.0
    model_version: str = ""
    """The model whose promise the CUSUMs and the shadow's trades are held against."""
    shadow: ShadowEvidence = field(default_factory=ShadowEvidence)
    resumes_taken: int = 0
    """The number of the last resume that was taken, or that came when there was nothing to resume."""


@dataclass(frozen=True)
class GuardMeasures:
    """What the limits of the same names are held against. The win rate is `None` until its window is full."""

    win_rate: float | None
    losing_streak: int
    drawdown: float
    win_cusum: float
    return_cusum: float


def retrain_reason(moved: GuardTransition) -> str:
    """Return why a move of the guard asks for a retrain; empty for one that does not: it got better."""
    if GuardStatus(moved.after).severity < GuardStatus(moved.before).severity:
        return ""
    return f"the guard went from {moved.before} to {moved.after}: {moved.reason}"


class PerformanceGuard:
    """Decides the bot's status from its results. Holds no state of its own: it is passed in and returned."""

    def __init__(self, settings: GuardSettings, *, break_even_win_rate: float) -> None:
        """`break_even_win_rate` is the share of winners at which the strategy's barriers just pay their costs."""
        self.settings = settings
        self.break_even_win_rate = break_even_win_rate
        self._documented = documented_limits(settings, break_even_win_rate=break_even_win_rate)

    def limits(self, calibrated: GuardLimits | None) -> GuardLimits:
        """Return the limits in force, where the model's hold-out calls for `calibrated` ones."""
        if calibrated is None or self.settings.limits == "documented":
            return self._documented
        return calibrated

    def measures(self, state: GuardState) -> GuardMeasures:
        """Return what the limits are held against; defined before the first trade, too."""
        window = self.settings.window_trades
        full = len(state.wins) >= window
        return GuardMeasures(
            win_rate=sum(state.wins[-window:]) / window if full else None,
            losing_streak=state.losing_streak,
            drawdown=1 - state.equity / state.peak_equity if state.peak_equity > 0 else 0.0,
            win_cusum=state.win_cusum,
            return_cusum=state.return_cusum,
        )

    def size_multiplier(self, status: GuardStatus) -> float:
        """Return the share of its size at which the bot may enter."""
        if status is GuardStatus.PAUSED:
            return 0.0
        return self.settings.reduced_size_multiplier if status is GuardStatus.REDUCED else 1.0

    def threshold_increase(self, status: GuardStatus) -> float:
        """Return what is added to the entry threshold."""
        return self.settings.reduced_threshold_increase if status is GuardStatus.REDUCED else 0.0

    def cool_down_ends(self, state: GuardState) -> MarketTime:
        """Return from when on the guard may climb."""
        return state.since + self.settings.cool_down_days * DAY_SECONDS

    def advance(self, state: GuardState, seen: Observation) -> tuple[GuardState, GuardTransition | None]:
        """Return the state after a candle, and the transition it caused."""
        limits = self.limits(seen.calibrated)
        before = state.model_version
        state = self._observe(state, seen, limits)
        if not self.settings.enabled:
            if state.status is GuardStatus.NORMAL:
                return state, None
            # Nothing else would ever let a bot go that was held when the guard was switched off.
            return _move(state, GuardStatus.NORMAL, seen, "the guard is switched off (guard.enabled)")
        if state.status is GuardStatus.PAUSED and before not in ("", state.model_version):
            # It was promoted because the guard asked for it, or is one that was trusted before: it may try, small.
            return _move(state, GuardStatus.REDUCED, seen, f"another model, {state.model_version}, instead of {before}")
        wanted, reason = self._wanted(state, limits)
        if wanted.severity > state.status.severity:
            return _move(state, wanted, seen, reason)
        if state.status is GuardStatus.NORMAL:
            # A resume that finds nothing to resume must not lift a pause to come.
            return _taken(state, seen.resume), None
        if seen.time < self.cool_down_ends(state):
            return state, None
        days = f"after {self.settings.cool_down_days:g} days in {state.status}"
        if seen.resume is not None and seen.resume.number > state.resumes_taken:
            said = f"{seen.resume.actor} resumes {days}: {seen.resume.reason}"
            return _move(state, state.status.better, seen, said)
        if evidence := self._evidence(state, limits):
            return _move(state, state.status.better, seen, f"{days}: {evidence}")
        return state, None

    def hold(self, state: GuardState, *, time: MarketTime, reason: str) -> tuple[GuardState, GuardTransition | None]:
        """Return the state PAUSED for a reason that is not the guard's own, and the move where it was not so yet."""
        if state.status is GuardStatus.PAUSED:
            return state, None
        return _move(state, GuardStatus.PAUSED, Observation(time, state.equity), reason)

    def _observe(self, state: GuardState, seen: Observation, limits: GuardLimits) -> GuardState:
        if seen.model_version not in ("", state.model_version):
            state = replace(
                state, model_version=seen.model_version, win_cusum=0.0, return_cusum=0.0, shadow=ShadowEvidence()
            )
        streak, win_cusum, return_cusum = state.losing_streak, state.win_cusum, state.return_cusum
        for result in seen.closed:
            streak = 0 if result.won else streak + 1
            if limits.promise is not None:
                win_cusum = max(0.0, win_cusum + limits.promise.win_step(result))
                return_cusum = max(0.0, return_cusum + limits.promise.return_step(result))
        return replace(
            state,
            equity=seen.equity,
            peak_equity=max(state.peak_equity, seen.equity),
            wins=(*state.wins, *(result.won for result in seen.closed))[-self.settings.window_trades :],
            losing_streak=streak,
            win_cusum=win_cusum,
            return_cusum=return_cusum,
            shadow=state.shadow.after(seen.shadow_closed, seen.shadow_equity, window=self.settings.recovery.trades),
        )

    def _wanted(self, state: GuardState, limits: GuardLimits) -> tuple[GuardStatus, str]:
        """Return the worst status that a limit calls for, and the numbers that do."""
        for status, tier in ((GuardStatus.PAUSED, limits.paused), (GuardStatus.REDUCED, limits.reduced)):
            if reasons := self._breaches(self.measures(state), tier):
                return status, "; ".join(reasons)
        return GuardStatus.NORMAL, ""

    def _breaches(self, found: GuardMeasures, limit: TierLimits) -> list[str]:
        reasons = []
        window = self.settings.window_trades
        if found.win_rate is not None and limit.win_rate is not None and found.win_rate < limit.win_rate:
            reasons.append(f"win rate {found.win_rate:.1%} of {window} trades is below {limit.win_rate:.1%}")
        if limit.losing_streak is not None and found.losing_streak >= limit.losing_streak:
            reasons.append(f"losing streak of {found.losing_streak} reaches {limit.losing_streak}")
        if limit.drawdown is not None and found.drawdown >= limit.drawdown:
            reasons.append(f"drawdown {found.drawdown:.2%} reaches {limit.drawdown:.2%}")
        if limit.win_cusum is not None and found.win_cusum >= limit.win_cusum:
            reasons.append(f"CUSUM of wins {found.win_cusum:.2f} reaches {limit.win_cusum:.2f}")
        if limit.return_cusum is not None and found.return_cusum >= limit.return_cusum:
            reasons.append(f"CUSUM of returns {found.return_cusum:.2f} reaches {limit.return_cusum:.2f}")
        return reasons

    def _evidence(self, state: GuardState, limits: GuardLimits) -> str:
        """Return what of the shadow's trades since the last transition speaks for a step up; nothing where none does.

        They must have won often enough to pay their costs, or several times in a row, and not have lost too much.
        """
        shadow, recovery = state.shadow, self.settings.recovery
        most = limits.reduced.drawdown
        if most is not None and shadow.drawdown >= most:
            return ""
        lost = f"at a drawdown of {shadow.drawdown:.2%}"
        if shadow.wins_in_a_row >= recovery.wins_in_a_row:
            return f"{shadow.wins_in_a_row} shadow trades won in a row, {lost}"
        rate = shadow.win_rate(recovery.trades)
        if rate is not None and rate >= self.break_even_win_rate:
            reached = f"reaches break-even {self.break_even_win_rate:.1%}"
            return f"the shadow's win rate {rate:.1%} of {recovery.trades} trades {reached}, {lost}"
        return ""


def _taken(state: GuardState, resume: Resume | None) -> GuardState:
    if resume is None or resume.number <= state.resumes_taken:
        return state
    return replace(state, resumes_taken=resume.number)


def _move(state: GuardState, status: GuardStatus, seen: Observation, reason: str) -> tuple[GuardState, GuardTransition]:
    """Return the state after a move. The shadow's trades count from here on; upwards all measures begin afresh.

    What an operator said before it was said of a bot that stood elsewhere: it moves this one no further.
    """
    state = _taken(state, seen.resume)
    transition = GuardTransition(seen.time, state.status.value, status.value, reason)
    if status.severity < state.status.severity:
        state = replace(state, peak_equity=state.equity, wins=(), losing_streak=0, win_cusum=0.0, return_cusum=0.0)
    return replace(state, status=status, since=seen.time, shadow=ShadowEvidence()), transition
