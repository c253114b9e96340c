"""Disks that take nothing: full by a real limit of the kernel's, and a journal that another process really holds."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from loguru import logger

from tests.conftest import log_to_standard_error

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"BEGIN {sys.argv[2]}")
print("held", flush=True)
sys.stdin.read()
"""


class FullDisk:
    """No file of this process can take a byte while it is full: the kernel refuses each write (EFBIG)."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        # What the log is written to may be a file, too.
        logger.remove()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._limits[1]))

    def make_room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        log_to_standard_error()


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the disk be full for the block."""
    disk = FullDisk()
    disk.fill()
    try:
        yield
    finally:
        disk.make_room()


class SmallDisk:
    """A filesystem of its own in the memory, where the system lets us have one: it is truly full, or read-only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip("no filesystem may be mounted here")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self._folder], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        filler = self._folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            for size in (4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        yield
        filler.unlink()


@contextmanager
def held_by_another_process(journal: Path, *, how: str = "IMMEDIATE") -> Iterator[None]:
    """Have another process hold a journal for the block."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(journal), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("")
