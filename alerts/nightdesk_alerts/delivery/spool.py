"""What has not been delivered, on disk: it survives the bot's end, however that came."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.clock import WallClock
from nightdesk_core.files import LockTimeoutError, locked, set_aside, write_json_atomic

VERSION = 1
_LOCK_SECONDS = 2.0
_LARGEST_BYTES = 4_000_000


class Spool:
    """One file, of one running bot: a second one that names the same file goes on without. `clock` is wall time."""

    def __init__(self, path: Path, clock: WallClock) -> None:
        self._path = path
        self._clock = clock
        self._open = ExitStack()
        self._failing = False

    def open(self) -> list[Any]:
        """Take the file for as long as the bot runs, and return what it holds; a damaged one is set aside.

        Raises `OSError` or `LockTimeoutError` where it cannot be taken.
        """
        self._open.enter_context(
            locked(self._path.with_name(f".{self._path.name}.lock"), timeout_seconds=_LOCK_SECONDS)
        )
        try:
            if self._path.stat().st_size > _LARGEST_BYTES:
                raise ValueError("it is too large to be a spool")
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["version"] != VERSION or not isinstance(document["alerts"], list):
                raise ValueError("it is not a spool of this version")
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.set_aside(type(error).__name__)
            return []
        found: list[Any] = document["alerts"]
        return found

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
            if not self._failing:
                reason = error.strerror if isinstance(error, OSError) else type(error).__name__
                logger.error("alerts: {} cannot be written ({}); alerts go on in memory", self._path, reason)
            self._failing = True
            return False
        if self._failing:
            logger.info("alerts: {} can be written again", self._path)
        self._failing = False
        return True

    def close(self) -> None:
        """Let another bot have the file."""
        self._open.close()


def open_spool(path: Path, clock: WallClock) -> tuple[Spool | None, list[Any]]:
    """Return the spool and what it holds; no spool where the file cannot be used, which is logged."""
    spool = Spool(path, clock)
    try:
        return spool, spool.open()
    except LockTimeoutError:
        logger.error("alerts: {} is another bot's; alerts are kept in memory only", path)
    except OSError as error:
        logger.error("alerts: {} cannot be used ({}); alerts are kept in memory only", path, error.strerror)
    spool.close()
    return None, []
