"""The journal: what belongs together is there together or not at all, also after a kill."""

from __future__ import annotations

import json
import math
import random
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files.disk import is_unwritable
from nightdesk_core.files.durable import set_aside
from nightdesk_core.journal import database as journal_database
from nightdesk_core.journal.journal import (
    BESIDE,
    MOST_THINNED,
    DamagedJournalError,
    GuardTransition,
    Journal,
    JournalError,
    read_journal,
)
from nightdesk_core.journal.sealed import copied
from nightdesk_core.units import DAY_SECONDS

from tests.core.conftest import Start, closed_trade, line_of, wait_for_exit

TRADE = """
import sys
from pathlib import Path
from nightdesk_core.clock import MarketTime
from nightdesk_core.files.durable import set_aside
from nightdesk_core.journal.journal import Journal
from nightdesk_core.trades import ClosedTrade
journal = Journal(Path(sys.argv[1]))
number = len(journal.trades())
print("ready", flush=True)
while True:
    number += 1
    with journal.transaction():
        prices = (1.0, number, 1.0, number + 1, 1.0)
        journal.record_trade(ClosedTrade("S", "long", *prices, "stop", 0.0, 0.0, 1.0, 1.0, "v"))
        journal.record_equity(MarketTime(number), float(number))
        journal.save("engine", {"guard": {"trades_seen": number}})
"""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "btc.sqlite")


def test_a_new_journal_remembers_nothing(journal: Journal) -> None:
    assert journal.trades() == []
    assert journal.equity() == []
    assert journal.transitions() == []
    assert journal.load("engine") is None
    assert journal.equity_at(MarketTime(100)) is None


def test_trades_equity_and_transitions_come_back_in_order(journal: Journal) -> None:
    trades = [closed_trade(number) for number in (1, 2, 3)]
    moved = GuardTransition(MarketTime(7200), "normal", "reduced", "losing streak of 10 reaches 10")
    with journal.transaction():
        for trade in trades:
            journal.record_trade(trade)
        for time_, equity in ((7200, 1.5), (3600, 1.0), (10_800, 2.0)):
            journal.record_equity(MarketTime(time_), equity)
        journal.record_transition(moved)
    assert journal.trades() == trades
    assert journal.trades(closed_after=MarketTime(trades[0].exit_time)) == trades[1:]
    assert journal.equity() == [(MarketTime(3600), 1.0), (MarketTime(7200), 1.5), (MarketTime(10_800), 2.0)]
    assert journal.equity(after=MarketTime(3600)) == [(MarketTime(7200), 1.5), (MarketTime(10_800), 2.0)]
    assert [journal.equity_at(MarketTime(at)) for at in (3599, 3600, 9000)] == [None, 1.0, 1.5]
    assert journal.transitions() == [moved]


def test_a_candle_that_is_committed_twice_is_recorded_once(journal: Journal) -> None:
    for equity in (1.0, 2.0):
        with journal.transaction():
            journal.record_equity(MarketTime(3600), equity)
            journal.save("engine", {"equity": equity})
    assert journal.equity() == [(MarketTime(3600), 2.0)]
    assert journal.load("engine") == {"equity": 2.0}


