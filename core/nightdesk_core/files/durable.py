"""Files that are never half-written, names for damaged ones, and locks that a dead holder does not keep."""

from __future__ import annotations

import glob
import itertools
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nightdesk_core.clock import WallTime, iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.permissions import Readers, make_folder, open_file, settle
from nightdesk_core.files.reader import InputError, read_bytes
from nightdesk_core.files.system import FOLDER, HAS_OPEN_FOLDERS, release_lock, take_lock
from nightdesk_core.forks import tell_of_forks

HALF_WRITTEN_SECONDS = 3600.0
"""No writer takes so long."""
_POLL_SECONDS = 0.005
_held: set[int] = set()
"""Descriptors of the locks that this process holds."""
_DAMAGED = ".damaged-"
KEPT_ASIDE = 20
"""How many damaged ones of a file are kept."""


class LockTimeoutError(NightdeskError):
    """Another process held the lock for longer than the caller would wait."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self.path = path
        self.timeout_seconds = timeout_seconds
        super().__init__(f"{path} is still held by another process after {timeout_seconds:g} s")


def write_atomic(path: Path, content: bytes, *, readers: Readers = "group") -> None:
    """Replace `path` by `content` so that a reader sees the old file or the new one, also after a crash.

    The content is written beside the file, synced, renamed, and the folder synced. Parents are created.
    Raises `OSError` and leaves the old file where the disk is full or read-only.
    """
    make_folder(path.parent, readers=readers)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            settle(file.fileno(), path.parent, readers=readers)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json_atomic(path: Path, value: Any, *, readers: Readers = "group") -> None:
    """Replace `path` by `value` as indented JSON. NaN is refused with `ValueError`: it is not JSON."""
    write_atomic(path, indented_json(value), readers=readers)


def indented_json(value: Any, *, indent: int = 2) -> bytes:
    """Return JSON for people to read, keys sorted. Raises `ValueError` for NaN and what is infinite: it is no JSON."""
    return (json.dumps(value, indent=indent, sort_keys=True, allow_nan=False) + "\n").encode()


def set_aside(path: Path, *, now: WallTime, with_suffixes: tuple[str, ...] = ()) -> Path:
    """Move a damaged file out of the way to its `aside_path`, losing nothing, and return that.

    What lies beside it under its name and one of the suffixes, such as a database's log, goes first, so that a file
    that is still there was not wholly moved. Raises `OSError`.
    """
    aside = aside_path(path, now=now)
    for suffix in with_suffixes:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    _forget_oldest(path)
    return aside


def copy_aside(path: Path, *, now: WallTime) -> Path:
    """Keep a copy of a damaged file that is about to be replaced at its `aside_path`, and return that.

    Its content is kept once: killed before the file is replaced, the next one to come finds the copy. What cannot be
    copied, such as a FIFO, is moved there. Raises `OSError`.
    """
    try:
        content = read_bytes(path)
    except InputError:
        return set_aside(path, now=now)
    for kept in path.parent.glob(f"{glob.escape(path.name)}{_DAMAGED}*"):
        with suppress(InputError):
            if read_bytes(kept) == content:
                return kept
    aside = aside_path(path, now=now)
    write_atomic(aside, content)
    _forget_oldest(path)
    return aside


def _forget_oldest(path: Path) -> None:
    """Keep the newest damaged ones of a file: one that is damaged at every start must not fill the disk."""
    aside = re.compile(rf"{re.escape(path.name + _DAMAGED)}(\d[\dT-]*Z)(?:-(\d+))?(?:\D.*)?", re.DOTALL)
    found: dict[tuple[str, int], list[Path]] = {}
    for kept in path.parent.glob(f"{glob.escape(path.name)}{_DAMAGED}*"):
        if match := aside.fullmatch(kept.name):
            found.setdefault((match[1], int(match[2] or 1)), []).append(kept)
    for key in sorted(found)[:-KEPT_ASIDE]:
        for kept in found[key]:
            # What cannot be removed, or lies there as a folder, is left to a person.
            with suppress(OSError):
                kept.unlink()


def aside_path(path: Path, *, now: WallTime) -> Path:
    """Return the free path beside a damaged file that it is kept under.

    It is `<name>.damaged-<time>`, with `now`, wall time, as `2019-10-17T090000Z`; `-2` follows where that is taken.
    """
    name = f"{path.name}{_DAMAGED}{iso(now).replace(':', '')}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(aside for aside in map(path.with_name, names) if not os.path.lexists(aside))


def forget_half_written(folder: Path, *, now: WallTime) -> None:
    """Remove what writers that were killed amid `write_atomic` have left, once it is `HALF_WRITTEN_SECONDS` old."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if now.seconds - part.stat().st_mtime > HALF_WRITTEN_SECONDS:
                part.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename is only on disk once its folder is."""
    if not HAS_OPEN_FOLDERS:
        return
    descriptor = os.open(folder, os.O_RDONLY | FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold an exclusive lock on `path` for the block; the kernel frees it where the holder dies.

    It is the owner's alone: whoever can read a file can hold a lock on it. And it is this process's alone: a child that
    is forked within the block does not hold it, nor does it keep it held once this process has ended. Raises
    `LockTimeoutError` where it is not free within `timeout_seconds` (0: try once), `OSError` where it cannot be opened.
    """
    make_folder(path.parent)
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT, readers="owner")
    _held.add(descriptor)
    try:
        deadline = time.monotonic() + timeout_seconds
        while not take_lock(descriptor, path):
            if time.monotonic() >= deadline:
                raise LockTimeoutError(path, timeout_seconds)
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        if descriptor in _held:  # not in a child, where the number may be that of another file by now
            _held.remove(descriptor)
            release_lock(descriptor)
            os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock `path`. Raises `OSError` where it cannot be looked at.

    The look takes the lock itself for a moment, and never waits: whoever must get it allows for that moment.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY, readers="owner")
    except FileNotFoundError:
        return False
    try:
        free = take_lock(descriptor, path, shared=True)
        if free:
            release_lock(descriptor)
    finally:
        os.close(descriptor)
    return not free


class _Locks:
    """The locks of this process, as far as forks go: a copy of a descriptor holds a lock for as long as it is open."""

    def forked(self) -> None:
        for descriptor in _held:
            with suppress(OSError):  # another thread closed it at this very moment
                os.close(descriptor)
        _held.clear()


_locks = _Locks()
tell_of_forks(_locks)
