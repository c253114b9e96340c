"""Another user of the machine, as whom a test tries things."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

from tests.skipping import cannot_run

OTHER = 65533
"""A user and a group that own nothing."""


def must_be_root() -> None:
    """Skip where nobody may become another user; continuous integration runs as root, and must."""
    if os.geteuid() != 0:
        cannot_run("only root can become another user")


def open_to_others(folder: Path) -> None:
    """Let every user reach a folder of a test: what is refused below it is refused by its own mode."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)


def open_entries(home: Path) -> dict[str, str]:
    """Return the mode of everything in a home, and of itself, with which other users may do anything.

    The programs in `tools` are Debian's, and the same on every machine.
    """
    ours = [path for path in home.rglob("*") if not path.is_relative_to(home / "tools" / "unpacked")]
    found = {str(path): path.lstat().st_mode for path in (home, *ours)}
    return {name: stat.filemode(mode) for name, mode in found.items() if mode & 0o077 and not stat.S_ISLNK(mode)}


def of_other_user(*command: str) -> list[str]:
    """Return the command by which another user, in none of our groups, runs one."""
    must_be_root()
    return ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--", *command]


def as_other_user(*command: str, timeout_seconds: float = 10.0, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as another user; `more` is what `subprocess.run` takes."""
    given = of_other_user(*command)
    return subprocess.run(given, capture_output=True, text=True, timeout=timeout_seconds, check=False, **more)
