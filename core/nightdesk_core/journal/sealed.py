"""A SQLite database in which every row is accounted for: a bit that flipped does not pass for what was kept.

Each table has a seal: how many rows it holds, and the sum of their hashes. A write changes it by the rows that it adds
and takes away, at the same cost however large the table is. A row that was changed, lost, added or doubled by anything
else shows against it, and so does a table that is gone. Rows are replaced and removed here, so that they form no chain
such as the audit log's.

What a seal cannot show is a database that is whole but older, as one whose log was cut off: `Head`, which is kept
elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_MODULUS = 2**256
_SEAL_TABLE = "seal"
_SEAL_SCHEMA = f"CREATE TABLE {_SEAL_TABLE} (id INTEGER PRIMARY KEY, content TEXT NOT NULL, digest TEXT NOT NULL)"


class SealError(Exception):
    """What the database holds is not what was kept in it; the message says which part."""


class Head(NamedTuple):
    """Where a database stands: how many transactions it has seen, and the digest of its seals after the last."""

    commits: int
    digest: str


class Write(NamedTuple):
    """One row that is put, in place of the one of that key, or removed where there are no `values`."""

    table: str
    key: Any
    values: tuple[Any, ...] | None


@dataclass(frozen=True)
class Schema:
    """Tables by name; each has its key as its first column."""

    version: int
    tables: Mapping[str, str]
    """The statement that creates each."""
    keys: Mapping[str, str]
    """The name of each one's key."""

    @property
    def statements(self) -> dict[str, str]:
        """What creates each table, the seals' included."""
        return {**self.tables, _SEAL_TABLE: _SEAL_SCHEMA}


