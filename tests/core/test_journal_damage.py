"""Damage in the journal: whatever becomes of its bytes or its rows, it is found, or every value is what it was."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.journal import (
    BESIDE,
    DamagedJournalError,
    GuardTransition,
    Journal,
    JournalError,
    read_journal,
)
from nightdesk_core.trades import ClosedTrade

from tests.campaigns import SEED, cases
from tests.core.conftest import closed_trade

HOUR = 3600
PAGE = 4096
TABLES = ("trades", "shadow_trades", "equity", "transitions", "outbox", "state")
Values = tuple[Any, ...]
Damage = Callable[[Path, random.Random], None]


def trade_on(journal: Journal, *, first: int = 0, count: int = 120) -> None:
    """Live through candles: trades, moves of the guard, notices that are told, states that are replaced."""
    for number in range(first, first + count):
        with journal.transaction():
            if number % 3 == 0:
                journal.record_trade(closed_trade(number, profit=number / 7))
            if number % 5 == 0:
                journal.record_trade(closed_trade(number), shadow=True)
            if number % 11 == 0:
                journal.record_transition(GuardTransition(MarketTime(number), "normal", "reduced", "größer"))
                journal.post("audit", {"event": "guard_transition", "details": {"number": number}})
            journal.record_equity(MarketTime(number * HOUR), 10_000 + number / 3)
            journal.save("engine", {"number": number, "much": "x" * (number % 40) * 300})
        if number % 22 == 0:
            journal.told(journal.outbox()[0])


def values_of(journal: Journal) -> Values:
    """Return everything that anybody can read in a journal."""
    return (
        journal.trades(),
        journal.trades(shadow=True),
        journal.equity(),
        [journal.equity_at(MarketTime(hour * HOUR + 1)) for hour in range(0, 125, 9)],
        journal.transitions(),
        journal.outbox(),
        journal.load("engine"),
        journal.load("other"),
    )


def read(path: Path) -> Values | None:
    """Return what a bot that starts would go on from; `None` where it finds damage."""
    try:
        with closing(Journal(path)) as journal:
            return values_of(journal)
    except JournalError:
        return None


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A journal whose bot stopped, and one whose bot was killed, with a log that was never written back."""
    folder = tmp_path_factory.mktemp("lived")
    (folder / "stopped").mkdir()
    with closing(Journal(folder / "stopped" / "btc.sqlite")) as journal:
        trade_on(journal)
    (folder / "running").mkdir()
    (folder / "killed").mkdir()
    with closing(Journal(folder / "running" / "btc.sqlite")) as journal:
        trade_on(journal)
        for suffix in ("", "-wal", "-head"):
            shutil.copy(folder / "running" / f"btc.sqlite{suffix}", folder / "killed" / f"btc.sqlite{suffix}")
    assert (folder / "killed" / "btc.sqlite-wal").stat().st_size > 10 * PAGE
    return {name: folder / name for name in ("stopped", "killed")}


