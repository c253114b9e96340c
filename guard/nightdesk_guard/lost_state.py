"""A state that was lost: noted on disk, and answered by the kill switch, until a person lets the bot go on without it.

A bot that remembers nothing is new, or has lost its memory. Where anything says that it has lived, it must not begin as
if it were new: a kill would be lifted by that, a pause forgotten, and its account be what it was on the first day.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nightdesk_core.audit import AuditError, AuditLog
from nightdesk_core.clock import WallTime, system_clock, wall_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.reader import InputError, MissingInputError

from nightdesk_guard import kill_switch, resume
from nightdesk_guard.kill_switch import KillSwitch

FILE_NAME = "state_lost.json"
_BOT = "bot"
_OF_A_BOT = ("kill_switch_", "guard_")
"""What the events of the audit log begin with that are about a bot that has lived, whoever recorded them."""


@dataclass(frozen=True)
class Loss:
    """What was lost, as it showed, and when that was found."""

    reason: str
    found_at: WallTime
    starts: int = 0
    """How often the bot had been started, as what is left of its state says."""
    accepted: bool = False
    """Whether a person has let the bot go on without it."""


class LostState:
    """The loss of one bot's state, in its state folder. Bot and command line share it."""

    def __init__(self, state_dir: Path | str, *, clock: Callable[[], float | WallTime] = system_clock) -> None:
        self.path = Path(state_dir) / FILE_NAME
        self._switch = KillSwitch(state_dir, clock=clock)
        self._clock = wall_clock(clock)

    def find(self, reason: str, *, starts: int = 0) -> None:
        """Keep the bot out of the market, and note why. A second time it says the same.

        Raises `KillSwitchError` or `OSError` where that cannot be written: the bot must not trade.
        """
        # The switch first: killed between the two, the next start finds the loss again.
        self._switch.kill(f"the bot has lived and its state is gone: {reason}", actor=_BOT, positions="keep")
        if self.known() is None:
            write_json_atomic(self.path, stored.plain(Loss(reason, self._clock(), starts)))

    def known(self) -> Loss | None:
        """Return the loss that was noted, `None` for none; one that cannot be read is not accepted."""
        try:
            return stored.read(Loss, self.path)
        except MissingInputError:
            return None
        except InputError as error:
            return Loss(f"{self.path.name} cannot be read ({error.reason})", WallTime(0.0))

    @property
    def pending(self) -> str:
        """How the loss shows that a person must answer, empty for none."""
        if not os.path.lexists(self.path):  # asked twice a second
            return ""
        known = self.known()
        return "" if known is None or known.accepted else known.reason

    def accept(self) -> Loss:
        """Let the bot go on without what it lost, and return that. Raises `NightdeskError` where nothing is lost."""
        known = self.known()
        if known is None or known.accepted:
            raise NightdeskError("no state is lost: `nightdesk resume --reason ...` lifts the kill switch")
        write_json_atomic(self.path, stored.plain(replace(known, accepted=True)))
        return known

    def forget(self) -> None:
        """Note no loss any more: it was accepted and the bot has begun, or its state is back."""
        self.path.unlink(missing_ok=True)


def signs_of_life(state_dir: Path, audit: AuditLog) -> Iterator[str]:
    """Yield what in a state folder says that a bot has lived there, beside what it remembers itself."""
    for name, said in (
        (kill_switch.FILE_NAME, "its kill switch has been moved"),
        (resume.FILE_NAME, "its guard was let climb"),
    ):
        if os.path.lexists(state_dir / name):
            yield f"{said} ({name})"
    try:
        if any(entry.actor == _BOT or entry.event.startswith(_OF_A_BOT) for entry in audit.entries()):
            yield f"the audit log tells of it ({audit.path.name})"
    except (AuditError, OSError):
        yield f"its audit log cannot be read ({audit.path.name})"
