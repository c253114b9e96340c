"""Files from outside, read safely: whatever lies at a path, reading it ends, and ends soon.

Every state file, setting, bundle and secret is read here. A file is opened without blocking, must be a regular one and
is bounded in size: a FIFO or a device in its place would freeze the bot, and an endless one fill its memory.
`json_text` and `yaml_text` do the same for what is written in them.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import is_unwritable
from nightdesk_core.files.permissions import NoRegularFileError, open_file
from nightdesk_core.files.system import FILE, NO_TERMINAL

LARGEST_BYTES = 16_000_000
"""Of a file that is read at once, where its reader names no other bound."""
LONGEST_LINE_BYTES = 1_000_000
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class InputError(NightdeskError):
    """What came from outside cannot be used: `source` is the file, setting or sender, `reason` says what is wrong."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{source}: {reason}")


class MissingInputError(InputError):
    """There is no such file, nor a symbolic link of its name."""


def read_bytes(path: Path, *, largest: int = LARGEST_BYTES) -> bytes:
    """Return what a regular file of at most `largest` bytes holds. Raises `MissingInputError`, `InputError`."""
    with _failures_of(path), open_to_read(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise InputError(str(path), f"holds more than {largest:,} bytes, and is not what belongs there: look at it")
    return content


def read_text(path: Path, *, largest: int = LARGEST_BYTES) -> str:
    """Return the UTF-8 text of a regular file. Raises `MissingInputError`, `InputError`."""
    return as_text(read_bytes(path, largest=largest), source=str(path))


def as_text(content: bytes, *, source: str) -> str:
    """Return UTF-8 as text. Raises `InputError`."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(source, f"is not UTF-8 (byte {error.start})") from None


def read_start(path: Path, count: int) -> bytes:
    """Return up to `count` bytes of a regular file's beginning. Raises `MissingInputError`, `InputError`."""
    with _failures_of(path), open_to_read(path) as file:
        return file.read(count)


def read_lines(path: Path, *, longest: int = LONGEST_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines of a regular file of any length, each with its newline; a torn last one has none.

    Raises `MissingInputError`, and `InputError` where a line has more than `longest` bytes.
    """
    with _failures_of(path), open_to_read(path) as file:
        number = 0
        while line := file.readline(longest + 1):
            number += 1
            if len(line) > longest:
                raise InputError(str(path), f"line {number} has more than {longest:,} bytes: look at it")
            yield line


def read_packed(path: Path, *, largest: int = LARGEST_BYTES) -> bytes:
    """Return what a regular file that gzip has packed holds, at most `largest` bytes of it, once its sum was checked.

    Raises `MissingInputError`, and `InputError` also where it is damaged.
    """
    with open_to_read(path) as file, gzip.GzipFile(fileobj=file) as unpacked:
        try:
            if not file.peek(1):
                raise EOFError("it is empty")  # gzip takes that for nothing, packed
            content = unpacked.read(largest + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(str(path), f"is damaged ({error}); move it away to read the rest") from error
    if len(content) > largest:
        raise InputError(str(path), f"holds more than {largest:,} bytes, and is not what belongs there: look at it")
    return content


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file of any size, in hexadecimal. Raises `MissingInputError`, `InputError`."""
    with _failures_of(path), open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_to_read(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for the block. Raises `MissingInputError`, `InputError`; `OSError` where reading fails."""
    with _failures_of(path):
        descriptor = _opened(path)
    with os.fdopen(descriptor, "rb") as file:
        yield file


@contextmanager
def open_to_append(path: Path) -> Iterator[BufferedRandom]:
    """Open a regular file, created where it is absent, to write at its end and to read. Raises `InputError`, `OSError`.

    What the disk does not take, to open it or while it is written, is an `OSError`: nothing that came from outside.
    """
    try:
        with _failures_of(path):
            descriptor = open_file(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | NO_TERMINAL)
    except InputError as error:
        if isinstance(error.__cause__, OSError) and is_unwritable(error.__cause__):
            raise error.__cause__ from None
        raise
    with os.fdopen(descriptor, "a+b") as file:
        yield file


def _opened(path: Path) -> int:
    """Return the descriptor of a regular file to read. Nothing is waited for: a FIFO would wait for its other end."""
    descriptor = os.open(path, os.O_RDONLY | FILE | NO_TERMINAL)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NoRegularFileError(str(path), mode)
    return descriptor


@contextmanager
def _failures_of(path: Path) -> Iterator[None]:
    """Turn whatever the system says of a path into one type of error."""
    try:
        yield
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(str(path), "is a symbolic link to something that is not there; move it away") from None
        # It may be there by now: who writes one at this very moment has not made it a bad one.
        raise MissingInputError(str(path), "cannot be read (No such file or directory)") from None
    except NoRegularFileError as error:
        raise InputError(str(path), _no_file(_KINDS.get(stat.S_IFMT(error.mode), "something else"))) from None
    except OSError as error:
        kind = {errno.EISDIR: "a folder", errno.ENXIO: "a socket"}.get(error.errno or 0)
        raise InputError(str(path), _no_file(kind) if kind else f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        # A NUL, or what no file name can be encoded from.
        raise InputError(repr(str(path)), f"is no path ({error})") from None


def _no_file(kind: str) -> str:
    return f"is {kind} where a file must be; move it away"
