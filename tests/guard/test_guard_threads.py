"""The guard among threads and tasks: what is asked of it never waits, and what it is told follows in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.files import durable
from nightdesk_exporter import BotExporter
from nightdesk_guard import GuardError, store
from nightdesk_guard import guard as guard_module

from tests.guard.conftest import DAY, NORMAL, PAUSED, REDUCED
from tests.guard.own_bot import OwnBot, Told, own_bot


@contextmanager
def busy(bot: OwnBot) -> Iterator[None]:
    """Have another thread be in the middle of everything that the guard locks."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with bot.guard._calls, bot.guard._watch._lock:
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(5)
    try:
        yield
    finally:
        leave.set()
        thread.join()


def asked(bot: OwnBot) -> tuple[object, ...]:
    guard = bot.guard
    return guard.blocked, guard.status, guard.size_multiplier, guard.threshold_increase, guard.must_close


@pytest.mark.parametrize("journalled", [False, True], ids=["file", "journal"])
def test_what_is_asked_waits_for_no_other_thread(journalled: bool, tmp_path: Path) -> None:
    with own_bot(tmp_path, journalled=journalled) as bot:
        bot.see()
        with busy(bot):
            began = time.monotonic()
            assert asked(bot) == (None, NORMAL, 1.0, 0.0, False)
            assert time.monotonic() - began < 1
        bot.switch.activate("now", actor="ann", positions="close")
        assert asked(bot) == ("blocked_kill_switch", NORMAL, 1.0, 0.0, True)
        with busy(bot):
            assert asked(bot) == ("blocked_kill_switch", NORMAL, 1.0, 0.0, True)


def test_what_is_told_while_another_thread_is_in_a_call_for_too_long_says_so_and_blocks_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_module, "_CALL_SECONDS", 0.1)
    with own_bot(tmp_path) as bot:
        bot.see()
        with busy(bot), pytest.raises(GuardError, match="another thread has been in a call of the guard for"):
            bot.lose()
        assert bot.guard.blocked == "blocked_guard"
        bot.see()
        assert bot.guard.blocked is None


def test_calls_of_several_threads_count_each_once(tmp_path: Path) -> None:
    with own_bot(tmp_path) as bot:
        bot.see()
        threads = [threading.Thread(target=bot.lose, args=(5,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bot.remembered.closed) == 20
        assert bot.see() is PAUSED


def test_with_a_journal_a_call_of_another_thread_says_so(tmp_path: Path) -> None:
    said: list[object] = []

    def tell() -> None:
        with pytest.raises(GuardError, match="call it from the thread that both were made in") as raised:
            bot.lose()
        said.append(raised)

    with own_bot(tmp_path, journalled=True) as bot:
        bot.see()
        thread = threading.Thread(target=tell)
        thread.start()
        thread.join()
        assert said
        assert bot.guard.blocked == "blocked_guard"


async def test_in_asyncio_calls_follow_in_order_and_are_durable_when_they_return(tmp_path: Path) -> None:
    with own_bot(tmp_path) as bot:
        guard = bot.guard
        assert await guard.a_equity(1000.0, leverage=0.0) is NORMAL
        await asyncio.gather(*(guard.a_trade(profit=-10.0, risk=10.0 + n) for n in range(3)))
        assert [trade.unit for trade in bot.remembered.closed] == [10.0, 11.0, 12.0]
        assert await guard.a_equity(1000.0, leverage=0.0) is REDUCED
        await guard.a_shadow_trade(profit=5.0, risk=10.0)
        assert len(bot.remembered.shadow_closed) == 1
        await guard.a_cash_flow(-500.0)
        assert bot.remembered.account.equity == 500.0
        with pytest.raises(GuardError, match=r"risk is 0\.0"):
            await guard.a_trade(profit=1.0, risk=0.0)
        assert guard.blocked == "blocked_guard"


async def test_the_event_loop_goes_on_while_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = durable.write_json_atomic

    def slowly(*given: object) -> None:
        time.sleep(0.5)
        written(*given)  # type: ignore[arg-type]

    with own_bot(tmp_path) as bot:
        bot.see()
        monkeypatch.setattr(store, "write_json_atomic", slowly)
        telling = asyncio.create_task(bot.guard.a_trade(profit=-10.0, risk=10.0))
        turns, longest = 0, 0.0
        while not telling.done():
            began = time.monotonic()
            assert bot.guard.blocked is None
            longest = max(longest, time.monotonic() - began)
            turns += 1
            await asyncio.sleep(0.01)
        await telling
        assert turns > 5
        assert longest < 0.4


class Announced(Told):
    def announce_wait(self, until: WallTime) -> None:
        self.calls.append(("announce_wait", {"until": until}))


@pytest.mark.parametrize(("seconds", "announced"), [(3600.0, 3600.0), (90 * DAY, DAY)])
def test_a_wait_is_announced_until_its_end_a_day_at_most_and_its_end_too(
    seconds: float, announced: float, tmp_path: Path
) -> None:
    told = Announced()
    with own_bot(tmp_path, reporter=told) as bot:
        bot.see()

        def sleep(_: float) -> None:
            assert told.last("announce_wait") == {"until": WallTime(bot.now + announced)}
            bot.switch.activate("enough", actor="ann")

        assert bot.guard.wait(seconds, sleep=sleep)
        assert told.last("announce_wait") == {"until": WallTime(bot.now)}


def test_a_wait_of_no_length_is_refused_and_a_reporter_need_not_know_of_waits(tmp_path: Path) -> None:
    with own_bot(tmp_path, reporter=Told()) as bot:
        for seconds in (float("nan"), float("inf")):
            with pytest.raises(GuardError, match="pass a finite number"):
                bot.guard.wait(seconds)
        assert not bot.guard.wait(0)


def test_a_bot_that_waits_for_an_hour_is_healthy_and_one_that_hangs_then_is_found(tmp_path: Path) -> None:
    with own_bot(tmp_path, reporter=None) as first:
        start = first.now
    now = [start]
    exporter = BotExporter("mine", symbols=[], port=0, strict=True, clock=lambda: now[0])
    with own_bot(tmp_path, reporter=exporter) as bot:
        exporter.heartbeat()
        bot.see()
        stalled = []

        def sleep(_: float) -> None:
            now[0] = start + 3500
            stalled.append(any(issue.name == "loop_stalled" for issue in exporter.health().issues))
            now[0] = start + 3600 + 200
            stalled.append(any(issue.name == "loop_stalled" for issue in exporter.health().issues))
            bot.switch.activate("enough", actor="ann")

        assert bot.guard.wait(3600, sleep=sleep)
        assert stalled == [False, True]