def test_a_transaction_that_fails_leaves_nothing_of_itself(journal: Journal) -> None:
    def half_a_candle() -> None:
        with journal.transaction():
            journal.record_trade(closed_trade())
            journal.save("engine", {"guard": "reduced"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_a_candle()
    assert journal.trades() == []
    assert journal.load("engine") is None
    with journal.transaction():
        journal.record_trade(closed_trade())
    assert len(journal.trades()) == 1


def test_a_commit_that_fails_leaves_nothing_open(journal: Journal) -> None:
    journal._connection.execute("PRAGMA foreign_keys=ON")
    journal._connection.execute("CREATE TABLE odd (id REFERENCES trades (id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"), journal.transaction():
        journal._connection.execute("INSERT INTO odd VALUES (7)")
    with journal.transaction():
        journal.save("engine", {"bars": 1})
    assert journal.load("engine") == {"bars": 1}


class OnBadDisk(sqlite3.Connection):
    """Where the statements in `failing` fail as by a disk's error; `tried` has what the log of a commit holds then."""

    failing: tuple[str, ...] = ()
    tried: ClassVar[list[list[tuple[str, Any]]]] = []
    statements: list[tuple[str, Any]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.statements = [] if sql.startswith("BEGIN") else [*getattr(self, "statements", []), (sql, parameters)]
        if sql.startswith(self.failing) and super().execute("PRAGMA database_list").fetchone()[2]:
            if sql == "COMMIT":
                self.tried.append(self.statements)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return super().execute(sql, parameters)


@pytest.mark.parametrize("lands", [None, 0, 1, 2])
def test_a_commit_that_failed_and_is_in_the_log_all_the_same_is_no_damage(
    lands: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite shows what it could not sync once the log is opened anew: once after a failure, or after any later one."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", partial(connect, factory=OnBadDisk))
    monkeypatch.setattr(OnBadDisk, "tried", [])
    journal = Journal(tmp_path / "btc.sqlite")

    def candle(number: int) -> None:
        with journal.transaction():
            journal.record_equity(MarketTime(number), float(number))
            journal.save("engine", {"bars": number})
            journal.post("audit", {"bars": number})
        journal.told(journal.outbox()[0])

    candle(1)
    monkeypatch.setattr(OnBadDisk, "failing", ("COMMIT",))
    candle(2)
    candle(3)
    assert journal.unwritten == "disk I/O error"
    assert len(OnBadDisk.tried) >= 3
    if lands is not None:
        with closing(connect(journal.path, isolation_level=None)) as found:
            for sql, parameters in [("BEGIN", ()), *OnBadDisk.tried[lands]]:
                found.execute(sql, parameters)
    monkeypatch.setattr(OnBadDisk, "failing", ())
    assert journal.write_again()
    candle(4)
    journal.close()
    with read_journal(journal.path) as kept:
        assert kept.equity() == [(MarketTime(number), float(number)) for number in range(1, 5)]
        assert kept.load("engine") == {"bars": 4}
        assert kept.outbox() == []


@pytest.mark.parametrize("amid", [False, True])
def test_a_disk_that_can_neither_be_written_nor_read_ends_nothing(
    amid: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=OnBadDisk))
    journal = Journal(tmp_path / "btc.sqlite")
    journal.record_equity(MarketTime(1), 1.0)
    monkeypatch.setattr(OnBadDisk, "failing", ("",))
    if amid:
        monkeypatch.setattr(OnBadDisk, "failing", ())
        with journal.transaction():
            journal.record_equity(MarketTime(2), 2.0)
            monkeypatch.setattr(OnBadDisk, "failing", ("",))
            assert [value for _, value in journal.equity()] == [1.0, 2.0]
            journal.post("audit", {"bars": 2})
    else:
        assert [value for _, value in journal.equity()] == [1.0]
        with journal.transaction():
            journal.record_equity(MarketTime(2), 2.0)
            journal.post("audit", {"bars": 2})
    assert journal.unwritten == "disk I/O error"
    assert not journal.write_again()
    monkeypatch.setattr(OnBadDisk, "failing", ())
    assert journal.write_again()
    journal.close()
    with read_journal(journal.path) as kept:
        assert [value for _, value in kept.equity()] == [1.0, 2.0]
        assert [posted.content for posted in kept.outbox()] == [{"bars": 2}]


def test_what_another_of_ours_writes_in_between_is_known_where_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=OnBadDisk))
    with closing(Journal(tmp_path / "btc.sqlite")) as journal, closing(Journal(tmp_path / "btc.sqlite")) as other:
        other.record_equity(MarketTime(1), 1.0)
        journal.record_equity(MarketTime(2), 2.0)
        monkeypatch.setattr(OnBadDisk, "failing", ("",))
        assert [value for _, value in journal.equity()] == [1.0, 2.0]
        monkeypatch.setattr(OnBadDisk, "failing", ())


