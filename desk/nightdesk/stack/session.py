"""The processes of a session: what somebody started and left behind, and their end.

A program that is started in a session of its own hands the session's number, which is its process id, to all that it
starts. The kernel gives the number to nobody else as long as one of them lives, so nothing is ended by mistake.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


def members(session: int) -> list[int]:
    """Return the ids of the processes of a session. Those that have ended and wait to be noted are none."""
    return [
        int(entry.name)
        for entry in _PROC.iterdir()
        if entry.name.isdecimal() and _session_of(entry / "stat") == session
    ]


def end(session: int, *, grace_seconds: float, kill_seconds: float = 5.0) -> list[int]:
    """End the processes of a session: asked first, killed after `grace_seconds`. Return those that are left."""
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, kill_seconds)):
        deadline = time.monotonic() + seconds
        for process in members(session):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        while left := members(session):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        if not left:
            return []
    return left


def _session_of(stat: Path) -> int | None:
    try:
        # The name, in parentheses, may hold anything; after it: state, parent, group, session.
        state, _parent, _group, session = stat.read_bytes().rpartition(b")")[2].split()[:4]
    except (OSError, ValueError):  # ended meanwhile
        return None
    return None if state == b"Z" else int(session)
