"""The trade journal: one SQLite database for each bot, from which it resumes after being killed at any moment.

Write-ahead log with `synchronous=FULL`: a committed transaction survives a power cut. All that it holds is accounted
for, and checked when it is opened (`sealed`). What the disk does not take, because it is full, read-only, failing or
held by another process, goes on in memory, and is written once that can be done again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from loguru import logger

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.disk import is_unwritable, reason_of
from nightdesk_core.journal_file import (
    BESIDE,
    OPENING_SECONDS,
    UNSEALED_VERSION,
    DamagedJournalError,
    HeadFile,
    JournalError,
    copy_of_file,
    copy_of_open_file,
    named_errors,
    open_file,
    refuse_no_file,
)
from nightdesk_core.json_text import parse_json
from nightdesk_core.reader import InputError
from nightdesk_core.sealed import Head, Schema, SealedDatabase, SealError, Write, copied
from nightdesk_core.trades import ClosedTrade

__all__ = [
    "BESIDE",
    "DamagedJournalError",
    "GuardTransition",
    "Journal",
    "JournalError",
    "Posted",
    "journal_path",
    "read_journal",
]
_PATIENCE_SECONDS = 1.0
"""How long a transaction waits for another process before it goes on in memory."""
_TRADE_COLUMNS = tuple(field.name for field in fields(ClosedTrade))
_TRADE_SCHEMA = ", ".join(name if name == "risk" else f"{name} NOT NULL" for name in _TRADE_COLUMNS)
_SCHEMA = Schema(
    version=UNSEALED_VERSION + 1,
    tables={
        "trades": f"CREATE TABLE trades (id INTEGER PRIMARY KEY, {_TRADE_SCHEMA})",
        "shadow_trades": f"CREATE TABLE shadow_trades (id INTEGER PRIMARY KEY, {_TRADE_SCHEMA})",
        "equity": "CREATE TABLE equity (time INTEGER PRIMARY KEY, equity REAL NOT NULL) WITHOUT ROWID",
        "transitions": """CREATE TABLE transitions (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, before TEXT NOT NULL,
                                        after TEXT NOT NULL, reason TEXT NOT NULL)""",
        "outbox": "CREATE TABLE outbox (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, content TEXT NOT NULL)",
        "state": "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID",
    },
    keys={
        "trades": "id",
        "shadow_trades": "id",
        "equity": "time",
        "transitions": "id",
        "outbox": "id",
        "state": "key",
    },
)


def journal_path(state_dir: Path, bot: str) -> Path:
    """Return where a bot's journal lies."""
    return state_dir / f"{bot}.sqlite"


@dataclass(frozen=True)
class GuardTransition:
    """The guard moved from one state to another at a candle's close, and why."""

    time: CandleTime
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Posted:
    """Something that the bot still has to tell elsewhere, of a `kind` that says where."""

    id: int
    kind: str
    content: Mapping[str, Any]