def copied(folder: Path, target: Path) -> Path:
    """Put a lived journal into a folder of its own; return its path."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target / "btc.sqlite"


def some_file(path: Path, moments: random.Random) -> Path:
    """Return a file of a journal, the larger the likelier."""
    files = [file for file in path.parent.iterdir() if file.stat().st_size > 0]
    return moments.choices(files, [file.stat().st_size for file in files])[0]


def flip_a_bit(path: Path, moments: random.Random) -> None:
    file = some_file(path, moments)
    content = bytearray(file.read_bytes())
    # Half of them where much hangs on each bit: in the headers of the file, its pages and its frames.
    at = moments.randrange(len(content))
    if moments.random() < 0.5:
        at = min(at // PAGE * PAGE + moments.randrange(128), len(content) - 1)
    content[at] ^= 1 << moments.randrange(8)
    file.write_bytes(content)


def cut_off(path: Path, moments: random.Random) -> None:
    file = some_file(path, moments)
    file.write_bytes(file.read_bytes()[: moments.randrange(file.stat().st_size)])


def zero_a_page(path: Path, moments: random.Random) -> None:
    file = some_file(path, moments)
    content = bytearray(file.read_bytes())
    at = moments.randrange(len(content)) // PAGE * PAGE
    content[at : at + PAGE] = bytes(len(content[at : at + PAGE]))
    file.write_bytes(content)


def swap_two_pages(path: Path, moments: random.Random) -> None:
    file = some_file(path, moments)
    content = bytearray(file.read_bytes())
    one, two = (moments.randrange(max(len(content) // PAGE, 1)) * PAGE for _ in range(2))
    content[one : one + PAGE], content[two : two + PAGE] = content[two : two + PAGE], content[one : one + PAGE]
    file.write_bytes(content)


DAMAGES: dict[str, tuple[Damage, int]] = {
    "a bit that flips": (flip_a_bit, 5000),
    "a file that is cut off": (cut_off, 600),
    "a page of zeros": (zero_a_page, 600),
    "two pages that are swapped": (swap_two_pages, 600),
}


@pytest.mark.kills
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_damaged_bytes_are_found_or_change_no_value(
    ended: str, damage: str, lived: dict[str, Path], tmp_path: Path
) -> None:
    do, many = DAMAGES[damage]
    with read_journal(copied(lived[ended], tmp_path / "whole")) as journal:
        before = values_of(journal)
    found = 0
    for number in range(cases(sample=40, campaign=many)):
        path = copied(lived[ended], tmp_path / "case")
        do(path, random.Random(f"{SEED} {damage} {number}"))
        after = read(path)
        found += after is None
        assert after in (None, before), f"{damage} of a {ended} journal, case {number}, NIGHTDESK_SEED={SEED}"
    assert found > 0


@pytest.mark.parametrize("commits", [1, 5, 40])
def test_an_older_copy_of_the_log_is_found(commits: int, tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    older = tmp_path / "older-wal"
    with closing(Journal(tmp_path / "btc.sqlite")) as journal:
        trade_on(journal, count=20)
        shutil.copy(tmp_path / "btc.sqlite-wal", older)
        trade_on(journal, first=20, count=commits)
        for suffix in ("", "-head"):
            shutil.copy(tmp_path / f"btc.sqlite{suffix}", tmp_path / "killed" / f"btc.sqlite{suffix}")
    path = tmp_path / "killed" / "btc.sqlite"
    shutil.copy(older, f"{path}-wal")
    with pytest.raises(DamagedJournalError, match=r"is older than it was: \d+ of \d+ transactions are left"):
        Journal(path)


def test_a_journal_that_was_put_back_on_purpose_is_taken_once_its_head_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    with closing(Journal(path)) as journal:
        trade_on(journal, count=5)
    backup = path.read_bytes()
    with closing(Journal(path)) as journal:
        trade_on(journal, first=5, count=5)
    path.write_bytes(backup)
    assert read(path) is None
    path.with_name("btc.sqlite-head").unlink()
    with closing(Journal(path)) as journal:
        assert [time.seconds // HOUR for time, _ in journal.equity()] == [1, 2, 3, 4]


def test_a_bot_that_was_killed_between_commit_and_note_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    with closing(Journal(path)) as journal:
        trade_on(journal, count=5)
        noted = path.with_name("btc.sqlite-head").read_bytes()
        trade_on(journal, first=5, count=1)
    path.with_name("btc.sqlite-head").write_bytes(noted)
    with closing(Journal(path)) as journal:
        assert [time.seconds // HOUR for time, _ in journal.equity()] == [1, 2, 3, 4, 5]


_COLUMNS = ", ".join(field.name for field in fields(ClosedTrade))
CHANGES = [
    *(f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1)" for table in ("trades", "outbox")),
    "DELETE FROM shadow_trades",
    "DELETE FROM equity WHERE time = 7200",
    "DELETE FROM state",
    "DELETE FROM transitions WHERE id = (SELECT max(id) FROM transitions)",
    "UPDATE equity SET equity = equity + 1e-9 WHERE time = 7200",
    "UPDATE equity SET time = time + 1 WHERE time = 7200",
    "UPDATE trades SET profit = -profit WHERE id = 2",
    "UPDATE trades SET id = 1000 WHERE id = 2",
    "UPDATE trades SET guard = 'reduced' WHERE id = 2",
    "UPDATE transitions SET reason = '' WHERE id = 1",
    "UPDATE outbox SET content = '{}'",
    f"INSERT INTO trades SELECT id + 1000, {_COLUMNS} FROM trades WHERE id = 2",
    "INSERT INTO equity VALUES (1, 1.0)",
    "INSERT INTO outbox (kind, content) SELECT kind, content FROM outbox",
    "INSERT INTO transitions (time, before, after, reason) SELECT time, before, after, reason FROM transitions",
    "DROP TABLE shadow_trades",
    "DROP TABLE seal",
    "DELETE FROM seal",
    "INSERT INTO seal SELECT 2, content, digest FROM seal",
    "CREATE TABLE trades_2 AS SELECT * FROM trades",
    "CREATE INDEX by_time ON trades (exit_time)",
    "CREATE TRIGGER t AFTER INSERT ON trades BEGIN DELETE FROM trades; END",
]


@pytest.mark.parametrize("change", CHANGES)
def test_rows_and_tables_that_anything_else_has_changed_are_found(
    change: str, lived: dict[str, Path], tmp_path: Path
) -> None:
    path = copied(lived["stopped"], tmp_path / "case")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with pytest.raises(DamagedJournalError, match="is damaged"):
        Journal(path)
    with pytest.raises(DamagedJournalError, match="is damaged"), read_journal(path):
        pass


def test_two_tables_that_were_exchanged_are_found(lived: dict[str, Path], tmp_path: Path) -> None:
    path = copied(lived["stopped"], tmp_path / "case")
    with closing(sqlite3.connect(path)) as connection, connection:
        for before, after in (("trades", "t"), ("shadow_trades", "trades"), ("t", "shadow_trades")):
            connection.execute(f"ALTER TABLE {before} RENAME TO {after}")
    assert read(path) is None


def test_what_is_damaged_is_named(lived: dict[str, Path], tmp_path: Path) -> None:
    path = copied(lived["stopped"], tmp_path / "case")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM trades WHERE id = 7")
    with pytest.raises(DamagedJournalError) as raised:
        Journal(path)
    assert raised.value.reason == "is damaged (trades holds 39 rows, and 40 were written)"


def test_a_journal_of_the_release_before_is_sealed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    with closing(Journal(path)) as journal:
        trade_on(journal, count=30)
        before = values_of(journal)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE seal")
        connection.execute("PRAGMA user_version=3")
    path.with_name("btc.sqlite-head").unlink()
    with closing(Journal(path)) as journal:
        assert journal.was_unsealed
        assert values_of(journal) == before
        trade_on(journal, first=30, count=3)
        after = values_of(journal)
    with closing(Journal(path)) as journal:
        assert not journal.was_unsealed
        assert values_of(journal) == after
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE trades SET profit = 1 WHERE id = 1")
    assert read(path) is None


def test_files_beside_the_journal_are_those_that_go_with_it(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "btc.sqlite")) as journal:
        journal.save("engine", {})
        beside = {file.name.removeprefix("btc.sqlite") for file in tmp_path.iterdir()} - {""}
    assert beside == set(BESIDE)


def test_a_seal_says_which_record_it_is(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    with closing(Journal(path)) as journal:
        trade_on(journal, count=4)
    with closing(sqlite3.connect(path)) as connection:
        (content,) = connection.execute("SELECT content FROM seal").fetchone()
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
    found = json.loads(content)
    assert {name: count for name, (count, _) in found["tables"].items()} == counts
