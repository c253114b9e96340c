"""Who may read what we write: the one place that decides the modes of files and folders, whatever the umask.

A file is its owner's (0600), a folder too (0700). Where a folder is set up for a group (mode 2750, which `tighten`
gives it), whoever is in that group may read what is made in it from then on (0640, and 2750 for a folder), but never a
lock or a secret. Nobody but the owner writes. What root makes belongs to the owner of the folder that it is made in, so
that a command by root locks no bot out of its own state.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from nightdesk_core.files.system import FILE, FOLDER, HAS_OPEN_FOLDERS, HAS_OWNERS, NO_LINK, user

Readers = Literal["owner", "group", "all"]
"""`group` is the owner, and the group of a folder that is set up for one. `all` is for what is no secret to anybody."""

PRIVATE_UMASK = 0o077
"""For programs whose files are not written by way of this module: servers, caches of libraries."""
_FOLDER_OPEN = os.O_RDONLY | FOLDER | NO_LINK


class NoRegularFileError(OSError):
    """Something else lies in the place of a file that is to be written: `mode` says what, as `os.stat` has it."""

    def __init__(self, path: str, mode: int) -> None:
        self.mode = mode
        super().__init__(errno.EINVAL, "is no regular file", path)


def make_folder(folder: Path, *, readers: Readers = "group") -> None:
    """Create a folder and its missing parents; one that is there stays as it is.

    Raises `OSError`, `FileExistsError` where something else is in its place.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent, readers=readers)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    if not HAS_OPEN_FOLDERS:
        return
    descriptor = os.open(folder, _FOLDER_OPEN)
    try:
        settle(descriptor, folder.parent, readers=readers)
    finally:
        os.close(descriptor)


def open_file(path: str | Path, flags: int, *, readers: Readers = "group") -> int:
    """Open a regular file as `os.open` does, with the mode that it must have. Nothing is waited for.

    Raises `OSError`, also where something else, such as a pipe, is in its place.
    """
    folder = Path(path).parent
    if _is_of_another(folder):
        flags |= NO_LINK  # root goes nowhere that another user's link leads
    created = False
    try:
        descriptor = os.open(path, flags | os.O_EXCL | FILE, 0o600) if flags & os.O_CREAT else -1
        created = descriptor >= 0
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        descriptor = -1
    if not created:
        descriptor = os.open(path, flags | FILE, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NoRegularFileError(str(path), found.st_mode)
        if created or _is_ours(found, folder):
            settle(descriptor, folder, readers=readers)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def settle(descriptor: int, folder: Path, *, readers: Readers) -> None:
    """Give a file or folder of ours that lies in `folder` the owner, the group and the mode that it must have."""
    if sys.platform == "win32" or not HAS_OWNERS:
        return
    found, around = os.fstat(descriptor), folder.stat()
    owner = around.st_uid if user() == 0 else found.st_uid
    shared = bool(around.st_mode & stat.S_ISGID)
    group = around.st_gid if shared or owner != found.st_uid else found.st_gid
    if (owner, group) != (found.st_uid, found.st_gid):
        with suppress(PermissionError):  # not in that group: then it stays with the owner's own
            os.fchown(descriptor, owner, group)
    mode = _mode(readers, shared=shared, is_folder=stat.S_ISDIR(found.st_mode))
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)


def tighten(folder: Path, *, group: int | None = None) -> int:
    """Take from others what they may do with a folder of ours and all in it, and return how many entries that were.

    `group` is whose members may read what is made in it from now on. Entries of other users stay as they are.
    """
    changed = 0
    if sys.platform == "win32" or not HAS_OWNERS:
        return changed
    for path, found in _entries(folder):
        if found.st_uid != user() or not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            continue
        before = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            mode = 0o700 if group is None else 0o2750
        else:
            mode = before & (0o700 if group is None else 0o750)
        joins = -1 if group is None or not stat.S_ISDIR(found.st_mode) else group
        if mode == before and joins in (-1, found.st_gid):
            continue
        changed += bool(before & ~mode & 0o077)
        with suppress(OSError):  # gone meanwhile, or on a disk that is read-only: `nightdesk check` says of it
            # By its path: to open and close a database of this process would free the locks that SQLite holds on it.
            os.chown(path, -1, joins, follow_symlinks=False)
            path.chmod(mode)
    return changed


def tighten_outermost(folder: Path, *, group: int | None = None) -> None:
    """Take from others what they may change in a folder that may hold more than what is ours, and let `group` enter."""
    if sys.platform == "win32" or not HAS_OWNERS:
        return
    with suppress(OSError):
        found = folder.lstat()
        if found.st_uid == user() and stat.S_ISDIR(found.st_mode):
            os.chown(folder, -1, -1 if group is None else group, follow_symlinks=False)
            folder.chmod(found.st_mode & 0o755 | (0 if group is None else 0o2050))


def file_mode(folder: Path, *, readers: Readers = "group") -> int:
    """Return the mode of a file that is made in a folder."""
    return _mode(readers, shared=bool(folder.stat().st_mode & stat.S_ISGID), is_folder=False)


def group_of(folder: Path) -> int | None:
    """Return the group that a folder is set up for, `None` for none."""
    found = folder.stat()
    return found.st_gid if found.st_mode & stat.S_ISGID else None


def _mode(readers: Readers, *, shared: bool, is_folder: bool) -> int:
    if readers == "all":
        return 0o755 if is_folder else 0o644
    if readers == "group" and shared:
        return 0o2750 if is_folder else 0o640
    return 0o700 if is_folder else 0o600


def _is_ours(found: os.stat_result, folder: Path) -> bool:
    """Return whether a file that was there is ours to set the mode of. In the folder of another, root changes none."""
    return found.st_uid == user() and not _is_of_another(folder)


def _is_of_another(folder: Path) -> bool:
    return user() == 0 and folder.stat().st_uid != 0


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the folder and then all in it, each as it is itself and not what it links to."""
    with suppress(OSError):
        found = folder.lstat()
        yield folder, found
        if stat.S_ISDIR(found.st_mode):
            for path in sorted(folder.iterdir()):
                yield from _entries(path)
