"""The trade journal: one SQLite database for each bot, from which it resumes after being killed at any moment.

Write-ahead log with `synchronous=FULL`: a committed transaction survives a power cut. A writer waits five seconds for
another one (the command line) before it gives up.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.permissions import make_folder, open_file
from nightdesk_core.trades import ClosedTrade

BESIDE = ("-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside the database, and that go with it when it is set aside."""
_BUSY_SECONDS = 5.0
_VERSION = 3
_TRADE_COLUMNS = tuple(field.name for field in fields(ClosedTrade))
_TRADE_SCHEMA = ", ".join(name if name == "risk" else f"{name} NOT NULL" for name in _TRADE_COLUMNS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS trades (id INTEGER PRIMARY KEY, {_TRADE_SCHEMA});
CREATE TABLE IF NOT EXISTS shadow_trades (id INTEGER PRIMARY KEY, {_TRADE_SCHEMA});
CREATE TABLE IF NOT EXISTS equity (time INTEGER PRIMARY KEY, equity REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transitions (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, before TEXT NOT NULL,
                                        after TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
"""


def journal_path(state_dir: Path, bot: str) -> Path:
    """Return where a bot's journal lies."""
    return state_dir / f"{bot}.sqlite"


class JournalError(NightdeskError):
    """The journal cannot be used; the bot must not trade without it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"journal {path}: {reason}")


class DamagedJournalError(JournalError):
    """What the journal holds cannot be read, or not be believed."""


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

    def __init__(self, path: Path) -> None:
        """Open or create the journal.

        Raises `DamagedJournalError` where it is damaged, `JournalError` where it is busy or of another version.
        """
        self.path = path
        try:
            _create(path)
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as error:
            raise JournalError(path, f"cannot be opened ({error}); see what else uses it") from error
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise JournalError(path, f"cannot be opened ({error}); see what else uses it") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise DamagedJournalError(path, f"is damaged ({error})") from error
        except JournalError:
            self._connection.close()
            raise

    def _open(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        (finding,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise DamagedJournalError(self.path, f"is damaged ({finding})")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            reason = (
                f"has version {version}, this release reads {_VERSION}; set it aside, or run `nightdesk run --fresh`"
            )
            raise JournalError(self.path, reason)
        self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything in the block together, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Of its own SQLite takes back some failures, such as a full disk, and others, such as a failed commit, not.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a `transaction` is open."""
        return self._connection.in_transaction

    def record_trade(self, trade: ClosedTrade, *, shadow: bool = False) -> None:
        """Append a closed trade; one that moved no money to a ledger of its own."""
        marks = ", ".join("?" * len(_TRADE_COLUMNS))
        self._connection.execute(
            f"INSERT INTO {_table(shadow)} ({', '.join(_TRADE_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - fixed names
            tuple(asdict(trade).values()),
        )

    def record_equity(self, time: MarketTime, equity: float) -> None:
        """Record the equity at a candle's close."""
        self._connection.execute("INSERT OR REPLACE INTO equity VALUES (?, ?)", (time.seconds, equity))

    def record_transition(self, transition: GuardTransition) -> None:
        """Append a change of the guard's state."""
        self._connection.execute(
            "INSERT INTO transitions (time, before, after, reason) VALUES (?, ?, ?, ?)",
            (transition.time.seconds, transition.before, transition.after, transition.reason),
        )

    def post(self, kind: str, content: Mapping[str, Any]) -> None:
        """Note what must be told elsewhere, in the transaction of what it is about: a crash forgets neither."""
        self._connection.execute(
            "INSERT INTO outbox (kind, content) VALUES (?, ?)", (kind, json.dumps(content, allow_nan=False))
        )

    def outbox(self) -> list[Posted]:
        """Return what is still to be told, oldest first."""
        rows = self._connection.execute("SELECT id, kind, content FROM outbox ORDER BY id")
        return [Posted(number, kind, json.loads(content)) for number, kind, content in rows]

    def told(self, posted: Posted) -> None:
        """Forget what was told. Killed before this, the bot tells it again."""
        self._connection.execute("DELETE FROM outbox WHERE id = ?", (posted.id,))

    def save(self, key: str, value: Mapping[str, Any]) -> None:
        """Replace the state under `key`."""
        text = json.dumps(value, allow_nan=False)
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (key, text, _digest(text)))

    def load(self, key: str) -> dict[str, Any] | None:
        """Return the state under `key`, or `None` where there never was one.

        Raises `DamagedJournalError` where it is not what was saved.
        """
        row = self._connection.execute("SELECT value, digest FROM state WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if _digest(str(row[0])) != row[1]:
            raise DamagedJournalError(self.path, f"is damaged (the state {key!r} is not what was saved)")
        return dict(json.loads(row[0]))

    def trades(self, *, closed_after: MarketTime = MarketTime(0), shadow: bool = False) -> list[ClosedTrade]:
        """Return the trades that closed after a time, oldest first; instead those that moved no money."""
        rows = self._connection.execute(
            f"SELECT {', '.join(_TRADE_COLUMNS)} FROM {_table(shadow)} WHERE exit_time > ? ORDER BY id",  # noqa: S608
            (closed_after.seconds,),
        )
        return [ClosedTrade(*row) for row in rows]

    def equity(self, *, after: MarketTime = MarketTime(0)) -> list[tuple[MarketTime, float]]:
        """Return (time, equity) at each candle's close after a time, oldest first."""
        rows = self._connection.execute(
            "SELECT time, equity FROM equity WHERE time > ? ORDER BY time", (after.seconds,)
        )
        return [(MarketTime(time), equity) for time, equity in rows]

    def equity_at(self, time: MarketTime) -> float | None:
        """Return the last equity at or before a time, or `None`."""
        row = self._connection.execute(
            "SELECT equity FROM equity WHERE time <= ? ORDER BY time DESC LIMIT 1", (time.seconds,)
        ).fetchone()
        return None if row is None else float(row[0])

    def transitions(self) -> list[GuardTransition]:
        """Return the guard's history, oldest first."""
        rows = self._connection.execute("SELECT time, before, after, reason FROM transitions ORDER BY id")
        return [GuardTransition(MarketTime(time), *said) for time, *said in rows]


@contextmanager
def read_journal(path: Path) -> Iterator[Journal]:
    """Yield a copy of a journal as it stands between two transactions: opened for itself it could be changed.

    Raises `JournalError` where it cannot be read.
    """
    # Without a log beside it nobody has it open, and nothing needs to be put beside it to read it.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        try:
            with (
                closing(
                    sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_BUSY_SECONDS)
                ) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            journal = Journal(copy)
        except sqlite3.Error as error:
            raise JournalError(path, f"is damaged or in use ({error}); see what else uses it") from error
        except JournalError as error:
            raise JournalError(path, error.reason) from error
        with closing(journal):
            yield journal


def _create(path: Path) -> None:
    """Create an empty database where there is none: SQLite gives what it keeps beside one the mode of that."""
    make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def _table(shadow: bool) -> str:  # noqa: FBT001 - a choice of two names
    return "shadow_trades" if shadow else "trades"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
