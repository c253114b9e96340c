"""What a guard remembers: a restart at any point changes nothing, and a journal's transaction takes it along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import DamagedJournalError, Journal
from nightdesk_guard import Guard, GuardError, guard, notices, runtime, store
from nightdesk_guard.store import FILE_NAME, Remembered, SmallStore

from tests.guard.conftest import BREAK_EVEN, NORMAL, PAUSED, REDUCED
from tests.guard.own_bot import OwnBot, own_bot
from tests.guard.simulations import trade
from tests.killing import killed_at

FIRST_FORMAT = Path(__file__).with_name("formats") / "first_guard_memory.json"
CALLS = st.lists(st.tuples(st.sampled_from(["trade", "shadow", "see"]), st.floats(-30, 30), st.booleans()), max_size=40)


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[OwnBot]:
    with own_bot(tmp_path, journalled=True) as bot:
        bot.see()
        yield bot


def play(bot: OwnBot, calls: list[tuple[str, float, bool]], *, restarts: bool) -> list[Remembered]:
    """Make the calls, some of them followed by a restart; return what was remembered after each."""
    found = []
    for call, money, restarted in calls:
        if call == "trade":
            bot.guard.trade(profit=money, risk=10.0)
        elif call == "shadow":
            bot.guard.shadow_trade(profit=money, risk=10.0)
        else:
            bot.see(days=1, money=max(bot.money + money, 1.0), leverage=1.0)
        if restarts and restarted:
            bot.restart()
        found.append(bot.remembered)
    return found


@pytest.mark.parametrize("journalled", [False, True])
@settings(max_examples=25, deadline=None)
@given(calls=CALLS)
def test_a_guard_that_is_restarted_at_any_point_is_the_one_that_was_not(
    journalled: bool, calls: list[tuple[str, float, bool]]
) -> None:
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        own_bot(Path(one), journalled=journalled) as steady,
        own_bot(Path(other), journalled=journalled) as restarted,
    ):
        expected = play(steady, calls, restarts=False)
        assert play(restarted, calls, restarts=True) == expected
        assert restarted.guard.status is steady.guard.status
        assert restarted.events == steady.events


def test_on_entry_it_takes_up_what_another_has_left_since_it_was_made(tmp_path: Path) -> None:
    early = Guard(tmp_path / "state", break_even_win_rate=BREAK_EVEN)
    with own_bot(tmp_path) as bot:
        bot.pause()
    with early:
        assert early.status is PAUSED


def test_known_failure_4_a_restart_forgets_neither_pause_nor_streak_nor_peak(tmp_path: Path) -> None:
    with own_bot(tmp_path) as bot:
        bot.see(money=1100.0)
        bot.lose(4)
        bot.see(money=1090.0)
        bot.restart()
        assert bot.guard.status is REDUCED
        bot.lose()
        assert bot.see() is PAUSED
        assert bot.remembered.memory.performance.peak_equity == 1100.0
        bot.restart()
        assert bot.guard.status is PAUSED
        bot.see()
        assert bot.guard.blocked == "blocked_guard"


def test_killed_at_any_line_it_loses_no_move_and_asks_for_one_retrain(tmp_path: Path) -> None:
    calls, line = 0, 0
    while True:
        line += 4
        with own_bot(tmp_path / str(line)) as bot:
            bot.see()
            bot.lose(5)
            killed = killed_at(line, (guard, runtime, store, notices), bot.see)
            bot.restart()
            assert bot.see() is PAUSED
            bot.see()
            assert [entry.details["after"] for entry in bot.audit.entries() if "after" in entry.details] in (
                ["paused"],
                ["paused", "paused"],
            ), line
            assert bot.events.count("retrain_requested") == 1, line
            assert bot.remembered.owed == ()
            bot.audit.verify()
        calls += 1
        if not killed:
            break
    assert calls > 15


def test_killed_at_any_line_of_a_trade_it_counts_once_or_not_at_all(tmp_path: Path) -> None:
    seen, line, killed = set(), 0, True
    while killed:
        line += 2
        with own_bot(tmp_path / str(line)) as bot:
            bot.see()
            killed = killed_at(line, (guard, store), bot.lose)
            bot.restart()
            bot.see()
            seen.add((killed, bot.remembered.memory.performance.losing_streak))
    assert seen == {(True, 0), (True, 1), (False, 1)}


def fail_after(bot: OwnBot, journal: Journal) -> None:
    with journal.transaction():
        journal.record_trade(trade(r=-1.0))
        bot.lose(5)
        raise ZeroDivisionError


def test_a_trade_is_committed_with_the_journal_s_transaction_or_not_at_all(bot: OwnBot) -> None:
    assert bot.journal is not None
    with pytest.raises(ZeroDivisionError):
        fail_after(bot, bot.journal)
    assert bot.journal.trades() == []
    assert bot.see() is NORMAL
    assert bot.remembered.memory.performance.losing_streak == 0
    with bot.journal.transaction():
        bot.journal.record_trade(trade(r=-1.0))
        bot.lose(5)
    bot.restart()
    assert len(bot.journal.trades()) == 1
    assert bot.see() is PAUSED


def test_equity_within_a_transaction_is_refused(bot: OwnBot) -> None:
    assert bot.journal is not None
    with pytest.raises(GuardError) as raised, bot.journal.transaction():
        bot.see()
    assert str(raised.value) == "equity() has a transaction of its own: call it outside of the journal's"
    assert bot.guard.blocked == "blocked_guard"
    assert bot.see() is NORMAL


def test_a_move_stands_in_the_journal_s_history_with_the_state_that_it_led_to(bot: OwnBot) -> None:
    assert bot.journal is not None
    bot.pause()
    (moved,) = bot.journal.transitions()
    assert (moved.before, moved.after) == ("normal", "paused")
    assert moved == bot.remembered.moved
    assert not (bot.state_dir / FILE_NAME).exists()


def refusal(path: Path, content: str) -> str:
    """Return what is said of a memory with such a content."""
    path.write_text(content)
    with pytest.raises(GuardError) as raised:
        Guard(path.parent, break_even_win_rate=BREAK_EVEN)
    said = str(raised.value)
    before, after = f"{path} holds no guard's memory (", "): find out why and set it aside; the guard then begins anew"
    assert said.startswith(before)
    assert said.endswith(after)
    return said.removeprefix(before).removesuffix(after)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is not JSON: Expecting value, line 1 column 1"),
        ("[1]", "Input should be an object"),
        ('{"memory": {"performance": {"status": "happy"}}}', "memory.performance.status: Input should be 'normal'"),
        ('{"owed": 5}', "owed: Input should be a valid array"),
        ('{"colour": 1}', "colour: is not a key that exists here"),
        ('{"shadow_equity": "much"}', "shadow_equity: Input should be a valid number"),
        ('{"shadow_equity": NaN}', "is not JSON: NaN is no finite number"),
    ],
)
def test_a_memory_that_is_damaged_is_refused_for_it_may_hold_a_pause(content: str, why: str, tmp_path: Path) -> None:
    assert refusal(tmp_path / FILE_NAME, content).startswith(why)


def keys(record: Any, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of every key in a document."""
    parts = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    for key, part in parts:
        if isinstance(record, dict):
            yield (*place, key)
        yield from keys(part, *place, key)