@pytest.mark.parametrize("what", ["*", "btc.sqlite", "btc.sqlite-wal", "btc.sqlite-shm"])
def test_a_journal_that_is_moved_away_while_it_is_open_is_one_that_cannot_be_written(what: str, tmp_path: Path) -> None:
    """What was written to a file that nobody finds any more was gone with the next start, and nothing said so."""
    folder, aside = tmp_path / "state", tmp_path / "aside"
    aside.mkdir()
    journal = Journal(folder / "btc.sqlite")
    journal.record_equity(MarketTime(1), 1.0)
    for path in list(folder.glob(what)):
        path.rename(aside / path.name)
    journal.record_equity(MarketTime(2), 2.0)
    if what in ("*", "btc.sqlite"):
        assert journal.unwritten
        assert not journal.write_again()
        for path in aside.iterdir():
            path.rename(folder / path.name)
        assert journal.write_again()
    assert journal.unwritten is None
    journal.record_equity(MarketTime(3), 3.0)
    journal.close()
    with read_journal(journal.path) as kept:
        assert [value for _, value in kept.equity()] == [1.0, 2.0, 3.0]


def test_a_journal_that_is_moved_away_while_another_process_holds_it_is_missed(tmp_path: Path) -> None:
    """What waited for the lock was written to the file that nobody finds, and that was never noticed again."""
    path, aside = tmp_path / "state" / "btc.sqlite", tmp_path / "aside.sqlite"
    journal = Journal(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        journal.record_equity(MarketTime(1), 1.0)
        path.rename(aside)
    assert not journal.write_again()
    aside.rename(path)
    assert journal.write_again()
    journal.close()
    with read_journal(path) as kept:
        assert [value for _, value in kept.equity()] == [1.0]


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("what", ["*", "btc.sqlite"])
def test_a_journal_that_was_removed_for_good_is_written_anew_after_a_minute(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The bot went on in memory, and entered nothing, until it was started again: and then it had forgotten all."""
    clock = Hand()
    path = tmp_path / "state" / "btc.sqlite"
    journal = Journal(path, monotonic=clock)
    with journal.transaction():
        journal.record_trade(closed_trade(1))
        journal.save("engine", {"bars": 1})
    # Who reads beside the bot keeps the log of the one that is gone from going with it.
    reader = sqlite3.connect(path)
    reader.execute("SELECT count(*) FROM trades").fetchone()
    for part in list(path.parent.glob(what)):
        part.unlink()
    with journal.transaction():
        journal.record_trade(closed_trade(2))
        journal.save("engine", {"bars": 2})
    for clock.seconds in (1.0, 30.0, 59.0):
        assert not journal.write_again()
        assert not path.exists()
    clock.seconds = 62.0
    assert journal.write_again()
    assert "it was gone for" in capfd.readouterr().err
    assert journal.unwritten is None
    assert path.stat().st_mode & 0o777 == 0o600
    with journal.transaction():
        journal.record_trade(closed_trade(3))
    journal.close()
    with closing(Journal(path)) as again:
        assert again.trades() == [closed_trade(1), closed_trade(2), closed_trade(3)]
        assert again.load("engine") == {"bars": 2}
    reader.close()


@pytest.mark.parametrize("back", [False, True])
def test_a_journal_whose_folder_went_with_it_is_not_written_anew(back: bool, tmp_path: Path) -> None:
    """A disk that is no longer mounted leaves an empty folder, in which a journal would be hidden by the next mount."""
    clock = Hand()
    path = tmp_path / "state" / "btc.sqlite"
    journal = Journal(path, monotonic=clock)
    journal.record_equity(MarketTime(1), 1.0)
    path.parent.rename(tmp_path / "elsewhere")
    if back:
        path.parent.mkdir()
    for clock.seconds in (1.0, 100.0, 1000.0):
        journal.record_equity(MarketTime(1 + int(clock.seconds)), 2.0)
        assert journal.unwritten
    assert not path.exists()
    if back:
        path.parent.rmdir()
    (tmp_path / "elsewhere").rename(path.parent)
    assert journal.write_again()
    journal.close()
    with read_journal(path) as kept:
        assert len(kept.equity()) == 4


def test_a_journal_that_costs_long_to_be_refused_is_tried_the_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on the log's index is waited for 10 s within SQLite: tried each half second, the bot did nothing else."""
    clock = Hand()

    class Slow(OnBadDisk):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if OnBadDisk.failing and sql.startswith("BEGIN"):
                clock.seconds += 10.0
            return super().execute(sql, parameters)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Slow))
    journal = Journal(tmp_path / "btc.sqlite", monotonic=clock)
    monkeypatch.setattr(OnBadDisk, "failing", ("BEGIN",))
    journal.record_equity(MarketTime(1), 1.0)
    waited, begun = 0.0, clock.seconds
    while clock.seconds < begun + 600:
        clock.seconds += 0.5
        before = clock.seconds
        assert not journal.write_again()
        waited += clock.seconds - before
    assert 10.0 <= waited <= 60.0
    monkeypatch.setattr(OnBadDisk, "failing", ())
    clock.seconds += 100.0
    assert journal.write_again()
    journal.close()
    with read_journal(journal.path) as kept:
        assert [value for _, value in kept.equity()] == [1.0]


