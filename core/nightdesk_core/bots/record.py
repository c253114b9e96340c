"""What an exporter or a guard says of itself in the folder of bots, and reading it again.

A record stays when its writer has ended: a bot that is stopped can still be named, and killed before it starts again.
Whether it lives is told by a lock beside it, which the kernel frees when its holder dies; a process number says
nothing, as another container has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.durable import is_locked
from nightdesk_core.files.reader import InputError
from nightdesk_core.files.system import user

_LARGEST_BYTES = 20_000
_SUFFIX = ".json"


@dataclass(frozen=True, kw_only=True)
class BotRecord:
    """One part of a bot: its exporter, or its guard. Paths are absolute, and empty where there is none."""

    name: str
    part: Literal["exporter", "guard"]
    pid: int
    started_at: WallTime
    ended_at: WallTime | None = None
    """`None` while it runs, and where it was killed."""
    url: str = ""
    """Where an exporter serves."""
    status_file: str = ""
    state_dir: str = ""
    """The guard's state folder."""
    state_dir_from_here: str = ""
    """The same, relative to the folder of records: both may lie on a volume that is mounted elsewhere."""
    state_id: str = ""
    """What the state folder is told apart by from another at the same path."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it. Without pydantic, which a bot's start need not load for this."""
        moments = {"started_at": self.started_at.seconds, "ended_at": self.ended_at and self.ended_at.seconds}
        return vars(self) | moments


@dataclass(frozen=True)
class FoundRecord:
    """A record as it lies on the disk."""

    path: Path
    record: BotRecord | None
    problem: str = ""
    """Why it is not gone by, empty where it is."""
    alive: bool = False
    """Whether its writer runs on this machine."""


class RecordError(NightdeskError):
    """The folder of bots cannot be looked into."""


def lock_of(path: Path) -> Path:
    """Return the lock that the writer of a record holds while it runs."""
    return path.with_suffix(".lock")


def found_records(folder: Path) -> Iterator[FoundRecord]:
    """Yield every record of a folder, by name of its file; none where there is no such folder.

    One that is damaged, or belongs to another user, is not gone by: it could lead a kill, or root, astray. Raises
    `RecordError` where the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX and not path.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordError(f"the records of bots in {folder} cannot be read ({error.strerror})") from error
    for path in paths:
        yield _found(path)


def _found(path: Path) -> FoundRecord:
    from nightdesk_core.files import stored

    try:
        owner, we = path.lstat().st_uid, user()
        # What root makes belongs to the owner of the folder that it is made in.
        if we is not None and owner not in {we, path.parent.stat().st_uid if we == 0 else we}:
            return FoundRecord(path, None, f"belongs to another user (uid {owner})")
        record = stored.read(BotRecord, path, largest=_LARGEST_BYTES)
        return FoundRecord(path, record, alive=is_locked(lock_of(path)))
    except InputError as error:
        return FoundRecord(path, None, error.reason)
    except OSError as error:  # gone since the folder was listed, or its lock cannot be opened
        return FoundRecord(path, None, error.strerror or str(error))
