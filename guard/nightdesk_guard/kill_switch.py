"""The kill switch: a latch on disk that survives restarts and is lifted only by a person with a reason.

While it is active the bot opens nothing, and its open positions are closed or kept as the latch says. It fails closed:
a latch file that cannot be read counts as active. A file named KILL beside it, whoever put it there, activates it, too.
What it says is the reason; a line `positions: close` or `positions: keep` says what becomes of open positions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nightdesk_core.clock import WallTime, system_clock, wall_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.disk import EXHAUSTED
from nightdesk_core.files.durable import LockTimeoutError, locked, write_atomic, write_json_atomic
from nightdesk_core.files.reader import InputError, MissingInputError, read_start

FILE_NAME = "kill_switch.json"
KILL_FILE = "KILL"
"""Its mere existence activates the switch."""
Positions = Literal["close", "keep"]
"""What becomes of open positions: closed at fresh prices, or left to their barriers."""
UNREAD = "nobody"
"""The actor of a switch that could not be read for want of files or memory: it counts as active, and was not moved."""
_LOCK_SECONDS = 0.5
"""Longer than anybody who is well holds it, and short enough for who waits: a person in a hurry, and the bot's loop."""
_LONGEST_REASON_BYTES = 500
_ASKED_POSITIONS = re.compile(r"^positions: (close|keep)\s*$", re.MULTILINE)


class KillSwitchError(NightdeskError):
    """The kill switch was used wrongly; the message says how to use it."""


@dataclass(frozen=True)
class KillSwitchState:
    """Whether the switch is active, who last moved it when and why, and what it does with positions."""

    active: bool
    reason: str = ""
    actor: str = ""
    changed_at: WallTime | None = None
    activations: int = 0
    positions: Positions = "keep"


class KillSwitch:
    """The latch of one bot, in its state folder. Bot and command line share it."""

    def __init__(self, state_dir: Path | str, *, clock: Callable[[], float | WallTime] = system_clock) -> None:
        self.path = Path(state_dir) / FILE_NAME
        self.kill_file = Path(state_dir) / KILL_FILE
        self._clock = wall_clock(clock)

    def state(self) -> KillSwitchState:
        """Return the switch's state; active where the file cannot be read or understood, and where KILL is there."""
        latch = self._stored()
        if not os.path.lexists(self.kill_file):
            return latch
        reason, positions = self.asked_by_file(positions=latch.positions)
        if latch.active:
            return replace(latch, positions="close" if "close" in (positions, latch.positions) else "keep")
        return replace(latch, active=True, reason=reason, actor="file", positions=positions)

    def activate(self, reason: str, *, actor: str, positions: Positions = "keep") -> KillSwitchState:
        """Stop all entries until somebody resumes.

        Already active: the first reason stays, but positions that were to be kept can still be closed.
        """
        with self._moving(reason):
            before = self._stored()
            if before.active and (before.positions == "close" or positions == "keep"):
                return before
            if before.active:
                after = replace(before, positions=positions)
            else:
                after = KillSwitchState(True, reason.strip(), actor, self._clock(), before.activations + 1, positions)
            write_json_atomic(self.path, stored.plain(after))
            return after

    def kill(self, reason: str, *, actor: str, positions: Positions) -> KillSwitchState:
        """Activate the switch within a second, whoever holds its lock, and return its state.

        Where the latch cannot be moved, the file KILL is put beside it, and the bot latches that. Raises
        `KillSwitchError` where neither can be written.
        """
        _require(reason)
        try:
            return self.activate(reason, actor=actor, positions=positions)
        except (KillSwitchError, LockTimeoutError) as error:
            said = f"{reason.strip()} (by {actor})\npositions: {positions}\n"
            try:
                write_atomic(self.kill_file, said.encode())
            except OSError as failure:
                raise KillSwitchError(f"{error}; nor can {self.kill_file} be written: {failure}") from failure
            return self.state()

    def resume(self, reason: str, *, actor: str) -> KillSwitchState:
        """Lift the switch, and remove the file KILL. Raises `KillSwitchError` where it is not active."""
        with self._moving(reason):
            before = self.state()
            if not before.active:
                raise KillSwitchError("the kill switch is not active: there is nothing to resume")
            # The file first: killed between the two, the switch is still latched.
            self.kill_file.unlink(missing_ok=True)
            after = KillSwitchState(False, reason.strip(), actor, self._clock(), before.activations)
            write_json_atomic(self.path, stored.plain(after))
            return after

    def latch(self, *, positions: Positions) -> KillSwitchState:
        """Turn a file KILL into a latch that holds though the file is removed; return the switch's state.

        `positions` is what becomes of open positions where the file does not say.
        """
        if not os.path.lexists(self.kill_file):
            return self.state()
        latch = self._stored()
        reason, asked = self.asked_by_file(positions=latch.positions if latch.active else positions)
        return self.activate(reason, actor="file", positions=asked)

    @contextmanager
    def _moving(self, reason: str) -> Iterator[None]:
        _require(reason)
        try:
            with locked(self.path.with_suffix(".lock"), timeout_seconds=_LOCK_SECONDS):
                yield
        except OSError as error:
            raise KillSwitchError(
                f"the kill switch stays as it is: {error}; where the bot must stop now, end its process"
            ) from error

    def asked_by_file(self, *, positions: Positions) -> tuple[str, Positions]:
        """Return the reason that the file KILL gives, and what becomes of positions: `positions` unless it says."""
        try:
            # Whatever it is, that it is there is the order: it is not waited for, nor read to an end.
            said = read_start(self.kill_file, _LONGEST_REASON_BYTES).decode(errors="replace")
        except InputError:
            said = ""
        asked = _ASKED_POSITIONS.search(said)
        if asked is not None:
            positions = "close" if asked[1] == "close" else "keep"
        reason = _ASKED_POSITIONS.sub("", said).strip()
        return reason or f"the file {KILL_FILE} was put into {self.kill_file.parent.name}", positions

    def _stored(self) -> KillSwitchState:
        try:
            return stored.read(KillSwitchState, self.path)
        except MissingInputError:
            return KillSwitchState(active=False)
        except InputError as error:
            reason = f"{self.path.name} cannot be read ({error.reason})"
            exhausted = isinstance(error.__cause__, OSError) and error.__cause__.errno in EXHAUSTED
            return KillSwitchState(active=True, reason=reason, actor=UNREAD if exhausted else "guard")


def _require(reason: str) -> None:
    if not reason.strip():
        raise KillSwitchError("a reason is needed: say why with --reason")
