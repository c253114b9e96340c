"""What the disk takes of a journal is on the disk; what it does not take goes on in memory until it does.

A disk that is full, read-only or failing, or that another process holds the journal on, ends no transaction: a copy of
the journal in memory takes its place for whoever reads and writes, and the writes are kept beside it, of each row the
last. Once the disk takes them they are written all in one transaction. That copy is kept up all the time: a disk that
fails may not be read either, and who holds a journal may keep it from its readers for as long.
"""

from __future__ import annotations

import errno
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from nightdesk_core.files.disk import is_unwritable, reason_of
from nightdesk_core.journal.file import (
    OPENING_SECONDS,
    HeadFile,
    JournalError,
    copy_of_file,
    folder_of,
    holds_anything,
    identity,
    named_errors,
    open_file,
    refuse_no_file,
    write_anew,
)
from nightdesk_core.journal.sealed import Head, Schema, SealedDatabase, SealError, Write, copied

T = TypeVar("T")

_PATIENCE_SECONDS = 1.0
"""How long a transaction waits for another process before it goes on in memory."""
_LONG_TRY_SECONDS = 0.5
_PAUSE_OF_LONG_TRIES = 10
"""How many times as long as a long try has taken nothing is tried again: SQLite waits 10 s for some locks of its log,
whatever patience it was given, and the bot with it."""
_GONE_SECONDS = 60.0
"""How long a journal must have been gone before it is written anew: who moved it may put it back."""


