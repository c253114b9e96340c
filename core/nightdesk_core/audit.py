"""The audit log: append-only JSON lines in which each line carries the hash of the one before.

It shows that a line was edited, removed or reordered. A tail that was cut, or a log that is gone, shows only against an
anchor: the head's hash and the length. One lies beside the log and is moved with each entry; the status file and a
metric have others. A log that lacks its anchor takes no entry until a person renews it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any

from nightdesk_core.clock import WallClock, iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.durable import locked, set_aside, sync_folder, write_json_atomic
from nightdesk_core.files.reader import InputError, MissingInputError, open_to_append, read_lines
from nightdesk_core.files.stored import StoredError

GENESIS = "0" * 64
_LOCK_SECONDS = 10.0
_RENEW = "; put the log back, or begin a new one with `nightdesk audit renew --reason ...`"
_BLOCK_BYTES = 65_536


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


_NOTHING = AuditHead(0, GENESIS)
RENEWED = "audit_log_renewed"
"""The event of the first entry of a log that a person began in the place of one that was lost."""


@dataclass(frozen=True)
class Renewal:
    """Details of a log's first entry where a person began it in the place of another."""

    reason: str
    found: str
    """What was wrong with the other."""
    kept_as: str | None
    """The name that the rest of it is kept under; `None` where nothing was left."""
    lost: tuple[AuditHead, ...]
    """The anchors that are lost with it."""


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

    def __init__(self, path: Path | str, *, clock: WallClock = system_clock) -> None:
        self.path = path = Path(path)
        self._lock_path = path.with_name(path.name + ".lock")
        self._anchor_path = path.with_name(path.name + ".anchor")
        self._clock = clock

    def append(self, event: str, details: Mapping[str, Any], *, actor: str) -> AuditHead:
        """Append one entry durably and return the new head.

        `event` is a short verb such as `promoted`; `details` must be JSON. A torn last line, left by a crash, is set
        aside in `<name>.torn` and recorded. Raises `AuditError` where the chain is broken or the log is not the one
        that was anchored, and `LockTimeoutError` after 10 s.
        """
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            self.refuse_loss()
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
            return _NOTHING
        return AuditHead(self._entry(length, last).seq, hashlib.sha256(last).hexdigest())

    @property
    def anchors(self) -> tuple[AuditHead, ...]:
        """The anchor beside the log; none where it is missing or no anchor: the next entry makes one."""
        try:
            return (stored.read(AuditHead, self._anchor_path),)
        except InputError:
            return ()

    def refuse_loss(self, anchors: Iterable[AuditHead] = ()) -> AuditHead:
        """Return the head of a log that holds its own anchor, and every one that was noted earlier elsewhere.

        Raises `AuditError` where it does not, and says what to do. The chain is not followed: see `verify`.
        """
        found = _NOTHING
        try:
            # The anchors first: an entry that comes meanwhile makes the log longer than they say.
            noted = self._noted((*self.anchors, *anchors))
            for length, line in enumerate(self._complete_lines(), start=1):
                found = AuditHead(length, hashlib.sha256(line).hexdigest())
                self._hold_against(noted, found)
            self._refuse_cut(noted, found.length)
        except AuditError as error:
            raise AuditError(self.path, error.line, f"{error.reason}{_RENEW}") from None
        return found

    def renew(self, reason: str, *, actor: str, anchors: Iterable[AuditHead] = ()) -> AuditHead:
        """Begin a new log in the place of one that lacks an anchor, and return its head.

        What is left of it, whatever it is, is kept beside it. The first entry says who did that and why, what was
        wrong, and which anchors are lost with it: they are no complaint any more. Raises `NightdeskError` without a
        reason, or where nothing is wrong; `OSError` and `LockTimeoutError`.
        """
        if not reason.strip():
            raise NightdeskError("a reason is needed: say why with --reason")
        known = tuple(anchors)
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            try:
                self.verify((*self.anchors, *known))
            except AuditError as error:
                lost = error
            else:
                raise NightdeskError(f"{self.path} holds all that was anchored: it goes on as it is")
            heads = sorted({*known, *self.anchors}, key=lambda head: head.length)
            aside = None
            if os.path.lexists(self.path):
                aside = set_aside(self.path, now=self._clock()).name
            renewal = Renewal(reason.strip(), f"line {lost.line} {lost.reason}", aside, tuple(heads))
            return self._write(_NOTHING, RENEWED, stored.plain(renewal), actor=actor)

    def verify(self, anchors: Iterable[AuditHead] = ()) -> AuditHead:
        """Return the head of an intact chain that holds every anchor, a head that was noted earlier elsewhere.

        Raises `AuditError` naming the first line that does not follow, or that is not what an anchor says.
        """
        previous = GENESIS
        length = 0
        noted = self._noted(anchors)
        for length, line in enumerate(self._complete_lines(), start=1):
            entry = self._entry(length, line, advice="")
            if entry.seq != length:
                raise AuditError(self.path, length, f"says it is entry {entry.seq}: a line was removed or moved")
            if entry.previous != previous:
                raise AuditError(self.path, length, "does not carry the hash of the line before it: one was edited")
            previous = hashlib.sha256(line).hexdigest()
            self._hold_against(noted, AuditHead(length, previous))
        self._refuse_cut(noted, length)
        return AuditHead(length, previous)

    def _noted(self, anchors: Iterable[AuditHead]) -> set[AuditHead]:
        """Return the anchors that the log must hold: none that was lost with one that a person has renewed."""
        noted = {*anchors}
        first = next(self.entries(), None) if noted else None
        if first is not None and first.event == RENEWED:
            noted -= {*stored.from_plain(Renewal, first.details, source="audit log").lost}
        return {anchor for anchor in noted if anchor.length > 0}

    def _hold_against(self, noted: set[AuditHead], found: AuditHead) -> None:
        if any(anchor.length == found.length and anchor.digest != found.digest for anchor in noted):
            raise AuditError(self.path, found.length, "is not the line that was anchored: the log was rewritten")

    def _refuse_cut(self, noted: set[AuditHead], length: int) -> None:
        longest = max((anchor.length for anchor in noted), default=0)
        if longest > length:
            what = "a tail was cut off" if length else "the log is gone"
            raise AuditError(self.path, length + 1, f"is missing: an anchor has seen {longest} lines, and {what}")

    def _entry(self, number: int, line: bytes, *, advice: str = "; run `nightdesk audit verify`") -> AuditEntry:
        try:
            return stored.from_json(AuditEntry, line, source="audit log")
        except StoredError as error:
            raise AuditError(self.path, number, f"is not an audit entry ({error.reason}){advice}") from None

    def _write(self, head: AuditHead, event: str, details: Mapping[str, Any], *, actor: str) -> AuditHead:
        entry = AuditEntry(actor, details, event, head.digest, head.length + 1, iso(self._clock()))
        line = json.dumps(stored.plain(entry), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        created = not self.path.exists()
        with self._opened() as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if created:
            sync_folder(self.path.parent)
        after = AuditHead(head.length + 1, hashlib.sha256(line).hexdigest())
        # After the entry: killed in between, the log holds more than its anchor, and never less. The entry is on the
        # disk, so an anchor that cannot be moved is no failure: the next one is.
        with suppress(OSError):
            write_json_atomic(self._anchor_path, stored.plain(after))
        return after

    @contextmanager
    def _opened(self) -> Iterator[BufferedRandom]:
        """Open the log to write at its end. Raises `AuditError` where it is no file."""
        try:
            with open_to_append(self.path) as file:
                yield file
        except InputError as error:
            raise AuditError(self.path, 1, error.reason) from error

    def _complete_lines(self) -> Iterator[bytes]:
        # A link may lead to what is no log of ours.
        if self.path.is_symlink():
            raise AuditError(self.path, 1, "is missing: a symbolic link lies in its place")
        complete = 0
        try:
            for line in read_lines(self.path):
                if line.endswith(b"\n"):
                    complete += 1
                    yield line[:-1]
        except MissingInputError:
            return
        except InputError as error:
            raise AuditError(self.path, complete + 1, error.reason) from error

    def _set_torn_line_aside(self) -> int:
        """Move a last line without its newline to `<name>.torn`; return its length in bytes, 0 where there is none."""
        if not self.path.exists():
            return 0
        with self._opened() as file:
            end = _end_of_complete_lines(file)
            file.seek(end)
            torn = file.read()
            if not torn:
                return 0
            with open_to_append(self.path.with_name(self.path.name + ".torn")) as aside:
                aside.write(torn + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        return len(torn)


def _end_of_complete_lines(file: BufferedRandom) -> int:
    """Return where the last newline ends; what follows was cut off by a crash. Read from the end: a log is long."""
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
