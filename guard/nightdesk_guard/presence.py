"""Whether a guard lives in a state folder, and what it has seen of the kill switch: told to whoever pulls that.

A held lock says that it lives. Where locks do not reach (a folder that is shared with another machine), a file does
that the guard touches every few seconds while it looks at its switch. That file also has what its last look saw, so
that a kill can be confirmed by the one who must obey it.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nightdesk_core.age import age_seconds
from nightdesk_core.bots.record import BotRecord
from nightdesk_core.bots.registration import registered
from nightdesk_core.clock import WallTime, system_clock
from nightdesk_core.files import stored
from nightdesk_core.files.durable import is_locked, locked, write_json_atomic
from nightdesk_core.files.reader import InputError, read_start

from nightdesk_guard.kill_switch import KillSwitchState, Positions

FILE_NAME = "presence.json"
LOCK_NAME = "guard.lock"
BEAT_SECONDS = 5.0
"""How often the file is touched, at most."""
SILENT_SECONDS = 30.0
"""How old the last touch may be."""
_LOOK_SECONDS = 0.5
"""How long a guard waits for its lock: `is_present` holds it for a moment."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class SwitchView:
    """The kill switch as the guard last saw it."""

    active: bool
    activations: int
    positions: str


@dataclass(frozen=True)
class LastSeen:
    """What a guard has last said of itself in its state folder."""

    id: str
    """Of the folder, for as long as it lives: `nightdesk_core.bots` knows it by this."""
    name: str
    """The bot's."""
    pid: int
    kernel: str
    """Which kernel it runs on, empty where that is not known: there its lock tells whether it lives."""
    running: bool
    positions: Positions
    """What becomes of open positions where whoever kills does not say."""
    switch: SwitchView | None = None

    def has_seen(self, switch: KillSwitchState) -> bool:
        """Return whether the guard knows of a switch that is like this, or was activated since."""
        seen = self.switch
        if seen is None or seen.active != switch.active or seen.activations < switch.activations:
            return False
        return not switch.active or switch.positions == "keep" or seen.positions == "close"


class Presence:
    """The guard of one state folder, as it says that it is there."""

    def __init__(self, state_dir: Path, *, positions: Positions) -> None:
        """`positions` is what becomes of open positions where whoever kills does not say."""
        self._folder = state_dir
        self._positions = positions
        self._path = state_dir / FILE_NAME
        self._said: LastSeen | None = None
        self._touched = -math.inf
        """Monotonic."""
        self._failed = False

    @contextmanager
    def here(self, name: str) -> Iterator[None]:
        """Be there for the block. Raises `LockTimeoutError` where another guard is, `OSError` where it cannot lock."""
        with locked(self._folder / LOCK_NAME, timeout_seconds=_LOOK_SECONDS):
            before = last_seen(self._folder)
            known_as = uuid.uuid4().hex if before is None else before.id
            pid, folder = os.getpid(), str(self._folder.resolve())
            record = BotRecord(
                name=name, part="guard", pid=pid, started_at=system_clock(), state_dir=folder, state_id=known_as
            )
            self._say(LastSeen(known_as, name, pid, _kernel(), running=True, positions=self._positions))
            with registered(record, identity=known_as):
                try:
                    yield
                finally:
                    if os.getpid() == pid and self._said is not None:  # a child that was forked says nothing
                        self._say(replace(self._said, running=False))
                        self._said = None

    def saw(self, switch: KillSwitchState) -> None:
        """Say that the guard has looked at its switch just now; on the disk where it is news, or a while since then.

        What the disk does not take is said again later: it is worth nothing to the bot itself.
        """
        said = self._said
        if said is None:
            return
        seen = SwitchView(switch.active, switch.activations, switch.positions)
        due = time.monotonic() - self._touched >= BEAT_SECONDS
        if seen != said.switch and (due or not self._failed):
            self._say(replace(said, switch=seen))
        elif due:
            self._touched = time.monotonic()
            try:
                os.utime(self._path)
            except OSError:  # it was removed, or could not be written yet
                self._say(replace(said, switch=seen))

    def _say(self, what: LastSeen) -> None:
        self._touched = time.monotonic()
        try:
            write_json_atomic(self._path, stored.plain(what))
        except OSError:
            self._failed = True
            self._said = replace(what, switch=None)
        else:
            self._failed, self._said = False, what


def last_seen(state_dir: Path) -> LastSeen | None:
    """Return what a guard last said of itself in a folder; `None` where none did, or it cannot be read."""
    try:
        return stored.read(LastSeen, state_dir / FILE_NAME)
    except InputError:
        return None


def last_beat(state_dir: Path) -> WallTime | None:
    """Return when a guard last looked at its switch, to a few seconds; `None` where none did."""
    try:
        return WallTime((state_dir / FILE_NAME).stat().st_mtime)
    except OSError:
        return None


def is_present(state_dir: Path, *, now: WallTime) -> bool:
    """Return whether a guard lives in a state folder: it holds the lock there or, from elsewhere, has been heard of."""
    try:
        if is_locked(state_dir / LOCK_NAME):
            return True
        locks_tell = True
    except OSError:  # another user's
        locks_tell = False
    seen, beat = last_seen(state_dir), last_beat(state_dir)
    if seen is None or beat is None or not seen.running:
        return False
    if locks_tell and seen.kernel and seen.kernel == _kernel():
        return False
    return age_seconds(beat, now=now) <= SILENT_SECONDS


def _kernel() -> str:
    """Return what tells this boot of this kernel from another; the same in each of its containers."""
    try:
        return read_start(_BOOT, 64).decode(errors="replace").strip()
    except InputError:
        return ""
