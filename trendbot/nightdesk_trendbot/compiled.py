"""Functions compiled by numba, kept on disk between runs for as long as no compiled module has changed.

numba looks at the file of each function alone. Where a type that it takes was changed elsewhere, what numba kept is
stale: after an upgrade in place it fails to load, or reckons with what no longer holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from nightdesk_core.files.permissions import make_folder
from nightdesk_core.units import DAY_SECONDS
from numba import njit
from numba.core import config

numba_config: Any = config
"""Its attributes are made at run time: no type checker knows them."""
_PACKAGE = Path(__file__).parent
_ROOMS = ("signals", "engine", "model")
"""Where compiled functions and the types that they take lie."""
_PREFIX = "compiled-"
_UNUSED_SECONDS = 30.0 * DAY_SECONDS

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*, nogil: bool = False) -> Callable[[F], F]:
    """Return a decorator that compiles a function; with `nogil` it holds no interpreter lock while it runs."""

    def decorate(function: F) -> F:
        folder = _FOLDER
        before = numba_config.CACHE_DIR
        # numba asks for the folder at once, and knows of no other way to be told of it.
        numba_config.CACHE_DIR = "" if folder is None else str(folder)
        try:
            return cast("F", njit(cache=folder is not None, nogil=nogil)(function))
        finally:
            numba_config.CACHE_DIR = before

    return decorate


def cache_folder(package: Path, *, own: str, home: Path) -> Path | None:
    """Return where compiled functions are kept, `None` where nothing can be written.

    `own` is the folder that a person has chosen (NUMBA_CACHE_DIR), empty for none; `home` is the user's.
    """
    name = f"{_PREFIX}{_digest(package)}"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    beside, shared = package / "__pycache__" / name, (Path(caches) if caches else home / ".cache") / "nightdesk" / name
    for folder in [Path(own) / name] if own else [beside, shared]:
        if _writable(folder):
            # Other installations may share a folder that is not the package's: what they use is left for a while.
            _forget_others(folder, unused_seconds=0 if folder == beside else _UNUSED_SECONDS)
            return folder
    return None


def _digest(package: Path) -> str:
    found = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((package / room).glob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    with suppress(OSError):
        make_folder(folder)
        # What another user has compiled is code of theirs, in files that only they can read.
        return os.access(folder, os.W_OK) and folder.stat().st_uid == os.geteuid()
    return False


def _forget_others(folder: Path, *, unused_seconds: float) -> None:
    """Remove what was compiled of other code so long ago: nothing will ask for it again."""
    for other in folder.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if other != folder and time.time() - other.stat().st_mtime >= unused_seconds:
                shutil.rmtree(other, ignore_errors=True)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


_FOLDER = cache_folder(_PACKAGE, own=numba_config.CACHE_DIR, home=_home())
