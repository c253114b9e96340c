"""The audit log: append-only JSON lines in which each line carries the hash of the one before.

It shows that a line was edited, removed or reordered. A tail that was cut shows only against an anchor: the head's
hash and the length, which the status file and a metric repeat.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightdesk_core import stored
from nightdesk_core.clock import WallClock, iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import locked, sync_folder
from nightdesk_core.permissions import append_to
from nightdesk_core.stored import StoredError

GENESIS = "0" * 64
_LOCK_SECONDS = 10.0


class AuditError(NightdeskError):
    """The chain is broken: `line` is the first line (from 1) that does not follow from those before it."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(f"{path}, line {line}: {reason}")


@dataclass(frozen=True)
class AuditHead:
    """Where the chain stands: `length` entries, the last of which hashes to `digest`."""

    length: int
    digest: str


@dataclass(frozen=True)
class AuditEntry:
    """One line of the log."""

    actor: str
    details: Mapping[str, Any]
    event: str
    """A short verb such as `promoted`."""
    previous: str
    """The SHA-256 of the line before it, `GENESIS` for the first."""
    seq: int
    """Its number, from 1."""
    time: str
    """Wall time as `iso` writes it."""


class AuditLog:
    """Appends to and reads one audit log. Bot, job and command line share it under one lock."""

    def __init__(self, path: Path, *, clock: WallClock = system_clock) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._clock = clock

    def append(self, event: str, details: Mapping[str, Any], *, actor: str) -> AuditHead:
        """Append one entry durably and return the new head.

        `event` is a short verb such as `promoted`; `details` must be JSON. A torn last line, left by a crash, is set
        aside in `<name>.torn` and recorded. Raises `AuditError` where the chain is broken, and `LockTimeoutError`
        after 10 s.
        """
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            torn = self._set_torn_line_aside()
            head = self.head()
            if torn:
                head = self._write(head, "torn_line_set_aside", {"bytes": torn}, actor=actor)
            return self._write(head, event, details, actor=actor)

    def entries(self) -> Iterator[AuditEntry]:
        """Yield every complete entry, oldest first, unverified. Raises `AuditError` at a line that is none."""
        for number, line in enumerate(self._complete_lines(), start=1):
            yield self._entry(number, line)

    def head(self) -> AuditHead:
        """Return where the chain stands by its last line, unverified. Raises `AuditError` where that is no entry."""
        last = b""
        length = 0
        for line in self._complete_lines():
            last = line
            length += 1
        if length == 0:
            return AuditHead(0, GENESIS)
        return AuditHead(self._entry(length, last).seq, hashlib.sha256(last).hexdigest())

    def verify(self, anchors: Iterable[AuditHead] = ()) -> AuditHead:
        """Return the head of an intact chain that holds every anchor, a head that was noted earlier elsewhere.

        Raises `AuditError` naming the first line that does not follow, or that is not what an anchor says.
        """
        previous = GENESIS
        length = 0
        noted = {anchor.length: anchor.digest for anchor in anchors if anchor.length > 0}
        for length, line in enumerate(self._complete_lines(), start=1):
            entry = self._entry(length, line, advice="")
            if entry.seq != length:
                raise AuditError(self.path, length, f"says it is entry {entry.seq}: a line was removed or moved")
            if entry.previous != previous:
                raise AuditError(self.path, length, "does not carry the hash of the line before it: one was edited")
            previous = hashlib.sha256(line).hexdigest()
            if noted.pop(length, previous) != previous:
                raise AuditError(self.path, length, "is not the line that was anchored: the log was rewritten")
        if noted:
            raise AuditError(
                self.path, length + 1, f"is missing: an anchor has seen {max(noted)} lines, and a tail was cut off"
            )
        return AuditHead(length, previous)

    def _entry(self, number: int, line: bytes, *, advice: str = "; run `nightdesk audit verify`") -> AuditEntry:
        try:
            return stored.from_json(AuditEntry, line, source="audit log")
        except StoredError as error:
            raise AuditError(self.path, number, f"is not an audit entry ({error.reason}){advice}") from None

    def _write(self, head: AuditHead, event: str, details: Mapping[str, Any], *, actor: str) -> AuditHead:
        entry = AuditEntry(actor, details, event, head.digest, head.length + 1, iso(self._clock()))
        line = json.dumps(stored.plain(entry), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        created = not self.path.exists()
        with append_to(self.path) as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if created:
            sync_folder(self.path.parent)
        return AuditHead(head.length + 1, hashlib.sha256(line).hexdigest())

    def _complete_lines(self) -> Iterator[bytes]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]

    def _set_torn_line_aside(self) -> int:
        """Move a last line without its newline to `<name>.torn`; return its length in bytes, 0 where there is none."""
        if not self.path.exists():
            return 0
        with self.path.open("r+b") as file:
            content = file.read()
            end = content.rfind(b"\n") + 1
            torn = content[end:]
            if not torn:
                return 0
            with append_to(self.path.with_name(self.path.name + ".torn")) as aside:
                aside.write(torn + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        return len(torn)
