"""The file that a journal lies in: opened, checked, brought up to date, and read where nothing can be written.

Beside it lies where it stood after its last transaction, written without a sync: SQLite passes over the end of a log
that is damaged or cut off, and what is then left is whole, and older.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import permissions
from nightdesk_core.files.disk import is_unwritable
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.reader import InputError, MissingInputError, open_to_read, read_start
from nightdesk_core.files.system import write_at
from nightdesk_core.journal.sealed import Head, Schema, SealedDatabase, SealError, copied

HEAD_SUFFIX = "-head"
BESIDE = ("-wal", "-shm", HEAD_SUFFIX)
"""Suffixes of the files that are kept beside the database, and that go with it when it is set aside."""
OPENING_SECONDS = 5.0
"""How long another process may hold the database when it is opened."""
UNSEALED_VERSION = 3
"""That of the release before, which did not account for its rows."""
_LONGEST_HEAD_BYTES = 256


class JournalError(NightdeskError):
    """The journal cannot be used; the bot must not trade without it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"journal {path}: {reason}")


class DamagedJournalError(JournalError):
    """What the journal holds cannot be read, or not be believed."""


@contextmanager
def named_errors(path: Path, *, doing: str = "read") -> Iterator[None]:
    """Raise what SQLite and the seals say as `JournalError`, damage as `DamagedJournalError`.

    A value that the schema refuses is the caller's mistake, and stays what it is.
    """
    try:
        yield
    except (SealError, UnicodeDecodeError) as error:
        raise DamagedJournalError(path, f"is damaged ({error})") from error
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        if is_unwritable(error):
            raise JournalError(path, f"cannot be {doing} ({error}); see what else uses it") from error
        raise DamagedJournalError(path, f"is damaged ({error})") from error