class Journal:
    """Trades, equity, guard history and the state that a restarted bot goes on from."""

    def __init__(self, path: Path, *, copy: SealedDatabase | None = None) -> None:
        """Open or create the journal; or read a `copy` of it, to which nothing of what is written is of any account.

        One whose disk takes nothing at present is read all the same. Raises `DamagedJournalError` where it is damaged,
        `JournalError` where it cannot be read, or is of another version.
        """
        self.path = path
        self._head_file = HeadFile(path)
        self._disk: SealedDatabase | None = copy
        self._memory: SealedDatabase | None = None
        """A copy in which the journal goes on while the disk takes nothing."""
        self._base: Head | None = None
        """Where the disk stood when that was made."""
        self._unwritten: dict[tuple[str, Any], Write] = {}
        """What the copy holds beyond the disk: of each row the last write, for they are written all together."""
        self._reason: str | None = None
        self._writes: list[Write] = []
        """Those of the transaction that is open."""
        self._notes_head = copy is None
        if copy is not None:
            return
        refuse_no_file(path)
        with named_errors(path, doing="opened"):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._disk = open_file(path, _SCHEMA, patience_seconds=OPENING_SECONDS)
                self._disk.connection.execute(f"PRAGMA busy_timeout={int(_PATIENCE_SECONDS * 1000)}")
            except (sqlite3.Error, OSError) as error:
                if not is_unwritable(error) or not _holds_anything(path):
                    raise
                self._go_on_in(copy_of_file(path, _SCHEMA), error)

    @property
    def unwritten(self) -> str | None:
        """Why what is written is in memory only, `None` where the disk has it all."""
        return self._reason

    @property
    def was_unsealed(self) -> bool:
        """Whether it was of the release before, and what it held was taken as it was when it was opened."""
        return self._database.was_unsealed

    def close(self) -> None:
        """Close the database. What the disk still does not take is lost, and said to be."""
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

        Raises `DamagedJournalError` where what is on the disk is not what the memory went on from.
        """
        if self._memory is None:
            return True
        if self._memory.in_transaction:
            return False
        with named_errors(self.path, doing="written"):
            try:
                self._write_unwritten()
            except (sqlite3.Error, OSError) as error:
                if not is_unwritable(error):
                    raise
                self._reason = reason_of(error)
                return False
        logger.info("journal {}: it can be written again, and holds all that was done meanwhile", self.path)
        self._memory.connection.close()
        self._memory = self._base = self._reason = None
        self._unwritten.clear()
        return True

    @property
    def in_transaction(self) -> bool:
        """Whether a `transaction` is open."""
        return self._database.in_transaction

    @property
    def _database(self) -> SealedDatabase:
        database = self._disk if self._memory is None else self._memory
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
        self._write(table, self._database.next_key(table), values)

    def _attempt(self, step: Callable[[SealedDatabase], object]) -> None:
        """Take a step of the transaction, which begins with the first; in memory where the disk does not take it."""
        try:
            if not self._database.in_transaction:
                self._database.begin()
            step(self._database)
        except sqlite3.Error as error:
            if self._memory is not None or not is_unwritable(error):
                raise
            self._database.rollback()
            self._go_on_in(SealedDatabase(copied(self._database.connection), _SCHEMA), error)
            self._database.begin()
            for write in self._writes:
                self._database.write(write)
            step(self._database)

    def _commit(self) -> None:
        stands: list[Head | None] = []
        self._attempt(lambda database: stands.append(database.commit()))
        if self._memory is not None:
            self._unwritten |= {(write.table, write.key): write for write in self._writes}
        elif stands[-1] is not None and self._notes_head:
            self._head_file.note(stands[-1])

    def _go_on_in(self, copy: SealedDatabase, error: Exception) -> None:
        self._memory, self._base, self._reason = copy, copy.head, reason_of(error)
        logger.critical(
            "journal {}: cannot be written ({}). Nothing is entered, and open positions are looked after, from memory,"
            " until it can; make room, or see what else uses it",
            self.path,
            error,
        )

    def _write_unwritten(self) -> None:
        disk = self._disk
        if disk is None:
            disk = open_file(self.path, _SCHEMA, patience_seconds=0.0, new=False)
        disk.connection.execute("PRAGMA busy_timeout=0")
        try:
            disk.begin()
            if disk.head != self._base:
                raise SealError("something else has written to it while it could not be written")
            for write in self._unwritten.values():
                disk.write(write)
            head = disk.commit()
        except BaseException as error:
            disk.rollback()
            if _is_stale(error):
                # What was opened read-only, or has failed, may stay so: the next try opens it anew.
                disk.connection.close()
                self._disk = None
            raise
        if head is not None:
            self._head_file.note(head)
        disk.connection.execute(f"PRAGMA busy_timeout={int(_PATIENCE_SECONDS * 1000)}")
        self._disk = disk

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with named_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def record_trade(self, trade: ClosedTrade, *, shadow: bool = False) -> None:
        """Append a closed trade; one that moved no money to a ledger of its own."""
        self._append(_table(shadow), tuple(asdict(trade).values()))

    def record_equity(self, time: MarketTime, equity: float) -> None:
        """Record the equity at a candle's close."""
        self._write("equity", time.seconds, (equity,))

    def record_transition(self, transition: GuardTransition) -> None:
        """Append a change of the guard's state."""
        said = (transition.time.seconds, transition.before, transition.after, transition.reason)
        self._append("transitions", said)

    def post(self, kind: str, content: Mapping[str, Any]) -> None:
        """Note what must be told elsewhere, in the transaction of what it is about: a crash forgets neither."""
        self._append("outbox", (kind, json.dumps(content, allow_nan=False)))

    def outbox(self) -> list[Posted]:
        """Return what is still to be told, oldest first. Raises `DamagedJournalError` where that is no record."""
        rows = self._rows("SELECT id, kind, content FROM outbox ORDER BY id")
        return [Posted(number, kind, self._parsed(content)) for number, kind, content in rows]

    def told(self, posted: Posted) -> None:
        """Forget what was told. Killed before this, the bot tells it again."""
        self._write("outbox", posted.id, None)

    def save(self, key: str, value: Mapping[str, Any]) -> None:
        """Replace the state under `key`."""
        text = json.dumps(value, allow_nan=False)
        self._write("state", key, (text, _digest(text)))

    def load(self, key: str) -> dict[str, Any] | None:
        """Return the state under `key`, or `None` where there never was one.

        Raises `DamagedJournalError` where it is not what was saved.
        """
        rows = self._rows("SELECT value, digest FROM state WHERE key = ?", (key,))
        if not rows:
            return None
        if _digest(str(rows[0][0])) != rows[0][1]:
            raise DamagedJournalError(self.path, f"is damaged (the state {key!r} is not what was saved)")
        return self._parsed(rows[0][0])

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return dict(parse_json(str(text), source="state"))
        except (InputError, TypeError, ValueError) as error:
            raise DamagedJournalError(self.path, f"is damaged (what it keeps is no record: {error})") from error

    def trades(self, *, closed_after: MarketTime = MarketTime(0), shadow: bool = False) -> list[ClosedTrade]:
        """Return the trades that closed after a time, oldest first; instead those that moved no money."""
        rows = self._rows(
            f"SELECT {', '.join(_TRADE_COLUMNS)} FROM {_table(shadow)} WHERE exit_time > ? ORDER BY id",  # noqa: S608
            (closed_after.seconds,),
        )
        return [ClosedTrade(*row) for row in rows]

    def equity(self, *, after: MarketTime = MarketTime(0)) -> list[tuple[MarketTime, float]]:
        """Return (time, equity) at each candle's close after a time, oldest first."""
        rows = self._rows("SELECT time, equity FROM equity WHERE time > ? ORDER BY time", (after.seconds,))
        return [(MarketTime(time), equity) for time, equity in rows]

    def equity_at(self, time: MarketTime) -> float | None:
        """Return the last equity at or before a time, or `None`."""
        rows = self._rows("SELECT equity FROM equity WHERE time <= ? ORDER BY time DESC LIMIT 1", (time.seconds,))
        return float(rows[0][0]) if rows else None

    def transitions(self) -> list[GuardTransition]:
        """Return the guard's history, oldest first."""
        rows = self._rows("SELECT time, before, after, reason FROM transitions ORDER BY id")
        return [GuardTransition(MarketTime(time), *said) for time, *said in rows]


@contextmanager
def read_journal(path: Path) -> Iterator[Journal]:
    """Yield a copy of a journal as it stands between two transactions: opened for itself it could be changed.

    Raises `JournalError` where it cannot be read, `DamagedJournalError` where it is damaged.
    """
    refuse_no_file(path)
    with named_errors(path):
        try:
            database = copy_of_open_file(path, _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            if not is_unwritable(error) or not _holds_anything(path):
                raise
            database = copy_of_file(path, _SCHEMA)
    with closing(database.connection):
        yield Journal(path, copy=database)


def _holds_anything(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _is_stale(error: BaseException) -> bool:
    """Return whether a connection that failed may go on failing whatever becomes of the disk."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def _table(shadow: bool) -> str:  # noqa: FBT001 - a choice of two names
    return "shadow_trades" if shadow else "trades"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
