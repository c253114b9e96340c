"""What Linux, macOS and Windows do not have in common, as far as files go: the one place that knows it.

Where a system has no `fcntl`, as Windows, SQLite takes our locks: it knows the system's own, which end with whoever
holds them.
Where files have no owners and modes, a folder's own access list says who may read what is made in it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

if sys.platform != "win32":
    with suppress(ImportError):
        import fcntl

HAS_OWNERS = hasattr(os, "geteuid") and hasattr(os, "fchmod") and hasattr(os, "fchown")
HAS_OPEN_FOLDERS = hasattr(os, "O_DIRECTORY")
"""Whether a folder can be opened, to set its mode or to make the names in it durable."""
HAS_FLOCK = "fcntl" in globals()

FILE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags for any file: a pipe would wait for its other end, and Windows would translate line ends."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
NO_TERMINAL = getattr(os, "O_NOCTTY", 0)
FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

_by_sqlite: dict[int, Connection] = {}
"""By the descriptor that stands for each lock."""


def user() -> int | None:
    """Return who this process is, `None` where files have no owners."""
    if sys.platform == "win32" or not HAS_OWNERS:
        return None
    return os.geteuid()


def take_lock(descriptor: int, path: Path, *, shared: bool = False) -> bool:
    """Lock the file that is open, and return whether it was free. `shared` is for a look: two of them do not collide.

    Where SQLite takes our locks, they do.
    """
    if sys.platform != "win32" and HAS_FLOCK:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    import sqlite3  # no light module, and needed on Windows alone

    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        connection.close()
        return False
    _by_sqlite[descriptor] = connection
    return True


def release_lock(descriptor: int) -> None:
    """Free a lock, also where a child that has just been forked has a copy of the descriptor yet."""
    if sys.platform != "win32" and HAS_FLOCK:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    elif (connection := _by_sqlite.pop(descriptor, None)) is not None:
        connection.close()


def write_at(descriptor: int, content: bytes, offset: int) -> int:
    """Write at a place in a file, and return how many bytes were."""
    if sys.platform != "win32" and hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, content)
