"""The live bot on a disk that takes nothing: it enters nothing, looks after what is open, and loses nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.journal.journal import read_journal
from nightdesk_guard import KillSwitch
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.model.backtest import Run
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.signals.candles import Candles
from nightdesk_trendbot.signals.signal import Outcome

from tests.campaigns import SEED, cases
from tests.disks import FullDisk, SmallDisk, full_disk, held_by_another_process
from tests.trendbot.conftest import FIRST, MakeParts, Trade
from tests.trendbot.live.against_backtest import assert_same_as_backtest, blocked_in
from tests.trendbot.replay import SYMBOL, Replay

STOP = FIRST + 165
Fault = Callable[[LiveParts], Any]


@contextmanager
def kernel_refuses(_parts: LiveParts) -> Iterator[None]:
    with full_disk():
        yield


@contextmanager
def is_a_folder(path: Path) -> Iterator[None]:
    """Put a folder in the place of a file, which nothing can be written to."""
    aside = path.with_name(path.name + ".aside")
    if path.exists():
        path.rename(aside)
    path.mkdir()
    yield
    path.rmdir()
    if aside.exists():
        aside.rename(path)


FAULTS: dict[str, Fault] = {
    "a full disk": kernel_refuses,
    "a journal that is held": lambda parts: held_by_another_process(parts.journal.path),
    "decisions that cannot be written": lambda parts: is_a_folder(parts.decisions.path),
}


class Faults:
    """Lets a fault hold in some hours of a replay, and looks at the bot in the midst of it."""

    def __init__(self, parts: LiveParts, fault: Fault, hours: range) -> None:
        self._parts = parts
        self._fault = fault
        self._hours = hours
        self._open = ExitStack()
        self.alerted = False
        self.held: list[Any] = []

    def on_hour(self, hour: int) -> None:
        if hour == self._hours.start:
            self._open.enter_context(self._fault(self._parts))
        if hour == self._hours.stop - 1:
            self.alerted = any(issue.name == "disk_unwritable" for issue in self._parts.exporter.health().issues)
            with read_journal(self._parts.journal.path) as disk:
                self.held = self._parts.journal.trades()[len(disk.trades()) :]
        if hour == self._hours.stop:
            self.end()

    def end(self) -> None:
        self._open.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path)
    yield disk
    disk.unmount()


async def lived(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    fault: Fault,
    hours: range,
) -> tuple[LiveParts, Faults]:
    """Run a bot through a fault; return it and what was seen."""
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    faults = Faults(parts, fault, hours)
    replay.on_hour = faults.on_hour
    try:
        await trade(parts, replay)
    finally:
        faults.end()
    return parts, faults


def assert_nothing_was_lost_or_doubled(parts: LiveParts, candles: Candles, model: MetaModel) -> Run:
    """Hold the journal, as another finds it on the disk, against the backtest that is told what was blocked."""
    blocked = blocked_in(parts)
    stop = int(candles.time[STOP - 1])
    expected = assert_same_as_backtest(parts, {SYMBOL: candles}, model, stop=stop, blocked=blocked)
    assert not {trade.entry_time for trade in expected.trades} & set(blocked)
    assert not KillSwitch(parts.state_dir).state().active
    assert parts.journal.unwritten is None
    assert parts.decisions.unwritten is None
    told = [entry.event for entry in parts.audit.entries()]
    owed = [posted.content.get("event") for posted in parts.journal.outbox()]
    # One may have been told as the bot ended, before it could note that.
    assert told.count("guard_transition") <= len(expected.transitions) <= (told + owed).count("guard_transition")
    parts.journal.close()
    with read_journal(parts.journal.path) as disk:
        assert disk.trades() == list(expected.trades)
        assert len(disk.equity()) == len(expected.equity)
    return expected


@pytest.mark.parametrize("fault", FAULTS)
async def test_known_failure_23_a_disk_that_takes_nothing_blocks_entries_and_nothing_else(
    fault: str,
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    # A position is open when it begins, its target is reached meanwhile, and there is a signal to enter on.
    hours = range(FIRST + 139, FIRST + 150)
    parts, seen = await lived(make_parts, trade, candles, FAULTS[fault], hours)

    blocked = blocked_in(parts)
    assert blocked == dict.fromkeys((int(candles.time[hour]) for hour in hours), Outcome.BLOCKED_DISK)
    expected = assert_nothing_was_lost_or_doubled(parts, candles, deployed)
    (looked_after,) = [trade for trade in expected.trades if trade.entry_time < min(blocked) < trade.exit_time]
    assert (looked_after.exit_reason, looked_after.exit_time in blocked) == ("target", True)
    assert [trade for trade in expected.trades if trade.entry_time > max(blocked)]
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_DISK] == 1
    assert seen.alerted
    assert set(parts.exporter.snapshot.unwritable.values()) == {None}, "it says that it is over"
    assert seen.held == ([] if fault == "decisions that cannot be written" else [looked_after])


async def test_a_filesystem_that_is_really_full_is_no_different(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    small_disk: SmallDisk,
    deployed: MetaModel,
) -> None:
    hours = range(FIRST + 100, FIRST + 150)
    parts, seen = await lived(make_parts, trade, candles, lambda _: small_disk.full(), hours)

    blocked = blocked_in(parts)
    assert set(blocked.values()) == {Outcome.BLOCKED_DISK}
    assert len(blocked) > 20, "it is noticed once the log of the journal must grow"
    assert seen.alerted
    assert_nothing_was_lost_or_doubled(parts, candles, deployed)


@pytest.mark.parametrize("fault", ["a full disk", "decisions that cannot be written"])
async def test_an_entry_whose_own_record_the_disk_does_not_take_is_not_made(
    fault: str,
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    # Without the fault it enters at this very close.
    hours = range(FIRST + 137, FIRST + 139)
    parts, _ = await lived(make_parts, trade, candles, FAULTS[fault], hours)

    records = {record.time.whole_seconds: record for record in parts.decisions.read()}
    first = records[int(candles.time[hours.start])]
    assert (first.outcome, first.late, first.leverage) == ("blocked_disk", "blocked_disk", 0.0)
    assert_nothing_was_lost_or_doubled(parts, candles, deployed)


@pytest.mark.kills
async def test_whenever_the_disk_takes_nothing_the_rest_is_the_backtest_s(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
    tmp_path: Path,
) -> None:
    for number in range(cases(sample=2, campaign=40)):
        moments = random.Random(f"{SEED} {number}")
        fault = moments.choice(list(FAULTS))
        start = moments.randrange(FIRST + 1, STOP - 10)
        hours = range(start, min(start + moments.randrange(1, 60), STOP - 5))
        parts, _ = await lived(make_parts, trade, candles, FAULTS[fault], hours)
        try:
            assert set(blocked_in(parts)) == {int(candles.time[hour]) for hour in hours}
            assert_nothing_was_lost_or_doubled(parts, candles, deployed)
        except AssertionError as error:
            raise AssertionError(f"{fault} in {hours}, NIGHTDESK_SEED={SEED}") from error
        for path in tmp_path.iterdir():
            if path.name != "models":
                path.unlink()


async def test_a_bot_that_starts_on_a_full_disk_goes_on_with_what_its_journal_holds(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 140))
    assert parts.exporter.snapshot.positions[SYMBOL] is not None
    parts.journal.close()
    disk = FullDisk()
    disk.fill()
    try:
        parts = make_parts()
        assert parts.journal.unwritten is not None
        replay = Replay({SYMBOL: candles}, FIRST + 140, STOP)
        replay.on_hour = lambda hour: disk.make_room() if hour == FIRST + 150 else None
        await trade(parts, replay)
    finally:
        disk.make_room()

    blocked = blocked_in(parts)
    assert set(blocked.values()) == {Outcome.BLOCKED_DISK}
    expected = assert_nothing_was_lost_or_doubled(parts, candles, deployed)
    assert [trade for trade in expected.trades if trade.entry_time < min(blocked) < trade.exit_time <= max(blocked)]


async def test_a_bot_that_ends_while_the_disk_is_full_does_again_what_it_had_in_memory(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    disk = FullDisk()
    replay = Replay({SYMBOL: candles}, FIRST, FIRST + 145)
    replay.on_hour = lambda hour: disk.fill() if hour == FIRST + 139 else None
    try:
        await trade(parts, replay)
        assert len(parts.journal.trades()) == 2
        parts.journal.close()
    finally:
        disk.make_room()
    with read_journal(parts.journal.path) as kept:
        assert len(kept.trades()) == 1
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST + 145, STOP))

    blocked = blocked_in(parts)
    assert set(blocked.values()) == {Outcome.BLOCKED_GAP}
    assert_nothing_was_lost_or_doubled(parts, candles, deployed)
