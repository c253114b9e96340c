"""Where a guard of its own keeps what it must not forget: a file in the state folder, or the bot's journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import write_json_atomic
from nightdesk_core.journal import Journal

FILE_NAME = "guard.json"
_KEY = "own guard"


class GuardError(NightdeskError):
    """The guard was called wrongly, or what it remembers cannot be read; the message says which."""


class Memory:
    """One guard's memory. With a journal it is committed with whatever else its transaction holds."""

    def __init__(self, state_dir: Path, journal: Journal | None) -> None:
        self._path = state_dir / FILE_NAME
        self._journal = journal

    @property
    def path(self) -> Path:
        """The file that it lies in."""
        return self._path if self._journal is None else self._journal.path

    def save(self, memory: Mapping[str, Any]) -> None:
        """Replace what is remembered. Raises `OSError` or `sqlite3.Error` where the disk does not take it."""
        if self._journal is None:
            write_json_atomic(self._path, memory)
        else:
            self._journal.save(_KEY, memory)

    def load(self) -> dict[str, Any] | None:
        """Return what was saved last, `None` for a new bot.

        Raises `GuardError` where it is damaged, for a journal `DamagedJournalError`.
        """
        if self._journal is not None:
            return self._journal.load(_KEY)
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self.damaged(error) from error
        if not isinstance(stored, dict):
            raise self.damaged("it is no object")
        return stored

    def damaged(self, what: object) -> GuardError:
        """Return the error for a memory that is not one: to trade on without it would forget a pause."""
        return GuardError(f"{self.path} holds no guard's memory ({what}): find out why, and set it aside")
