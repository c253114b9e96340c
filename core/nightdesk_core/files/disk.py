"""What a disk says that does not take what is written: it may be full, read-only, failing, or held by another process.

Whoever must go on without it asks here whether an error is of that kind: such an error passes, and is no reason to end.
"""

from __future__ import annotations

import errno
import sys
from types import ModuleType

_PASSING = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOLCK,
    }
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the process, or the machine, has too little of: an error of these says nothing about the file."""
_PASSING_SQLITE = ("PERM", "BUSY", "LOCKED", "NOMEM", "READONLY", "IOERR", "FULL", "CANTOPEN", "PROTOCOL")
_PRIMARY = 0xFF
"""SQLite's extended codes carry the primary one in their lowest byte."""


def is_unwritable(error: BaseException) -> bool:
    """Return whether an error says that the disk does not take, or not give, something at present."""
    if isinstance(error, OSError):
        return error.errno in _PASSING
    # Who has raised an error of SQLite has loaded it. Most who ask have no database.
    sqlite = sys.modules.get("sqlite3")
    return sqlite is not None and _is_passing(error, sqlite)


def _is_passing(error: BaseException, sqlite: ModuleType) -> bool:
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, sqlite.Error) else None
    return code is not None and code & _PRIMARY in {getattr(sqlite, f"SQLITE_{name}") for name in _PASSING_SQLITE}


def is_full(error: OSError) -> bool:
    """Return whether an error says that the disk takes nothing, whoever writes to it: it is full, or read-only."""
    return error.errno in _FULL


def reason_of(error: BaseException) -> str:
    """Return what the disk said in a few words, such as `No space left on device`."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
