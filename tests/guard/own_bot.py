"""A bot of one's own with a guard, on a clock that moves only when it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.requests import RetrainRequest, RetrainRequests
from nightdesk_guard import Guard, GuardStatus, KillSwitch
from nightdesk_guard.store import Remembered, SmallStore

from tests.guard.conftest import BREAK_EVEN, DAY, NERVOUS

START = 20_000.0 * DAY + 3600


class OwnBot:
    """Trades 10 of money for each risk of 10, and is easily alarmed."""

    def __init__(self, folder: Path, *, journalled: bool = False, **given: Any) -> None:
        self.state_dir = folder / "state"
        self.journal = Journal(folder / "mine.sqlite") if journalled else None
        self.now = START
        self.money = 1000.0
        self._given = {"settings": NERVOUS, **given}
        self._running = ExitStack()
        self.guard = self._start()
        self.switch = KillSwitch(self.state_dir, clock=self.clock)
        self.audit = AuditLog(self.state_dir / "audit.jsonl")

    def _start(self) -> Guard:
        guard = Guard(
            self.state_dir, break_even_win_rate=BREAK_EVEN, journal=self.journal, clock=lambda: self.now, **self._given
        )
        return self._running.enter_context(guard)

    def clock(self) -> WallTime:
        return WallTime(self.now)

    def restart(self) -> None:
        """Go on as another process would: from what lies on the disk."""
        self._running.close()
        self.guard = self._start()

    def close(self) -> None:
        self._running.close()
        if self.journal is not None:
            self.journal.close()

    def lose(self, count: int = 1) -> None:
        for _ in range(count):
            self.guard.trade(profit=-10.0, risk=10.0)

    def see(self, *, days: float = 0.0, money: float | None = None, leverage: float = 0.0) -> GuardStatus:
        """Let time pass, and show the account."""
        self.now += days * DAY
        self.money = self.money if money is None else money
        return self.guard.equity(self.money, leverage=leverage)

    def pause(self) -> None:
        self.lose(5)
        assert self.see() is GuardStatus.PAUSED

    @property
    def remembered(self) -> Remembered:
        """What another would find on the disk."""
        return SmallStore(self.state_dir, self.journal).known

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in self.audit.entries()]

    @property
    def asked(self) -> list[RetrainRequest]:
        return RetrainRequests(self.state_dir, self.audit).pending()


@contextmanager
def own_bot(folder: Path, *, journalled: bool = False, **given: Any) -> Iterator[OwnBot]:
    """Yield a running bot."""
    bot = OwnBot(folder, journalled=journalled, **given)
    try:
        yield bot
    finally:
        bot.close()


class Told:
    """Keeps what a reporter is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def last(self, call: str) -> Mapping[str, Any]:
        """Return the arguments of the last call of this name."""
        return next(given for name, given in reversed(self.calls) if name == call)

    def count(self, call: str) -> int:
        return sum(name == call for name, _ in self.calls)

    def guard(self, state: str, **given: Any) -> None:
        self.calls.append(("guard", {"state": state, **given}))

    def kill_switch(self, **given: Any) -> None:
        self.calls.append(("kill_switch", given))

    def kill_switch_tested(self) -> None:
        self.calls.append(("kill_switch_tested", {}))

    def unwritable(self, what: str, reason: str = "") -> None:
        self.calls.append(("unwritable", {"what": what, "reason": reason}))

    def shadow(self, **given: Any) -> None:
        self.calls.append(("shadow", given))

    def delivered(self, **given: Any) -> None:
        self.calls.append(("delivered", given))
