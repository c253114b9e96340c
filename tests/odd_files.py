"""What can lie where a file should be, by name: each puts it at a path whose folder exists."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

Put = Callable[[Path], object]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where the block takes longer, also where it waits for the other end of a FIFO."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        # Its own name may be too long for a socket's address.
        descriptor = os.open(path.parent, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        os.close(descriptor)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _link_to_fifo(path: Path) -> None:
    pipe = path.with_name(path.name + ".pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe.name)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50_000_000)


NO_REGULAR_FILES: dict[str, Put] = {
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": _socket,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/ptmx"),
    "a loop of symbolic links": _loop,
    "a symbolic link to nothing": lambda path: path.symlink_to("nothing"),
    "a symbolic link to a FIFO": _link_to_fifo,
}
"""None of these can be read, and some would be waited for without end."""

BAD_CONTENT: dict[str, Put] = {
    "50 MB": _large,
    "100,000 brackets": lambda path: path.write_text("[" * 100_000),
    "100,000 brackets in a key": lambda path: path.write_text('{"schema_version":' * 100_000),
    "a number of 5,000 digits": lambda path: path.write_text('{"version": ' + "1" * 5_000 + "}"),
    "a number that is infinite": lambda path: path.write_text('{"version": 1e999}'),
    "NaN": lambda path: path.write_text("NaN"),
    "a key twice": lambda path: path.write_text('{"version": 1, "version": 2}'),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "half a character": lambda path: path.write_text('{"version": "\\ud800"}'),
    "nothing": Path.touch,
    "null": lambda path: path.write_text("null"),
    "a list": lambda path: path.write_text("[1, [2], {}]"),
    "a text": lambda path: path.write_text('"x"'),
}
"""Regular files that hold no state of ours."""

ODD_FILES = {**NO_REGULAR_FILES, **BAD_CONTENT}
