"""When the kill switch trips by itself: a fall too deep, a day too bad, too much leverage, or an account in the dark.

It fails closed: where it cannot tell, it stops all entries, and never closes a position at a price that it cannot
trust. What it cannot write to the disk it holds in memory until it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loguru import logger
from nightdesk_core.age import age_seconds
from nightdesk_core.clock import MarketTime, WallClock, WallTime, system_clock

from nightdesk_guard.kill_switch import UNREAD, KillSwitch, KillSwitchState, Positions

if TYPE_CHECKING:
    from nightdesk_guard.settings import KillSwitchSettings

_ACTOR = "guard"


@dataclass(frozen=True)
class KillLimits:
    """Where the switch trips; ratios are shares of equity."""

    floor_drawdown: float = 0.20
    """Fall from the highest equity since somebody last resumed."""
    daily_loss: float = 0.05
    """Loss since midnight UTC, or since somebody last resumed on that day."""
    leverage: float = 2.5
    """Notional of the open positions over equity."""
    stale_seconds: float = 1800.0
    """Wall time for which the equity may be unknown while a position is open."""

    @classmethod
    def of(cls, settings: KillSwitchSettings) -> KillLimits:
        """Return the limits that the guard's settings call for; daily loss and leverage are none of theirs."""
        return cls(floor_drawdown=settings.floor_drawdown_ratio, stale_seconds=settings.stale_minutes * 60)


@dataclass(frozen=True)
class AccountView:
    """The account as it stands at this moment."""

    equity: float
    leverage: float
    market_time: MarketTime
    """Its day is the day that a daily loss is of."""
    priced_at: WallTime | None = None
    """When the oldest of the open positions' prices came; `None` with no position open."""


@dataclass(frozen=True)
class Anchors:
    """What falls are measured from. A person's resume sets them anew, or the switch would trip again at once."""

    peak: float = 0.0
    day: int = 0
    """Days since the epoch."""
    day_start: float = 0.0
    lifted: WallTime | None = None
    """When the switch had last been moved, as they were set."""

    def after(self, view: AccountView, switch: KillSwitchState) -> Anchors:
        """Return the anchors with what is seen now."""
        day = view.market_time.day
        # A latch that is gone says nothing of when it was lifted: nobody resumed by deleting it.
        resumed = not switch.active and switch.changed_at is not None and switch.changed_at != self.lifted
        if self.peak == 0.0 or resumed:
            return Anchors(view.equity, day, view.equity, switch.changed_at)
        if day > self.day:
            return replace(self, peak=max(self.peak, view.equity), day=day, day_start=view.equity)
        return replace(self, peak=max(self.peak, view.equity))


def trips(view: AccountView, anchors: Anchors, limits: KillLimits, *, now: WallTime) -> tuple[str, bool] | None:
    """Return why the switch must trip, and whether prices can be trusted to close positions by; `None` for no reason.

    Raises `ValueError` for an account that makes no sense: then nothing can be told.
    """
    if not view.equity == view.equity or not view.leverage >= 0:
        raise ValueError(f"equity {view.equity}, leverage {view.leverage}")
    if view.priced_at is not None:
        limit = limits.stale_seconds
        # A clock that is set back a little must not kill: the next price sets it right.
        if (age := age_seconds(view.priced_at, now=now, tolerance_seconds=limit)) > limit:
            said = (
                f"is {age:.0f} s old" if math.isfinite(age) else f"is {view.priced_at - now:.0f} s ahead of the clock"
            )
            return f"a position is open and its price {said}, the limit is {limit:.0f} s", False
    # Held as equity against equity: 1 - 800 / 1000 is a little less than a fifth.
    if anchors.peak > 0 and view.equity <= anchors.peak * (1 - limits.floor_drawdown):
        fall = 1 - view.equity / anchors.peak
        return f"drawdown {fall:.2%} reaches the floor of {limits.floor_drawdown:.2%}", True
    if anchors.day_start > 0 and view.equity < anchors.day_start * (1 - limits.daily_loss):
        lost = 1 - view.equity / anchors.day_start
        return f"daily loss {lost:.2%} is above {limits.daily_loss:.2%}", True
    if view.leverage > limits.leverage:
        return f"leverage {view.leverage:.2f} is above {limits.leverage:.2f}", True
    return None


class Tripwire:
    """Holds an account against the limits of its kill switch, as often as it is asked to."""

    def __init__(
        self,
        switch: KillSwitch,
        limits: KillLimits,
        *,
        positions: Positions = "close",
        anchors: Anchors | None = None,
        clock: WallClock = system_clock,
    ) -> None:
        """`positions` is what becomes of open positions where their prices can be trusted."""
        self.switch = switch
        self.limits = limits
        self.positions: Positions = positions
        self.anchors = Anchors() if anchors is None else anchors
        self._clock = clock
        self._held: KillSwitchState | None = None
        """An activation that could not be written yet."""
        self._why_held = ""

    def look(self, view: Callable[[], AccountView]) -> KillSwitchState:
        """Return the switch's state, tripped first where `view` of the account, or its failing, is a reason to."""
        state = self.state()
        if state.actor == "file" and state.active:
            state = self._latched()
        try:
            seen = view()
            self.anchors = self.anchors.after(seen, state)
            found = trips(seen, self.anchors, self.limits, now=self._clock())
        except Exception as error:  # noqa: BLE001 - whatever it is: a guard that cannot see must stop the bot
            return self.trip(f"the kill switch could not be evaluated ({error!r})", positions="keep")
        if state.active or found is None:
            return state
        reason, trusted = found
        return self.trip(reason, positions=self.positions if trusted else "keep")

    def remember(self, last: KillSwitchState) -> None:
        """Latch anew what was active when the bot last looked, and has vanished since without anybody lifting it."""
        if last.actor == UNREAD:
            return
        now = self.state()
        lifted = now.changed_at is not None and now.activations >= last.activations
        if last.active and not now.active and not lifted:
            self.trip(f"its latch was lost or restored from before: {last.reason}", positions=last.positions)

    def state(self) -> KillSwitchState:
        """Return the switch's state; active also where that could not be written yet."""
        if self._held is not None:
            self.trip(self._held.reason, positions=self._held.positions)
        return self.switch.state() if self._held is None else self._held

    @property
    def unwritable(self) -> str | None:
        """Why an activation is in memory only; `None` where there is none such."""
        return None if self._held is None else self._why_held

    def trip(self, reason: str, *, positions: Positions) -> KillSwitchState:
        """Activate the switch; in memory where the disk does not take it."""
        try:
            state = self.switch.activate(reason, actor=_ACTOR, positions=positions)
        except Exception as error:  # noqa: BLE001 - a full disk, a lock that is held: the bot stops all the same
            self._why_held = str(error)
            return self._hold(reason, error, positions=positions)
        self._held = None
        return state

    def _hold(self, reason: str, error: Exception, *, positions: Positions) -> KillSwitchState:
        if self._held is None:
            logger.critical("the kill switch is active, but only in memory ({}): {}", error, reason)
            before = self.switch.state()
            count = before.activations + int(not before.active)
            self._held = KillSwitchState(True, reason, _ACTOR, self._clock(), count, positions)
        return self._held

    def _latched(self) -> KillSwitchState:
        try:
            return self.switch.latch(positions=self.positions)
        except Exception as error:  # noqa: BLE001 - as above
            reason, positions = self.switch.asked_by_file(positions=self.positions)
            return self._hold(reason, error, positions=positions)