class SealedDatabase:
    """One connection to such a database. Whoever owns it begins and ends its transactions."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema) -> None:
        self.connection = connection
        self._schema = schema
        self._sums: dict[str, Any] = {}
        """The seals as the transaction that is open has made them."""
        self._written = False
        self.began: Head | None = None
        """Where the last transaction that was begun started from."""
        self.tried: Head | None = None
        """Where the last commit that was tried leads to. Of one that failed, the log may hold it all the same."""
        self.was_unsealed = False
        """Whether its rows, of an earlier release, were taken as they were when it was opened."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    @property
    def head(self) -> Head:
        """Where it stands. Raises `SealError` where that cannot be read."""
        return _head(self._seal())

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield every row of a table as SQLite has it."""
        return iter(self.connection.execute(f"SELECT * FROM {table}"))  # noqa: S608 - fixed names

    def next_key(self, table: str) -> int:
        """Return the key of a row that is appended."""
        (last,) = self.connection.execute(f"SELECT max({self._schema.keys[table]}) FROM {table}").fetchone()  # noqa: S608
        return int(last or 0) + 1

    def begin(self) -> None:
        """Begin a transaction. Raises `SealError` where the seals are damaged, and `sqlite3.Error`."""
        self.connection.execute("BEGIN IMMEDIATE")
        self._sums = self._seal()
        self.began = _head(self._sums)
        self._written = False

    def write(self, write: Write) -> None:
        """Carry out a write, within a transaction."""
        count, total = self._sums["tables"][write.table]
        before = self._row(write)
        self._put(write)
        # As SQLite has it, not as it was handed in: a whole number in a column of reals comes back as a real.
        for sign, row in ((-1, before), (1, self._row(write))):
            if row is not None:
                count, total = count + sign, (total + sign * _number(write.table, row)) % _MODULUS
        self._sums["tables"][write.table] = [count, total]
        self._written = True

    def commit(self) -> Head | None:
        """Seal what the transaction has left, and commit it; return the head, `None` where nothing was written."""
        self.tried = None
        if self._written:
            self._sums["commits"] += 1
            self._keep(self._sums)
            self.tried = _head(self._sums)
        self.connection.execute("COMMIT")
        return self.tried

    def follow(self, leader: SealedDatabase, writes: Iterable[Write]) -> bool:
        """Commit what another database of the same rows has just committed; it has reckoned the seals.

        Return whether that began from where this one stands; else nothing is done.
        """
        if self.head != leader.began:
            return False
        self.connection.execute("BEGIN IMMEDIATE")
        for write in writes:
            self._put(write)
        self._keep(leader._sums)
        self.connection.execute("COMMIT")
        return True

    def rollback(self) -> None:
        """Leave nothing of the transaction, where there still is one."""
        # Of its own SQLite takes back some failures, such as a full disk, and others, such as a failed commit, not.
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def seal_all(self) -> None:
        """Account for the rows as they are from now on, within a transaction: for an earlier release's, or for none."""
        self.connection.execute(_SEAL_SCHEMA)
        tables = {name: self._reckoned(name) for name in self._schema.tables}
        self._keep({"commits": 0, "tables": tables})

    def verify(self) -> None:
        """Raises `SealError` where a table is not as its seal says, and `sqlite3.Error` where it cannot be read."""
        found = dict(self.connection.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))
        if found != self._schema.statements:
            odd = sorted(name for name in found.keys() | self._schema.statements if not self._is_known(name, found))
            raise SealError(f"its tables are not those that were made: {', '.join(map(str, odd))}")
        sums = self._seal()
        for name in self._schema.tables:
            (count, total), [kept, expected] = self._reckoned(name), sums["tables"][name]
            if count != kept:
                raise SealError(f"{name} holds {count} rows, and {kept} were written")
            if total != expected:
                raise SealError(f"a row of {name} is not what was written")

    def _is_known(self, name: str, found: Mapping[str, str]) -> bool:
        return found.get(name) == self._schema.statements.get(name)

    def _row(self, write: Write) -> tuple[Any, ...] | None:
        """Return the row that is there now under the key of a write."""
        where = f"{write.table} WHERE {self._schema.keys[write.table]} = ?"
        row: tuple[Any, ...] | None = self.connection.execute(f"SELECT * FROM {where}", (write.key,)).fetchone()  # noqa: S608
        return row

    def _put(self, write: Write) -> None:
        where = f"{write.table} WHERE {self._schema.keys[write.table]} = ?"
        self.connection.execute(f"DELETE FROM {where}", (write.key,))  # noqa: S608
        if write.values is not None:
            marks = ", ".join("?" * (1 + len(write.values)))
            self.connection.execute(f"INSERT INTO {write.table} VALUES ({marks})", (write.key, *write.values))  # noqa: S608

    def _reckoned(self, table: str) -> list[int]:
        count, total = 0, 0
        for row in self.rows(table):
            count, total = count + 1, total + _number(table, row)
        return [count, total % _MODULUS]

    def _seal(self) -> dict[str, Any]:
        rows = self.connection.execute(f"SELECT content, digest FROM {_SEAL_TABLE}").fetchall()  # noqa: S608
        if len(rows) != 1 or _digest(str(rows[0][0])) != rows[0][1]:
            raise SealError("the record that accounts for its rows is not what was written")
        found: dict[str, Any] = json.loads(rows[0][0])
        found["tables"] = {name: [count, int(total, 16)] for name, (count, total) in found["tables"].items()}
        return found

    def _keep(self, sums: dict[str, Any]) -> None:
        content = _content(sums)
        self.connection.execute(f"DELETE FROM {_SEAL_TABLE}")  # noqa: S608
        self.connection.execute(f"INSERT INTO {_SEAL_TABLE} VALUES (1, ?, ?)", (content, _digest(content)))  # noqa: S608


def copied(source: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a database in memory. Raises `sqlite3.Error` where the source cannot be read.

    It waits for whoever holds the source as long as that connection waits, and no longer.
    """
    target = sqlite3.connect(":memory:", isolation_level=None)

    def refuse_to_wait(status: int, _left: int, _pages: int) -> None:
        # SQLite has waited. Python would ask it again and again.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = status
            raise error

    try:
        source.backup(target, progress=refuse_to_wait)
    except BaseException:
        target.close()
        raise
    return target


def _content(sums: Mapping[str, Any]) -> str:
    tables = {name: [count, f"{total:064x}"] for name, (count, total) in sums["tables"].items()}
    return json.dumps({"commits": sums["commits"], "tables": tables}, sort_keys=True)


def _head(sums: Mapping[str, Any]) -> Head:
    return Head(int(sums["commits"]), _digest(_content(sums)))


def _number(table: str, row: tuple[Any, ...]) -> int:
    """Return a row's hash as a number. What is no text of ours, as damage makes it, has one, too."""
    text = json.dumps([table, *row], default=repr)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