def test_a_memory_that_lacks_any_key_is_refused(tmp_path: Path) -> None:
    with own_bot(tmp_path) as bot:
        bot.pause()
        bot.lose()
        whole = (bot.state_dir / FILE_NAME).read_text()
    places = list(keys(json.loads(whole)))
    assert len(places) > 40
    for place in places:
        document = part = json.loads(whole)
        for key in place[:-1]:
            part = part[key]
        del part[place[-1]]
        said = refusal(tmp_path / "state" / FILE_NAME, json.dumps(document))
        assert ".".join(map(str, place)) in said or "missing" in said.lower(), place


def test_what_an_earlier_release_remembered_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE_NAME).write_bytes(FIRST_FORMAT.read_bytes())
    with own_bot(tmp_path) as bot:
        assert bot.guard.status is REDUCED
        known = bot.remembered
        assert known.memory.performance.peak_equity == 1000.0
        assert known.memory.performance.wins == (False, False, False)
        assert known.seen.anchors.day_start == 970.0
        assert (len(known.closed), len(known.shadow_closed), known.shadow_equity) == (1, 1, 975.0)
        assert known.moved is not None
        assert known.moved.after == "reduced"
        bot.see(money=970.0)
        bot.restart()
        assert bot.guard.status is REDUCED


def test_a_memory_that_is_damaged_in_the_journal_is_refused_too(bot: OwnBot) -> None:
    assert bot.journal is not None
    bot.journal._connection.execute("UPDATE state SET value = '{}'")
    with pytest.raises(DamagedJournalError, match="is not what was saved"):
        bot.see()


def test_what_is_remembered_is_read_as_it_was_written(bot: OwnBot) -> None:
    bot.pause()
    bot.lose(2)
    bot.guard.shadow_trade(profit=1.0, risk=3.0, fees=0.1)
    known = replace(bot.remembered, owed=(notices.Notice("audit", {"event": "e", "details": {}}),))
    written = json.loads(json.dumps(stored.plain(known)))
    assert stored.from_plain(Remembered, written, source="a test", complete=True) == known
    assert len(known.closed) == 2
    assert known.shadow_equity == 1001.0


def test_what_is_changed_outside_of_a_transaction_is_refused_for_nobody_would_keep_it(tmp_path: Path) -> None:
    small = SmallStore(tmp_path)
    with pytest.raises(GuardError, match="within a transaction of its store only"):
        small.owe([notices.Notice("audit", {})])
    assert small.owed() == ()
