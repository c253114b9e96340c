"""Another user of the machine, as whom a test tries things."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

OTHER = 65533
"""A user and a group that own nothing."""


def must_be_root() -> None:
    """Skip where nobody may become another user. Continuous integration runs as root: there nothing is skipped."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")


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


def as_other_user(*command: str, timeout_seconds: float = 10.0) -> subprocess.CompletedProcess[str]:
    """Run a command as another user, in none of our groups."""
    must_be_root()
    drop = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--"]
    return subprocess.run([*drop, *command], capture_output=True, text=True, timeout=timeout_seconds, check=False)