class HeadFile:
    """Where a journal stood after its last transaction. It may be one behind, never ahead."""

    def __init__(self, path: Path) -> None:
        """`path` is that of the journal."""
        self._path = path.with_name(path.name + HEAD_SUFFIX)

    def read(self) -> Head | None:
        """Return what was noted; `None` where nothing was, or it cannot be read, or not be believed."""
        try:
            line = read_start(self._path, _LONGEST_HEAD_BYTES).decode("ascii").partition("\n")[0]
            commits, digest, check = line.split(" ")
            return Head(int(commits), digest) if check == _check(f"{commits} {digest}") else None
        except (InputError, ValueError):
            return None

    def note(self, head: Head) -> None:
        """Note where the journal stands. One that cannot be noted is older than the journal, which is no lie."""
        said = f"{head.commits} {head.digest}"
        with suppress(OSError):
            descriptor = permissions.open_file(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                # In place and of one length but for the count, which only grows: it needs no room on a full disk.
                write_at(descriptor, f"{said} {_check(said)}\n".encode(), 0)
            finally:
                os.close(descriptor)


def held_against(head: Head, noted: Head | None) -> None:
    """Hold where a journal stands against what was noted of it. Raises `SealError` where it is older, or another."""
    if noted is None or head.commits > noted.commits or head == noted:
        return
    if head.commits == noted.commits:
        raise SealError("it is not what its last transaction left")
    raise SealError(
        f"it is older than it was: {head.commits} of {noted.commits} transactions are left; where it was put back on"
        f" purpose, remove the file that ends with {HEAD_SUFFIX}"
    )


def open_file(path: Path, schema: Schema, *, patience_seconds: float, new: bool = True) -> SealedDatabase:
    """Open or, where it may be `new`, create the database of a journal, and check all that it holds.

    Raises `JournalError` where it is of another version, `SealError` where it is damaged, and `sqlite3.Error`.
    """
    if new:
        _create(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience_seconds, isolation_level=None
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        database = checked(path, connection, schema)
        held_against(database.head, HeadFile(path).read())
    except BaseException:
        connection.close()
        raise
    return database


def _create(path: Path) -> None:
    """Create an empty database where there is none: SQLite gives what it keeps beside one the mode of that."""
    permissions.make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(permissions.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def write_anew(path: Path, copy: SealedDatabase) -> None:
    """Put a copy in memory in the place of a journal that is gone. Raises `OSError`, and `sqlite3.Error`.

    A log that is left of the one that is gone goes first: SQLite would read it as this one's.
    """
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    write_atomic(path, copy.connection.serialize())


def holds_anything(path: Path) -> bool:
    """Return whether there is a file of a journal at all, and anything in it."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def identity(path: Path) -> list[tuple[int, int] | None]:
    """Return which files a journal and its log are now, whatever their names will be; `None` for one that is gone."""
    found: list[tuple[int, int] | None] = []
    for suffix in ("", "-wal", "-shm"):
        try:
            status = path.with_name(path.name + suffix).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found


def folder_of(path: Path) -> tuple[int, int] | None:
    """Return which folder a journal lies in, `None` where that is gone: another may be there where a disk was."""
    try:
        status = path.parent.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def refuse_no_file(path: Path) -> None:
    """Raise `JournalError` where something lies there that SQLite would wait for, or take for an empty database."""
    for part in (path, *(path.with_name(path.name + suffix) for suffix in BESIDE)):
        try:
            with open_to_read(part):
                pass
        except MissingInputError:
            continue
        except InputError as error:
            raise JournalError(part, error.reason) from error


def copy_of_open_file(path: Path, schema: Schema) -> SealedDatabase:
    """Return a checked copy in memory of a journal that another process may be writing to; it is left as it is.

    Raises as `open_file` does.
    """
    # Without a log beside it nobody has it open, and nothing needs to be put beside it to read it.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    # First: whoever writes may go on while the copy is made.
    noted = HeadFile(path).read()
    source = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=OPENING_SECONDS)
    return _copy(path, source, schema, noted)


def copy_of_file(path: Path, schema: Schema) -> SealedDatabase:
    """Return a checked copy in memory of a journal whose disk takes nothing at present, not even SQLite's own files.

    Nobody else may have it open. Raises as `open_file` does.
    """
    noted = HeadFile(path).read()
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size > 0:
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        # Then its index of the log is in memory, and needs no file.
        source.execute("PRAGMA locking_mode=EXCLUSIVE")
    else:
        source = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    return _copy(path, source, schema, noted)


def checked(path: Path, connection: sqlite3.Connection, schema: Schema) -> SealedDatabase:
    """Return a database all of which is as it was written: a new one is made, one without seals is given them.

    Raises as `open_file` does.
    """
    connection.execute("PRAGMA cell_size_check=ON")
    # The full check would hold indexes against their tables: there are none, and the seals see to the rows.
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise SealError(str(finding))
    database = SealedDatabase(connection, schema)
    if not _is_sealed(path, connection, schema):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been first.
            if not _is_sealed(path, connection, schema):
                database.was_unsealed = _version_of(connection) == UNSEALED_VERSION
                _make(connection, schema)
                database.seal_all()
                connection.execute(f"PRAGMA user_version={schema.version}")
            connection.execute("COMMIT")
        except BaseException:
            database.rollback()
            raise
    database.verify()
    return database


def _copy(path: Path, source: sqlite3.Connection, schema: Schema, noted: Head | None) -> SealedDatabase:
    with closing(source):
        connection = copied(source)
    try:
        database = checked(path, connection, schema)
        held_against(database.head, noted)
    except BaseException:
        connection.close()
        raise
    return database


def _version_of(connection: sqlite3.Connection) -> int:
    """Return the version that a database says it is of, 0 for one that is new."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_sealed(path: Path, connection: sqlite3.Connection, schema: Schema) -> bool:
    version = _version_of(connection)
    if version == schema.version:
        return True
    if version == UNSEALED_VERSION or (version == 0 and not _tables(connection)):
        return False
    raise JournalError(
        path,
        f"has version {version}, this release reads {schema.version}; set it aside, or run `nightdesk run --fresh`",
    )


def _make(connection: sqlite3.Connection, schema: Schema) -> None:
    found = _tables(connection)
    for name, statement in schema.tables.items():
        if name not in found:
            connection.execute(statement)


def _tables(connection: sqlite3.Connection) -> Mapping[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema"))


def _check(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:16]
