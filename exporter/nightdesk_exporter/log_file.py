"""A file of log lines that several processes write to: it rotates without a line lost, and no write waits or raises."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from nightdesk_core.files.permissions import make_folder, open_file
from nightdesk_core.files.system import release_lock, take_lock


class LogFile:
    """A sink for loguru. `path` is set aside, with the time in its name, before it grows beyond `rotate_bytes`.

    `keep_files` of those set aside are kept. A line is one write at the file's end, which the kernel does not mix with
    another process's. What cannot be written whole, as on a full disk, is not written at all; the first line that can
    be again is preceded by one that says how many are missing.
    """

    def __init__(self, path: Path, *, rotate_bytes: int, keep_files: int) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._descriptor: int | None = None
        self._lost = 0
        self._why = ""

    def write(self, text: str) -> None:
        """Append lines that end. Never raises for the file's sake."""
        content = text.encode("utf-8", errors="replace")
        try:
            if self._lost:
                content = self._loss() + content
            self._append(self._opened(room_for=len(content)), content)
            self._lost = 0
        except OSError as error:
            self._lost += 1
            self._why = os.strerror(error.errno) if error.errno else type(error).__name__

    def stop(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _loss(self) -> bytes:
        line = {
            "at": datetime.now(UTC).isoformat(),
            "level": "error",
            "message": f"{self._lost} lines are missing here: they could not be written ({self._why})",
            "where": f"{__name__}:0",
        }
        return json.dumps(line).encode() + b"\n"

    def _opened(self, *, room_for: int) -> int:
        """Return the file that the path names now: another process may have set the last one aside."""
        if self._descriptor is not None and not self._is_current(self._descriptor):
            self.stop()
        if self._descriptor is None:
            self._descriptor = self._open()
        size = os.fstat(self._descriptor).st_size
        if size and size + room_for > self._rotate_bytes and self._set_aside(self._descriptor):
            self.stop()
            self._descriptor = self._open()
        return self._descriptor

    def _open(self) -> int:
        make_folder(self._path.parent)
        return open_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _is_current(self, descriptor: int) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    def _set_aside(self, descriptor: int) -> bool:
        """Rename the file unless another process is about to; return whether it was, by whomever."""
        beside = self._path.with_name(f".{self._path.name}.lock")
        lock = open_file(beside, os.O_RDWR | os.O_CREAT, readers="owner")
        try:
            if not take_lock(lock, beside):
                return False  # a few lines more than it should have
            if self._is_current(descriptor):
                now = datetime.now(UTC)
                self._path.rename(self._path.with_suffix(f".{now:%Y-%m-%d_%H-%M-%S_%f}{self._path.suffix}"))
                self._forget_old()
            release_lock(lock)
        finally:
            os.close(lock)
        return True

    def _forget_old(self) -> None:
        aside = []
        for file in self._path.parent.glob(f"{self._path.stem}.*{self._path.suffix}"):
            with suppress(OSError):
                aside.append((file.stat().st_mtime_ns, file))
        for _, file in sorted(aside)[: -self._keep_files]:
            with suppress(OSError):
                file.unlink()

    def _append(self, descriptor: int, content: bytes) -> None:
        written = os.write(descriptor, content)
        if written == len(content):
            return
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        if os.fstat(descriptor).st_size == end:  # nobody has written behind it
            os.ftruncate(descriptor, end - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
