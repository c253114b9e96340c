"""The kill switch of any bot: heard in time, lost by nothing, lifted by a person only."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightdesk_core.journal.journal import read_journal
from nightdesk_guard import GuardStatus, tripwire
from nightdesk_guard.store import FILE_NAME

from tests.core.conftest import closed_trade
from tests.disks import full_disk, held_by_another_process
from tests.guard.own_bot import OwnBot, Told, own_bot

DAY = 86_400


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[OwnBot]:
    with own_bot(tmp_path) as bot:
        bot.see()
        yield bot


class Sleep:
    """Sleeps no time at all, and lets something happen at the third nap."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.happens = happens
        self.naps: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.naps.append(seconds)
        if len(self.naps) == 3:
            self.happens()


def never(_seconds: float) -> None:
    pytest.fail("it slept")


def test_a_file_kill_is_heard_within_a_second_though_the_next_candle_is_an_hour_away(bot: OwnBot) -> None:
    sleep = Sleep(bot.switch.kill_file.touch)
    assert bot.guard.wait(3600, sleep=sleep)
    assert len(sleep.naps) == 3
    assert max(sleep.naps) <= 0.5
    assert bot.guard.must_close
    assert bot.guard.blocked == "blocked_kill_switch"
    bot.switch.kill_file.unlink()
    assert bot.guard.blocked == "blocked_kill_switch", "it is latched"


def test_a_kill_that_came_between_two_calls_is_heard_at_once(bot: OwnBot) -> None:
    assert not bot.guard.must_close
    bot.switch.activate("right now", actor="ann", positions="close")
    assert bot.guard.blocked == "blocked_kill_switch", "the bot does not enter, and knows nothing of closing"
    assert bot.guard.wait(3600, sleep=never)
    assert bot.guard.must_close


def test_what_the_bot_knows_lets_it_sleep(bot: OwnBot) -> None:
    bot.switch.activate("a test", actor="ann", positions="close")
    assert bot.guard.must_close
    assert bot.guard.wait(0.002), "it slept to the end, and is active all the same"
    bot.switch.resume("it is over", actor="ann")
    assert not bot.guard.wait(0.002)
    bot.switch.activate("another", actor="ann", positions="close")
    assert bot.guard.wait(3600, sleep=never)


def test_a_bot_that_never_asks_is_told_once(bot: OwnBot) -> None:
    bot.switch.activate("a test", actor="ann")
    assert bot.guard.wait(3600, sleep=never)
    assert bot.guard.wait(0.002)


def test_that_kept_positions_are_to_be_closed_after_all_is_heard_too(bot: OwnBot) -> None:
    bot.switch.activate("a test", actor="ann", positions="keep")
    assert not bot.guard.must_close
    sleep = Sleep(lambda: bot.switch.activate("close", actor="ann", positions="close"))
    assert bot.guard.wait(3600, sleep=sleep)
    assert bot.guard.must_close


def test_nothing_is_closed_at_stale_prices(bot: OwnBot) -> None:
    bot.switch.activate("a test", actor="ann", positions="close")
    bot.now += 301
    assert not bot.guard.must_close
    assert bot.guard.wait(3600, sleep=never), "what could not be closed is not done with"
    bot.see(leverage=1.0)
    assert bot.guard.must_close


def test_a_price_that_is_stale_for_half_an_hour_with_a_position_open_trips_it(bot: OwnBot) -> None:
    bot.see(leverage=1.0)
    bot.now += 1800
    assert bot.guard.blocked == "blocked_stale"
    bot.now += 1
    assert bot.guard.wait(3600, sleep=never)
    switch = bot.switch.state()
    assert switch.reason == "a position is open and its price is 1801 s old, the limit is 1800 s"
    assert not bot.guard.must_close


def test_without_a_position_a_stale_account_clears_by_itself(bot: OwnBot) -> None:
    bot.now += 10 * DAY
    assert bot.guard.blocked == "blocked_stale"
    bot.see()
    assert bot.guard.blocked is None


def test_a_fall_to_the_floor_closes_positions_and_a_lift_measures_anew_also_after_a_restart(bot: OwnBot) -> None:
    bot.see(days=1, money=960.0)
    bot.restart()
    bot.see(days=1, money=800.0, leverage=1.0)
    assert bot.guard.must_close
    assert bot.switch.state().reason == "drawdown 20.00% reaches the floor of 20.00%"
    bot.switch.resume("looked into it", actor="ann")
    bot.restart()
    bot.see(leverage=1.0)
    assert bot.guard.blocked == "blocked_guard", "the performance guard is not lifted by that"
    bot.see(money=790.0)
    assert not bot.switch.state().active


@pytest.mark.parametrize("restarted", [False, True])
def test_a_latch_that_is_lost_comes_back(restarted: bool, bot: OwnBot) -> None:
    bot.switch.activate("the exchange is broken", actor="ann", positions="close")
    bot.see()
    bot.switch.path.unlink()
    if restarted:
        bot.restart()
    assert bot.guard.blocked == "blocked_kill_switch"
    switch = bot.switch.state()
    assert switch.reason == "its latch was lost or restored from before: the exchange is broken"
    assert switch.positions == "close"


