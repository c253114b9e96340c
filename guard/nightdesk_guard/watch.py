"""The kill switch in time: looked at as often as it is asked for, tried once a day, and heard while the bot waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger
from nightdesk_core.age import age_seconds
from nightdesk_core.clock import WallClock, WallTime
from nightdesk_core.units import DAY_SECONDS

from nightdesk_guard.kill_switch import UNREAD, KillSwitch, KillSwitchState, Positions
from nightdesk_guard.lost_state import LostState
from nightdesk_guard.presence import Presence
from nightdesk_guard.reporting import LossReporter, Reporter, WaitReporter
from nightdesk_guard.self_test import DiskError, drill
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

_POLL_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = float(DAY_SECONDS)
"""What waits for longer is found after a day, as a loop that hangs is."""
_SELF_TEST_SECONDS = float(DAY_SECONDS)
_UNTRIED_SECONDS = 1.0
"""How soon a switch is tried again that could not be tried."""


@dataclass(frozen=True)
class KillSwitchParts:
    """What the watch over one bot's kill switch is made of."""

    state_dir: Path
    limits: KillLimits
    positions: Positions
    """What becomes of open positions where the switch trips by itself."""
    account: Callable[[], AccountView] | None
    """Returns the account as it stands; whatever it raises trips the switch. `None` where it will be shown."""
    reporter: Reporter | None
    clock: WallClock
    tests_itself: bool = True
    """Whether a look tries the switch where that was not done for a day; else whoever owns it does."""


class KillSwitchWatch:
    """Looks at the switch whenever it is asked; from any thread."""

    def __init__(self, parts: KillSwitchParts) -> None:
        self._parts = parts
        self._clock = parts.clock
        switch = KillSwitch(parts.state_dir, clock=parts.clock)
        self._tripwire = Tripwire(switch, parts.limits, positions=parts.positions, clock=parts.clock)
        self._lost = LostState(parts.state_dir, clock=parts.clock)
        self.presence = Presence(parts.state_dir, positions=parts.positions)
        self._account = parts.account
        self._lock = threading.RLock()
        self._forked = False
        self._last = KillSwitchState(active=False)
        self._heeded: KillSwitchState | None = None
        """The switch as the bot knows it."""
        self._tested_at: WallTime | None = None
        self._untested: str | None = None
        """What the disk said where the switch could not be tried."""

    @property
    def anchors(self) -> Anchors:
        """What falls are measured from."""
        return self._tripwire.anchors

    @property
    def last(self) -> KillSwitchState:
        """The switch as it was last looked at."""
        return self._last

    @property
    def unwritable(self) -> str | None:
        """Why the switch cannot be latched at present, as far as that was tried; `None` where it can."""
        return self._tripwire.unwritable or self._untested

    @property
    def is_active(self) -> bool:
        """Whether the switch is active at this moment, be the account as it may."""
        with self._lock:
            return self._tripwire.state().active

    def recall(self, anchors: Anchors, last: KillSwitchState) -> None:
        """Go on from what was remembered: a latch that is lost since is latched anew."""
        with self._lock:
            self._tripwire.anchors, self._last = anchors, last

    def adopt(self, limits: KillLimits, positions: Positions) -> None:
        """Go on with other limits."""
        with self._lock:
            self._tripwire.limits, self._tripwire.positions = limits, positions

    def show(self, account: AccountView) -> KillSwitchState:
        """Take the account as it stands now, and return the switch that follows."""
        with self._lock:
            self._account = lambda: account
            return self.look()

    def rescale(self, anchors: Anchors, equity: float) -> None:
        """Go on after money was paid in or out: from other anchors, and with the account that was shown at `equity`."""
        with self._lock:
            self._tripwire.anchors = anchors
            if self._account is not None:
                account = replace(self._account(), equity=equity)
                self._account = lambda: account

    def forked(self) -> None:
        """In a child, look only: what is to be done about the switch, the parent does."""
        self._forked, self._lock = True, threading.RLock()

    def look(self) -> KillSwitchState:
        """Return the switch, tripped first where there is a reason to. Only a reporter can make this raise."""
        with self._lock:
            if self._forked:
                return self._tripwire.state()
            self._tripwire.remember(self._last)
            account = self._account
            switch = self._tripwire.state() if account is None else self._tripwire.look(account)
            if self._parts.tests_itself and self._test_is_due():
                self.self_test()
                switch = self._tripwire.state()
            reporter = self._parts.reporter
            if reporter is not None:
                if isinstance(reporter, LossReporter):
                    reporter.state_lost(self._lost.pending)
                reporter.kill_switch(active=switch.active, reason=switch.reason, activations=switch.activations)
            elif switch.active and not self._last.active:
                logger.critical("the kill switch is active: {}", switch.reason)
            if switch.actor != UNREAD:
                self._last = switch
                self.presence.saw(switch)
            return switch

    def glance(self) -> KillSwitchState:
        """Return the switch as `look` does; where another thread looks just now, as it was last seen. Never waits."""
        if not self._lock.acquire(blocking=False):
            return self._last
        try:
            return self.look()
        finally:
            self._lock.release()

    def trip(self, reason: str) -> None:
        """Stop all entries, and leave positions as they are."""
        with self._lock:
            self._tripwire.trip(reason, positions="keep")

    def self_test(self, acts: Callable[[], str] = str) -> bool:
        """Try the switch, and trip it where it would not work; return whether it could be tried.

        `acts` says what of the bot would not obey an active switch, empty where all of it would. A disk that takes
        nothing at present says nothing about the switch: it is tried again soon, and what cannot be latched is held
        in memory.
        """
        self._tested_at = self._clock()
        try:
            failed = drill(self._parts.state_dir, self._tripwire.limits, acts=acts, clock=self._clock)
        except DiskError as error:
            self._untested = str(error)
            return False
        self._untested = None
        if failed:
            self.trip(f"self-test: {failed}")
        elif self._parts.reporter is not None:
            self._parts.reporter.kill_switch_tested()
        return True

    def wants_positions_closed(self, *, can_close: bool) -> bool:
        """Return whether open positions must be closed; not while that cannot be done at prices to trust."""
        switch = self.glance()
        wanted = switch.active and switch.positions == "close"
        if wanted and not can_close:
            return False
        self._heeded = switch
        return wanted

    def wait(self, seconds: float, *, sleep: Callable[[float], None]) -> bool:
        """Sleep, but no longer than until the switch asks for something new; return whether it is active.

        The reporter is told until when, and that it has ended: a loop that waits on purpose is not one that hangs.
        """
        ends = time.monotonic() + seconds
        self._announce(min(seconds, _LONGEST_WAIT_SECONDS))
        try:
            while not self._calls():
                left = ends - time.monotonic()
                if left <= 0:
                    return self._last.active
                sleep(min(left, _POLL_SECONDS))
            return True
        finally:
            self._announce(0.0)

    def _announce(self, seconds: float) -> None:
        if isinstance(self._parts.reporter, WaitReporter):
            self._parts.reporter.announce_wait(self._clock() + seconds)

    def _test_is_due(self) -> bool:
        again = _SELF_TEST_SECONDS if self._untested is None else _UNTRIED_SECONDS
        return self._tested_at is None or age_seconds(self._tested_at, now=self._clock()) >= again

    def _calls(self) -> bool:
        """Return whether the switch asks for something that the bot does not know of; each thing once."""
        with self._lock:
            switch = self.look()
            if not switch.active or switch == self._heeded:
                return False
            self._heeded = switch
            return True
