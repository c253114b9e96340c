"""An operator's word that the guard may climb one step: a file in the state folder, which the bot reads and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from nightdesk_core.clock import WallTime, system_clock, wall_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.durable import locked, write_json_atomic
from nightdesk_core.files.reader import InputError

from nightdesk_guard.performance import Resume

FILE_NAME = "guard_resume.json"
_LOCK_SECONDS = 5.0


class ResumeFile:
    """The last word that was given for one bot. Command line and bot share it."""

    def __init__(self, state_dir: Path | str, *, clock: Callable[[], float | WallTime] = system_clock) -> None:
        self.path = Path(state_dir) / FILE_NAME
        self._clock = wall_clock(clock)

    def give(self, reason: str, *, actor: str) -> Resume:
        """Let the guard climb one step once its cool-down is over. Raises `NightdeskError` without a reason."""
        if not reason.strip():
            raise NightdeskError("a reason is needed: say why with --reason")
        with locked(self.path.with_suffix(".lock"), timeout_seconds=_LOCK_SECONDS):
            before = self.last()
            # The time of day, so that words go on counting up where the file was lost.
            number = max(int(self._clock().seconds), 0 if before is None else before.number + 1)
            given = Resume(number, reason.strip(), actor)
            write_json_atomic(self.path, asdict(given))
            return given

    def last(self) -> Resume | None:
        """Return the last word given; `None` where none was, or it cannot be read: then the guard stays where it is."""
        try:
            return stored.read(Resume, self.path)
        except InputError:
            return None
