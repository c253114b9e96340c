"""The trade journal: one SQLite database for each bot, from which it resumes after being killed at any moment.

Write-ahead log with `synchronous=FULL`: a committed transaction survives a power cut. All that it holds is accounted
for, and checked when it is opened (`sealed`). What the disk does not take, because it is full, read-only, failing or
held by another process, goes on in memory, and is written once that can be done again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.files.disk import is_unwritable
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError
from nightdesk_core.journal.database import JournalDatabase
from nightdesk_core.journal.file import (
    BESIDE,
    UNSEALED_VERSION,
    DamagedJournalError,
    JournalError,
    copy_of_file,
    copy_of_open_file,
    holds_anything,
    named_errors,
    refuse_no_file,
)
from nightdesk_core.journal.sealed import Schema, SealedDatabase
from nightdesk_core.trades import ClosedTrade
from nightdesk_core.units import DAY_SECONDS

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
MOST_THINNED = 2000
"""More than a day of candles of a minute, so that a day's call keeps up with them; some 50 ms."""
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


def journal_path(state_dir: Path | str, bot: str) -> Path:
    """Return where a bot's journal lies."""
    return Path(state_dir) / f"{bot}.sqlite"


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


class Journal(JournalDatabase):
    """Trades, equity, guard history and the state that a restarted bot goes on from."""

    def __init__(
        self, path: Path | str, *, copy: SealedDatabase | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Open or create the journal; or read a `copy` of it, to which nothing of what is written is of any account.

        One whose disk takes nothing at present is read all the same. Raises `DamagedJournalError` where it is damaged,
        `JournalError` where it cannot be read, or is of another version.
        """
        super().__init__(Path(path), _SCHEMA, copy=copy, monotonic=monotonic)

    def record_trade(self, trade: ClosedTrade, *, shadow: bool = False) -> None:
        """Append a closed trade; one that moved no money to a ledger of its own."""
        self._append(_table(shadow), tuple(asdict(trade).values()))

    def record_equity(self, time: MarketTime, equity: float) -> None:
        """Record the equity at a candle's close."""
        self._write("equity", time.seconds, (equity,))

    def thin_equity(self, *, before: MarketTime) -> None:
        """Keep of each UTC day before a time the last equity alone, which daily returns are reckoned by.

        At most `MOST_THINNED` rows go at once: a bot must not wait long for what has gathered in years.
        """
        if not self.in_transaction:
            with self.transaction():
                self.thin_equity(before=before)
            return
        ends = "SELECT max(time) FROM equity WHERE time < ? GROUP BY (time - 1) / ?"
        rows = self._rows(
            f"SELECT time FROM equity WHERE time < ? AND time NOT IN ({ends}) ORDER BY time LIMIT ?",  # noqa: S608
            (before.seconds, before.seconds, DAY_SECONDS, MOST_THINNED),
        )
        for (closed,) in rows:
            self._write("equity", closed, None)

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
def read_journal(path: Path | str) -> Iterator[Journal]:
    """Yield a copy of a journal as it stands between two transactions: opened for itself it could be changed.

    Raises `JournalError` where it cannot be read, `DamagedJournalError` where it is damaged.
    """
    path = Path(path)
    refuse_no_file(path)
    with named_errors(path):
        try:
            database = copy_of_open_file(path, _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            if not is_unwritable(error) or not holds_anything(path):
                raise
            database = copy_of_file(path, _SCHEMA)
    with closing(database.connection):
        yield Journal(path, copy=database)


def _table(shadow: bool) -> str:  # noqa: FBT001 - a choice of two names
    return "shadow_trades" if shadow else "trades"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