def test_an_older_copy_that_is_put_in_the_place_of_an_open_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state" / "btc.sqlite"
    with closing(Journal(path)) as journal:
        journal.record_equity(MarketTime(1), 1.0)
    old = path.read_bytes()
    journal = Journal(path)
    journal.record_equity(MarketTime(2), 2.0)
    path.rename(tmp_path / "aside.sqlite")
    path.write_bytes(old)
    path.with_name("btc.sqlite-wal").unlink()
    with pytest.raises(DamagedJournalError, match="older than it was"):
        journal.record_equity(MarketTime(3), 3.0)


def test_a_copy_waits_for_who_holds_the_journal_no_longer_than_the_caller_would(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0.1)) as reader,
    ):
        holder.execute("CREATE TABLE one (id)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked") as raised:
            copied(reader)
        assert is_unwritable(raised.value)


def test_a_bot_killed_amid_its_transactions_has_the_trade_and_the_guard_s_state_or_neither(
    tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "btc.sqlite"
    moments = random.Random(3)
    seen = 0
    for _ in range(8):
        process = start(TRADE, path)
        assert line_of(process) == "ready"
        time.sleep(moments.uniform(0.01, 0.1))  # the moment of the kill is what is tested
        process.send_signal(signal.SIGKILL)
        wait_for_exit(process)
        journal = Journal(path)
        trades, state = len(journal.trades()), journal.load("engine")
        equity = journal.equity()
        journal.close()
        assert trades == len(equity) == (0 if state is None else state["guard"]["trades_seen"])
        assert trades >= seen
        seen = trades
    assert seen > 8


def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DamagedJournalError) as raised:
        Journal(path)
    assert str(raised.value) == (f"journal {path}: is damaged (file is not a database)")
    assert raised.value.path == path


def test_a_page_that_was_overwritten_is_found_when_the_journal_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    journal = Journal(path)
    with journal.transaction():
        for number in range(500):
            journal.record_trade(closed_trade(number))
    journal.close()
    content = bytearray(path.read_bytes())
    content[4096 * 6 : 4096 * 9] = b"\xff" * 4096 * 3
    path.write_bytes(content)
    with pytest.raises(DamagedJournalError, match="is damaged") as raised:
        Journal(path)
    assert raised.value.path == path


def test_a_state_that_changes_while_the_bot_runs_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    with closing(Journal(path)) as journal:
        journal.save("engine", {"cash": 10000.0})
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE state SET value = replace(value, '10000', '90000')")
        with pytest.raises(DamagedJournalError, match="the state 'engine' is not what was saved"):
            journal.load("engine")


