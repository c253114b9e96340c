"""The kill switch: a latch on disk that survives restarts and is lifted only by a person with a reason.

While it is active the bot opens nothing; an open position keeps its barriers. It fails closed: a latch file that cannot
be read counts as active.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import locked, write_json_atomic

FILE_NAME = "kill_switch.json"
_LOCK_SECONDS = 5.0


class KillSwitchError(NightdeskError):
    """The kill switch was used wrongly; the message says how to use it."""


@dataclass(frozen=True)
class KillSwitchState:
    """Whether the switch is active, and who last moved it when (wall time) and why."""

    active: bool
    reason: str = ""
    actor: str = ""
    changed_at: float | None = None
    activations: int = 0


class KillSwitch:
    """The latch of one bot, in its state folder. Bot and command line share it."""

    def __init__(self, state_dir: Path, *, clock: WallClock = system_clock) -> None:
        self.path = state_dir / FILE_NAME
        self._clock = clock

    def state(self) -> KillSwitchState:
        """Return the switch's state; active where the file cannot be read or understood."""
        try:
            stored = KillSwitchState(**json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return KillSwitchState(active=False)
        except (OSError, ValueError, TypeError) as error:
            return KillSwitchState(active=True, reason=f"{self.path.name} cannot be read ({error})", actor="guard")
        expected = ((stored.active, bool), (stored.reason, str), (stored.actor, str), (stored.activations, int))
        if not all(isinstance(value, kind) for value, kind in expected):
            return KillSwitchState(active=True, reason=f"{self.path.name} is damaged", actor="guard")
        return stored

    def activate(self, reason: str, *, actor: str) -> KillSwitchState:
        """Stop all entries until somebody resumes. Already active: the first reason stays."""
        return self._change(active=True, reason=reason, actor=actor)

    def resume(self, reason: str, *, actor: str) -> KillSwitchState:
        """Lift the switch. Raises `KillSwitchError` where it is not active."""
        return self._change(active=False, reason=reason, actor=actor)

    def _change(self, *, active: bool, reason: str, actor: str) -> KillSwitchState:
        if not reason.strip():
            raise KillSwitchError("a reason is needed: say why with --reason")
        with locked(self.path.with_suffix(".lock"), timeout_seconds=_LOCK_SECONDS):
            before = self.state()
            if before.active == active:
                if active:
                    return before
                raise KillSwitchError("the kill switch is not active: there is nothing to resume")
            after = KillSwitchState(active, reason.strip(), actor, self._clock(), before.activations + int(active))
            write_json_atomic(self.path, asdict(after))
            return after