def test_a_kill_from_before_the_start_is_known_before_anything_is_shown(bot: OwnBot) -> None:
    bot.switch.kill_file.touch()
    bot.restart()
    assert bot.guard.blocked == "blocked_kill_switch"
    assert bot.guard.wait(3600, sleep=never)


def test_it_is_tried_at_the_start_and_once_a_day(tmp_path: Path) -> None:
    told = Told()
    with own_bot(tmp_path, reporter=told) as bot:
        assert told.count("kill_switch_tested") == 1
        for _ in range(60):
            bot.now += 3600
            bot.guard.wait(0)
        assert told.count("kill_switch_tested") == 3


def test_a_self_test_that_fails_trips_it(bot: OwnBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tripwire, "trips", lambda *_, **__: None)
    bot.now += DAY
    assert bot.guard.blocked == "blocked_kill_switch"
    assert bot.switch.state().reason.startswith("self-test: it did not trip for the floor;")


def test_a_memory_that_the_disk_does_not_take_blocks_entries_until_it_does(bot: OwnBot) -> None:
    path = bot.state_dir / FILE_NAME
    before = path.read_bytes()
    path.unlink()
    path.mkdir()  # no file can be put there
    bot.lose()
    assert bot.guard.blocked == "blocked_disk"
    bot.see(money=990.0)
    assert bot.guard.blocked == "blocked_disk"
    path.rmdir()
    path.write_bytes(before)
    assert bot.guard.blocked is None
    assert bot.remembered.memory.performance.losing_streak == 1, "what was told meanwhile counts"


@pytest.mark.parametrize("journalled", [False, True])
def test_known_failure_23_a_full_disk_stops_entries_of_an_own_bot_and_raises_nothing(
    journalled: bool, tmp_path: Path
) -> None:
    told = Told()
    with own_bot(tmp_path, journalled=journalled, reporter=told) as bot:
        bot.see()
        with full_disk():
            bot.lose(4)
            assert bot.see(money=960.0) is GuardStatus.REDUCED
            bot.now += 2 * DAY  # the self-test is due: a disk that takes nothing is no reason to trip the switch
            bot.see()
            assert bot.guard.blocked == "blocked_disk"
            assert not bot.guard.must_close
            assert "guard's memory" in {given["what"] for name, given in told.calls if name == "unwritable"}
            assert not bot.switch.state().active
            assert bot.events == []
        bot.now += 120  # what could not be told is told again after a minute
        bot.see()
        assert bot.guard.blocked is None
        assert told.last("unwritable")["reason"] == ""
        assert bot.guard.status is GuardStatus.REDUCED
        assert bot.events.count("guard_transition") == 1
        bot.restart()
        assert bot.guard.status is GuardStatus.REDUCED
        assert bot.remembered.memory.performance.losing_streak == 4


def test_a_process_without_files_left_enters_nothing_and_is_not_killed_by_it(bot: OwnBot) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        blocked = bot.guard.blocked
        bot.lose()
        bot.see()
        closes = bot.guard.must_close
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (blocked, closes) == ("blocked_kill_switch", False)
    assert bot.guard.blocked is None
    assert not bot.switch.state().active
    assert bot.remembered.memory.performance.losing_streak == 1


def test_a_journal_that_another_process_holds_stops_entries_of_an_own_bot_until_it_lets_go(tmp_path: Path) -> None:
    with own_bot(tmp_path, journalled=True) as bot:
        bot.see()
        assert bot.journal is not None
        with held_by_another_process(bot.journal.path):
            with bot.journal.transaction():
                bot.journal.record_trade(closed_trade(1))
                bot.lose()
            assert bot.guard.blocked == "blocked_disk"
            assert len(bot.journal.trades()) == len(bot.remembered.closed) == 1
        assert bot.guard.blocked is None
        with read_journal(bot.journal.path) as disk:
            assert len(disk.trades()) == 1


def test_a_kill_that_cannot_be_latched_stops_the_bot_all_the_same(bot: OwnBot) -> None:
    lock = bot.switch.path.with_suffix(".lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    bot.see(money=700.0)
    assert bot.guard.blocked == "blocked_kill_switch"
    assert not bot.switch.state().active
    lock.rmdir()
    assert bot.guard.blocked == "blocked_kill_switch"
    assert bot.switch.state().active


@pytest.mark.parametrize("journalled", [False, True])
async def test_asyncio_waits_in_a_thread_and_hears_the_kill_while_the_loop_goes_on(
    journalled: bool, tmp_path: Path
) -> None:
    with own_bot(tmp_path, journalled=journalled) as bot:
        bot.see()
        waiting = asyncio.create_task(asyncio.to_thread(bot.guard.wait, 60))
        for number in range(20):
            bot.lose()
            bot.see(money=1000.0 + number)
            assert not waiting.done()
            await asyncio.sleep(0)
        bot.switch.kill_file.touch()
        assert await asyncio.wait_for(waiting, 10)
        assert bot.guard.must_close
        assert bot.remembered.memory.performance.losing_streak == 20
        bot.see()
        assert bot.events.count("kill_switch_activated") == 1