def test_what_is_set_aside_is_lost_in_no_part(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    for suffix in ("", "-wal", "-shm", "-head"):
        path.with_name(path.name + suffix).write_text(f"content{suffix}")
    aside = set_aside(path, now=WallTime(1_571_302_800.0), with_suffixes=BESIDE)
    assert aside.name == "btc.sqlite.damaged-2019-10-17T090000Z"
    assert {file.name.removeprefix(aside.name): file.read_text() for file in tmp_path.iterdir()} == {
        "": "content",
        "-wal": "content-wal",
        "-shm": "content-shm",
        "-head": "content-head",
    }


def test_a_journal_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=5")
    connection.close()
    with pytest.raises(JournalError) as raised:
        Journal(path)
    assert raised.value.reason == ("has version 5, this release reads 4; set it aside, or run `nightdesk run --fresh`")


def test_a_new_journal_that_is_only_busy_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "btc.sqlite"
    monkeypatch.setattr(journal_database, "OPENING_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError) as raised:
            Journal(path)
    assert not isinstance(raised.value, DamagedJournalError)
    assert raised.value.reason == "cannot be opened (database is locked); see what else uses it"


def test_a_journal_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as raised:
        Journal(tmp_path)
    assert str(raised.value) == f"journal {tmp_path}: is a folder where a file must be; move it away"


def test_a_committed_transaction_survives_a_power_cut(journal: Journal) -> None:
    (mode,) = journal._connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = journal._connection.execute("PRAGMA synchronous").fetchone()
    assert (mode, synchronous) == ("wal", 2)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_to_the_last_bit(journal: Journal, number: float) -> None:
    with journal.transaction():
        journal.record_trade(closed_trade(profit=number))
        journal.record_equity(MarketTime(1), number)
        journal.save("engine", {"cash": number})
    stored = journal.load("engine")
    assert stored is not None
    # SQLite keeps no sign of a zero, and equality sees none.
    assert (journal.trades()[-1].profit, journal.equity_at(MarketTime(1)), stored["cash"]) == (number, number, number)


def test_nan_is_never_journalled(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal.record_trade(closed_trade(profit=float("nan")))
    with pytest.raises(ValueError, match="Out of range float"), journal.transaction():
        journal.save("engine", {"cash": float("nan")})
    assert journal.trades() == []
    assert json.dumps(journal.load("engine")) == "null"


def test_a_reader_changes_nothing_and_reads_beside_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    journal = Journal(path)
    with journal.transaction():
        journal.record_trade(closed_trade(1))
    with journal.transaction(), read_journal(path) as copy:
        journal.record_trade(closed_trade(2))
        assert len(copy.trades()) == 1
    journal.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with read_journal(path) as copy:
        assert len(copy.trades()) == 2
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_reader_of_a_damaged_journal_names_the_journal_and_not_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "btc.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalError) as raised, read_journal(path):
        pass
    assert raised.value.path == path


def closes(days: int) -> list[tuple[MarketTime, float]]:
    """Return equity at each hour's close: that at midnight is the day's last."""
    return [(MarketTime(hour * 3600), float(hour)) for hour in range(1, days * 24 + 1)]


def test_old_equity_is_thinned_to_each_day_s_end_and_the_rest_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "btc.sqlite")
    with journal.transaction():
        for time_, equity in closes(10):
            journal.record_equity(time_, equity)
    journal.thin_equity(before=MarketTime(6 * DAY_SECONDS + 7200))
    ends = [(MarketTime(day * DAY_SECONDS), float(day * 24)) for day in range(1, 7)]
    # What is old of a day that is not over yet has a last one, too.
    assert journal.equity() == [*ends, *closes(10)[6 * 24 :]]
    journal.thin_equity(before=MarketTime(math.inf))
    assert journal.equity() == [(MarketTime(day * DAY_SECONDS), float(day * 24)) for day in range(1, 11)]
    journal.close()
    assert len(Journal(tmp_path / "btc.sqlite").equity()) == 10, "what was thinned must be accounted for"


def test_nothing_is_thinned_where_all_is_kept_and_no_call_takes_long(journal: Journal) -> None:
    count = 2 * MOST_THINNED
    with journal.transaction():
        for minute in range(1, count + 1):
            journal.record_equity(MarketTime(minute * 60), 1.0)
    journal.thin_equity(before=MarketTime(-math.inf))
    assert len(journal.equity()) == count
    with journal.transaction():
        journal.thin_equity(before=MarketTime(math.inf))
    assert len(journal.equity()) == count - MOST_THINNED
    for _ in range(3):
        journal.thin_equity(before=MarketTime(math.inf))
    assert len(journal.equity()) == -(-count * 60 // DAY_SECONDS)


def test_a_journal_that_is_closed_twice_is_closed_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "bot.sqlite")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.equity()