class JournalDatabase:
    """The rows of a journal, of one schema. All of it belongs to one thread."""

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        copy: SealedDatabase | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or create the journal; or read a `copy` of it, to which nothing of what is written is of any account.

        One whose disk takes nothing at present is read all the same. Raises `DamagedJournalError` where it is damaged,
        `JournalError` where it cannot be read, or is of another version.
        """
        self.path = path
        # SQLite's connections must not be carried over a fork: two processes would write with one's locks.
        self._owner = os.getpid()
        self._schema = schema
        self._head_file = HeadFile(path)
        self._disk: SealedDatabase | None = copy
        self._memory: SealedDatabase | None = None
        """All that the disk holds, in which the journal goes on while that takes nothing; `None` of a copy."""
        self._possible: set[Head] = set()
        """Where the disk may stand: as it was when that was made, or after a commit that failed. A log holds what could
        not be synced, and shows it once it is opened anew. All of these lead to the same rows with what is unwritten.
        """
        self._unwritten: dict[tuple[str, Any], Write] = {}
        """What the copy holds beyond the disk: of each row the last write, for they are written all together."""
        self._reason: str | None = None
        """Why it goes on in memory, `None` where it does not."""
        self._writes: list[Write] = []
        """Those of the transaction that is open."""
        self._monotonic = monotonic
        self._next_try = -math.inf
        self._gone_since: float | None = None
        """When, by `monotonic`, it was first seen to be gone from its folder, which itself is there."""
        self._folder = folder_of(path)
        self._files: object = None
        """Which files the disk's are: what is written to one that was moved away is lost with the next start."""
        if copy is not None:
            return
        refuse_no_file(path)
        with named_errors(path, doing="opened"):
            try:
                self._disk = open_file(path, self._schema, patience_seconds=OPENING_SECONDS)
                self._memory = SealedDatabase(copied(self._disk.connection), self._schema)
                self._files = identity(path)
                self._folder = folder_of(path)
                self._disk.connection.execute(f"PRAGMA busy_timeout={int(_PATIENCE_SECONDS * 1000)}")
            except (sqlite3.Error, OSError) as error:
                if not is_unwritable(error) or not holds_anything(path):
                    raise
                self._memory = copy_of_file(path, self._schema)
                self._go_on_in_memory(error)

    @property
    def unwritten(self) -> str | None:
        """Why what is written is in memory only, `None` where the disk has it all."""
        return self._reason

    @property
    def was_unsealed(self) -> bool:
        """Whether it was of the release before, and what it held was taken as it was when it was opened."""
        return self._database.was_unsealed

    def close(self) -> None:
        """Close the database. What the disk still does not take is lost, and said to be.

        In a child of the process that opened it, nothing is done, nor where it is closed already.
        """
        if os.getpid() != self._owner or (self._disk is None and self._memory is None):
            return
        self._next_try = -math.inf
        if not self.write_again():
            logger.critical(
                "journal {}: what was done since its disk took nothing ({}) is not in it; a bot that starts again does"
                " it again from the candles",
                self.path,
                self._reason,
            )
        for database in (self._disk, self._memory):
            if database is not None:
                database.connection.close()
        self._disk = self._memory = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything in the block together, or nothing of it.

        What the disk does not take stays in memory, in order, and `unwritten` says why. Raises `JournalError` where it
        is damaged, or can be neither written nor read.
        """
        if self.in_transaction:
            raise RuntimeError("a transaction of the journal is open already")
        self.write_again()
        self._writes = []
        try:
            with named_errors(self.path, doing="written"):
                self._attempt(lambda database: None)
            yield
            with named_errors(self.path, doing="written"):
                self._commit()
        except BaseException:
            self._database.rollback()
            raise

    def write_again(self) -> bool:
        """Write what is in memory only, where the disk takes it now; return whether it has it all. Waits for nobody.

        Where a try has taken long it is not repeated for a while. A journal that is gone for a minute, and its folder
        not, is written anew. Raises `DamagedJournalError` where the disk does not hold what the memory went on from.
        """
        if self._reason is None and not self._was_moved:
            return True
        if self.in_transaction or self._monotonic() < self._next_try:
            return False
        begun = self._monotonic()
        with named_errors(self.path, doing="written"):
            if self._reason is None:
                self._database.connection.close()
                self._disk = None
                self._go_on_in_memory(OSError(errno.ESTALE, "it was moved, removed or replaced while it was open"))
            try:
                self._write_unwritten()
            except (sqlite3.Error, OSError) as error:
                if not is_unwritable(error):
                    raise
                self._reason = reason_of(error)
                took = self._monotonic() - begun
                self._next_try = begun + took + (_PAUSE_OF_LONG_TRIES * took if took > _LONG_TRY_SECONDS else 0.0)
                return False
        logger.info("journal {}: it can be written again, and holds all that was done meanwhile", self.path)
        self._reason = None
        self._unwritten.clear()
        self._possible.clear()
        return True

    @property
    def in_transaction(self) -> bool:
        """Whether a `transaction` is open."""
        return self._database.in_transaction

    @property
    def _was_moved(self) -> bool:
        return self._memory is not None and not self.in_transaction and self._files != identity(self.path)

    @property
    def _database(self) -> SealedDatabase:
        if os.getpid() != self._owner:
            reason = "was opened by the process that this one was forked from; open it anew in this process"
            raise JournalError(self.path, reason)
        database = self._disk if self._reason is None else self._memory
        if database is None:
            raise JournalError(self.path, "is closed")
        return database

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._database.connection

    def _write(self, table: str, key: Any, values: tuple[Any, ...] | None) -> None:
        """Put or remove a row; one that no transaction is open for has one of its own."""
        if not self.in_transaction:
            with self.transaction():
                self._write(table, key, values)
            return
        write = Write(table, key, values)
        with named_errors(self.path, doing="written"):
            self._attempt(lambda database: database.write(write))
        self._writes.append(write)

    def _append(self, table: str, values: tuple[Any, ...]) -> None:
        if not self.in_transaction:
            with self.transaction():
                self._append(table, values)
            return
        with named_errors(self.path):
            key = self._attempt(lambda database: database.next_key(table))
        self._write(table, key, values)

    def _attempt(self, step: Callable[[SealedDatabase], T], *, begins: bool = True) -> T:
        """Take a step of the transaction, which `begins` with the first; in memory where the disk does not take it."""
        database = self._database
        within = begins or database.in_transaction
        try:
            if within and not database.in_transaction:
                database.begin()
            return step(database)
        except sqlite3.Error as error:
            if self._memory is None or self._reason is not None or not is_unwritable(error):
                raise
            self._leave(database, error)
            self._go_on_in_memory(error)
        if within:
            self._carry_out(self._database)
        return step(self._database)

    def _carry_out(self, database: SealedDatabase) -> None:
        database.begin()
        for write in self._writes:
            database.write(write)

    def _commit(self) -> None:
        head = self._attempt(lambda database: database.commit())
        if self._reason is not None:
            self._unwritten |= {(write.table, write.key): write for write in self._writes}
        elif head is not None and self._memory is not None:
            self._head_file.note(head)
            if not self._memory.follow(self._database, self._writes):
                # Something else of ours has written, too.
                self._copy(self._database)

    def _copy(self, disk: SealedDatabase) -> None:
        copy = SealedDatabase(copied(disk.connection), self._schema)
        if self._memory is not None:
            self._memory.connection.close()
        self._memory = copy

    def _go_on_in_memory(self, error: Exception) -> None:
        self._reason = reason_of(error)
        self._possible.add(self._database.head)
        logger.critical(
            "journal {}: cannot be written ({}). Nothing is entered, and open positions are looked after, from memory,"
            " until it can; make room, or see what else uses it",
            self.path,
            self._reason,
        )

    def _write_unwritten(self) -> None:
        disk = self._disk
        if disk is not None and self._files != identity(self.path):
            # What is written to a file that nobody finds any more is lost.
            disk.connection.close()
            self._disk = disk = None
        if disk is None:
            self._write_anew_once_it_is_gone()
            disk = open_file(self.path, self._schema, patience_seconds=0.0, new=False)
        disk.connection.execute("PRAGMA busy_timeout=0")
        try:
            disk.begin()
            if disk.head not in self._possible:
                raise SealError("something else has written to it while it could not be written")
            for write in self._unwritten.values():
                disk.write(write)
            head = disk.commit()
            # One transaction here is several in memory.
            self._copy(disk)
            self._files = identity(self.path)
        except BaseException as error:
            self._disk = disk
            self._leave(disk, error)
            raise
        if head is not None:
            self._head_file.note(head)
        disk.connection.execute(f"PRAGMA busy_timeout={int(_PATIENCE_SECONDS * 1000)}")
        self._disk = disk

    def _write_anew_once_it_is_gone(self) -> None:
        """Write the journal from its copy in memory where it was deleted for good, and its folder was not."""
        if self._memory is None or self.path.exists() or self._folder != folder_of(self.path):
            self._gone_since = None
            return
        now = self._monotonic()
        self._gone_since = now if self._gone_since is None else self._gone_since
        if now - self._gone_since < _GONE_SECONDS:
            return
        write_anew(self.path, self._memory)
        self._possible.add(self._memory.head)
        logger.critical(
            "journal {}: it was gone for {:.0f} s, and is written anew with all that it held. Do not put the old one"
            " back: it is older than this, and the bot would end; find out what removed it",
            self.path,
            now - self._gone_since,
        )
        self._gone_since = None

    def _leave(self, disk: SealedDatabase, error: BaseException) -> None:
        """Leave a disk that has failed as it stands, and one that would go on failing for the next try to open anew."""
        if disk.tried is not None:
            self._possible.add(disk.tried)
        try:
            disk.rollback()
        except sqlite3.Error as another:
            error = another
        if _is_stale(error):
            disk.connection.close()
            self._disk = None

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with named_errors(self.path):
            return self._attempt(lambda database: database.connection.execute(query, values).fetchall(), begins=False)


def _is_stale(error: BaseException) -> bool:
    """Return whether a connection that failed may go on failing whatever becomes of the disk."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
