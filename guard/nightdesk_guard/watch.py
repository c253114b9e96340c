"""The kill switch of a bot that shows its account: looked after in time, tried once a day, and heard while it waits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import WallClock

from nightdesk_guard.drill import drill
from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState, Positions
from nightdesk_guard.reporting import Reporter
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

_POLL_SECONDS = 0.5
_DRILL_SECONDS = 86_400.0


class Watch:
    """Looks at the switch whenever it is asked; from any thread."""

    def __init__(
        self,
        state_dir: Path,
        limits: KillLimits,
        *,
        positions: Positions,
        stale_seconds: float,
        reporter: Reporter | None,
        clock: WallClock,
    ) -> None:
        """An account that was shown longer than `stale_seconds` ago (wall time) is not fresh any more."""
        self._state_dir = state_dir
        self._stale_seconds = stale_seconds
        self._reporter = reporter
        self._clock = clock
        self._tripwire = Tripwire(KillSwitch(state_dir, clock=clock), limits, positions=positions, clock=clock)
        self._lock = threading.RLock()
        self._view: AccountView | None = None
        self._shown_at = -math.inf
        self._last = KillSwitchState(active=False)
        self._heeded: KillSwitchState | None = None
        """The switch as the bot knows it."""
        self._drilled_at = -math.inf

    @property
    def anchors(self) -> Anchors:
        """What falls are measured from."""
        return self._tripwire.anchors

    @property
    def is_fresh(self) -> bool:
        """Whether the account was shown lately. A clock that was set back tells nothing, so then it was not."""
        return abs(self._clock() - self._shown_at) <= self._stale_seconds

    def recall(self, anchors: Anchors, last: KillSwitchState) -> None:
        """Go on from what was remembered: a latch that is lost since is latched anew."""
        with self._lock:
            self._tripwire.anchors, self._last = anchors, last

    def show(self, equity: float, *, leverage: float, market_time: float) -> KillSwitchState:
        """Take the account as it stands now, marked to market, and return the switch that follows."""
        with self._lock:
            now = self._clock()
            self._shown_at = now
            self._view = AccountView(equity, leverage, market_time, now if leverage > 0 else None)
            return self.look()

    def look(self) -> KillSwitchState:
        """Return the switch, tripped first where there is a reason to. Only a reporter can make this raise."""
        with self._lock:
            self._tripwire.remember(self._last)
            view = self._view
            switch = self._tripwire.state() if view is None else self._tripwire.look(lambda: view)
            if abs(self._clock() - self._drilled_at) >= _DRILL_SECONDS:
                switch = self._drill(switch)
            if self._reporter is not None:
                self._reporter.kill_switch(active=switch.active, reason=switch.reason, activations=switch.activations)
            elif switch.active and not self._last.active:
                logger.critical("the kill switch is active: {}", switch.reason)
            self._last = switch
            return switch

    def trip(self, reason: str) -> None:
        """Stop all entries, and leave positions as they are."""
        with self._lock:
            self._tripwire.trip(reason, positions="keep")
            self.look()

    def must_close(self) -> bool:
        """Return whether open positions must be closed; not while the account is stale, nor are its prices then."""
        with self._lock:
            switch = self.look()
            wanted = switch.active and switch.positions == "close"
            if wanted and not self.is_fresh:
                return False
            self._heeded = switch
            return wanted

    def wait(self, seconds: float, *, sleep: Callable[[float], None]) -> bool:
        """Sleep, but no longer than until the switch asks for something new; return whether it is active."""
        ends = time.monotonic() + seconds
        while not self._calls():
            left = ends - time.monotonic()
            if left <= 0:
                return self._last.active
            sleep(min(left, _POLL_SECONDS))
        return True

    def _calls(self) -> bool:
        """Return whether the switch asks for something that the bot does not know of; each thing once."""
        with self._lock:
            switch = self.look()
            if not switch.active or switch == self._heeded:
                return False
            self._heeded = switch
            return True

    def _drill(self, switch: KillSwitchState) -> KillSwitchState:
        self._drilled_at = self._clock()
        failed = drill(self._state_dir, self._tripwire.limits, clock=self._clock)
        if failed:
            return self._tripwire.trip(f"self-test: {failed}", positions="keep")
        if self._reporter is not None:
            self._reporter.kill_switch_tested()
        return switch
