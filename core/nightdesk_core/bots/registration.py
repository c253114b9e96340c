"""A running exporter or guard in the folder of bots: a record, and a lock that is held beside it.

It costs a bot nothing that can fail: where the record cannot be written, that is said once, and the bot goes on.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from loguru import logger

from nightdesk_core.bots.folder import bots_folder
from nightdesk_core.bots.record import BotRecord, lock_of
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import LockTimeoutError, locked, write_json_atomic

KEPT_RECORDS = 50
"""Of parts that do not run any more; the oldest are forgotten first."""
_said: set[str] = set()
"""What this process has said already."""


@contextmanager
def registered(record: BotRecord, *, identity: str, clock: WallClock = system_clock) -> Iterator[None]:
    """Have a record in the folder of bots while the block runs, and marked as ended after it.

    `identity` is what makes the part the same after a restart: its record takes the place of the one before, unless
    that one's writer still runs. In a child that was forked within the block, nothing is marked.
    """
    with ExitStack() as stack:
        begun = _begun(record, identity, stack)
        try:
            yield
        finally:
            if begun is not None and os.getpid() == record.pid:
                path, written = begun
                with suppress(OSError):
                    write_json_atomic(path, replace(written, ended_at=clock()).plain(), readers="owner")


def _begun(record: BotRecord, identity: str, stack: ExitStack) -> tuple[Path, BotRecord] | None:
    """Write a record and hold its lock; return where it lies and what it holds, `None` where it cannot be written."""
    try:
        folder = bots_folder()
        path = _own_path(folder, record, identity, stack)
        if record.state_dir:
            record = replace(record, state_dir_from_here=_relative(record.state_dir, folder))
        write_json_atomic(path, record.plain(), readers="owner")
        _forget_oldest(folder)
    except OSError as error:
        stack.close()
        why = f"{error.filename or 'no folder'}: {reason_of(error)}"
        if why not in _said:
            _said.add(why)
            where = f"--bot {record.state_dir}" if record.state_dir else "--bot and its state folder"
            logger.warning(
                "{} is not listed among the bots of this machine ({}): nightdesk kill finds it by {} alone",
                record.name,
                why,
                where,
            )
        return None
    return path, record


def _own_path(folder: Path, record: BotRecord, identity: str, stack: ExitStack) -> Path:
    digest = hashlib.sha256(f"{record.part} {record.name} {identity}".encode(errors="replace")).hexdigest()[:16]
    for number in itertools.count(1):
        path = folder / f"{record.part}-{digest}{'' if number == 1 else f'-{number}'}.json"
        try:
            stack.enter_context(locked(lock_of(path), timeout_seconds=0))
        except LockTimeoutError:  # another such bot runs: both are listed
            continue
        return path
    raise AssertionError("numbers end nowhere")


def _relative(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return ""


def _forget_oldest(folder: Path) -> None:
    """Keep the folder small: remove records of parts that have ended, the oldest first."""
    ages = []
    for path in folder.glob("*.json"):
        with suppress(OSError):  # another bot's start removes it at this very moment
            ages.append((path.stat().st_mtime, path))
    for _, path in sorted(ages)[:-KEPT_RECORDS]:
        with suppress(OSError, LockTimeoutError), locked(lock_of(path), timeout_seconds=0):
            path.unlink()
            lock_of(path).unlink()
