"""What has not been delivered, on disk: it survives the bot's end, however that came."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.clock import WallClock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import LockTimeoutError, locked, set_aside, write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, MissingInputError

VERSION = 1
_LOCK_SECONDS = 2.0
_LARGEST_BYTES = 4_000_000


class SpoolError(NightdeskError):
    """A spool that cannot be used for now, and why."""


class Spool:
    """One file, of one running bot: a second one that names it goes on without until it is free.

    `clock` is wall time.
    """

    def __init__(self, path: Path, clock: WallClock) -> None:
        self._path = path
        self._clock = clock
        self._open = ExitStack()
        self.problem = ""
        """Why it could not be written last; empty where it could."""

    def open(self) -> list[Any]:
        """Take the file for as long as the bot runs, and return what it holds; a damaged one is set aside.

        Raises `OSError` or `LockTimeoutError` where it cannot be taken.
        """
        self._open.enter_context(
            locked(self._path.with_name(f".{self._path.name}.lock"), timeout_seconds=_LOCK_SECONDS)
        )
        try:
            document = read_json(self._path, largest=_LARGEST_BYTES)
        except MissingInputError:
            return []
        except InputError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno not in (errno.EISDIR, errno.ENXIO):
                raise cause from None  # it may be whole: what cannot be read now, as with too many open files, waits
            self.set_aside(error.reason)
            return []
        match document:
            case {"version": int(version), "alerts": list(found)} if version == VERSION:
                return found
        self.set_aside("it is not a spool of this version")
        return []

    def set_aside(self, problem: str) -> None:
        """Rename the file, so that a person can look at it; the bot goes on with a new one."""
        try:
            damaged = set_aside(self._path, now=self._clock())
        except OSError as error:
            logger.error("alerts: {} is damaged ({}) and cannot be renamed ({})", self._path, problem, error.strerror)
            return
        logger.error("alerts: {} was damaged ({}); it is now {}", self._path, problem, damaged)

    def save(self, alerts: list[dict[str, Any]]) -> bool:
        """Keep `alerts`, readable by the bot's user only; return whether that worked. The first failure is logged."""
        try:
            write_json_atomic(self._path, {"version": VERSION, "alerts": alerts}, readers="owner")
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else type(error).__name__
            if not self.problem:
                logger.error("alerts: {} cannot be written ({}); alerts go on in memory", self._path, reason)
            self.problem = reason
            return False
        if self.problem:
            logger.info("alerts: {} can be written again", self._path)
        self.problem = ""
        return True

    def close(self) -> None:
        """Let another bot have the file."""
        self._open.close()


def open_spool(path: Path, clock: WallClock) -> tuple[Spool, list[Any]]:
    """Return the spool and what it holds. Raises `SpoolError` where it cannot be used for now."""
    spool = Spool(path, clock)
    try:
        return spool, spool.open()
    except LockTimeoutError:
        spool.close()
        raise SpoolError(f"{path} is another bot's") from None
    except OSError as error:
        spool.close()
        raise SpoolError(f"{path} cannot be used ({reason_of(error)})") from error
