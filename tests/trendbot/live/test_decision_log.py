"""The decision log: written once or twice, read once, and never longer than it may be."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files.reader import InputError
from nightdesk_trendbot.live import decision_log
from nightdesk_trendbot.live.decision_log import DecisionLog, DecisionRecord

from tests.campaigns import SEED, cases
from tests.disks import full_disk

RECORD = DecisionRecord(
    time=MarketTime(3600),
    symbol="BTC/USDT:USDT",
    close=100.5,
    regime="trending_up",
    breakout=1,
    probability=0.41,
    threshold=0.33,
    guard="normal",
    size_share=1.0,
    leverage=0.8,
    late="",
    outcome="entered",
    model_version="v1",
)


def test_a_decision_comes_back_as_it_was_written(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    unknown = replace(RECORD, time=MarketTime(7200), probability=None, threshold=None, outcome="blocked_no_model")
    log.append(RECORD)
    log.append(unknown)
    assert log.read() == [RECORD, unknown]


def test_a_candle_decided_again_after_a_kill_counts_once(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append(RECORD)
    log.append(replace(RECORD, leverage=0.9))
    assert log.read() == [replace(RECORD, leverage=0.9)]


def test_a_line_that_a_crash_cut_off_hides_no_other(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append(RECORD)
    log.append(replace(RECORD, time=MarketTime(7200)))
    content = log.path.read_bytes()
    log.path.write_bytes(content[:-20])
    assert log.read() == [RECORD]
    log.append(replace(RECORD, time=MarketTime(7200)))
    log.append(replace(RECORD, time=MarketTime(10_800)))
    assert [record.time.seconds for record in log.read()] == [3600, 7200, 10_800]


def test_symbol_and_time_narrow_what_is_read(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    for time in (3600, 7200):
        for symbol in ("BTC/USDT:USDT", "EUR/USD:USD"):
            log.append(replace(RECORD, time=MarketTime(time), symbol=symbol))
    assert [record.time.seconds for record in log.read(symbol="EUR/USD:USD")] == [3600, 7200]
    assert [record.symbol for record in log.read(since=MarketTime(7200))] == ["BTC/USDT:USDT", "EUR/USD:USD"]
    assert DecisionLog(tmp_path / "none.jsonl").read() == []


SMALL = {"keep_bytes": 20_000, "part_bytes": 2_000}


def numbered(number: int) -> DecisionRecord:
    # What differs from candle to candle packs as badly as the real ones do.
    return replace(RECORD, time=MarketTime(number * 3600), close=random.Random(number).uniform(1e3, 1e5))


def sizes(log: DecisionLog) -> int:
    return sum(path.stat().st_size for path in log.path.parent.iterdir())


def test_a_long_log_is_packed_in_parts_and_read_across_them(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "[odd]-decisions.jsonl", part_bytes=2_000)
    for number in range(100):
        log.append(numbered(number))
    assert len(log.parts()) > 10
    assert log.path.stat().st_size < 2_500
    assert DecisionLog(log.path).read() == [numbered(number) for number in range(100)]
    assert DecisionLog(log.path).read(since=MarketTime(98 * 3600)) == [numbered(98), numbered(99)]


def test_however_long_a_bot_decides_its_log_has_a_bound_and_holds_the_newest_without_a_gap(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", **SMALL)
    count = cases(sample=1500, campaign=20_000)
    largest = 0
    for number in range(count):
        log.append(numbered(number))
        largest = max(largest, sizes(log))
    assert largest <= SMALL["keep_bytes"]
    kept = log.read()
    assert len(kept) > 50
    assert kept == [numbered(number) for number in range(count - len(kept), count)]


def test_a_bound_that_is_smaller_than_a_part_holds_too(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", keep_bytes=4_000)
    for number in range(200):
        log.append(numbered(number))
        assert sizes(log) <= 4_000
    assert log.read()[-1] == numbered(199)


def test_a_log_of_an_earlier_release_however_long_is_packed_at_the_next_decision(tmp_path: Path) -> None:
    old = DecisionLog(tmp_path / "decisions.jsonl")
    for number in range(50):
        old.append(numbered(number))
    log = DecisionLog(old.path, part_bytes=2_000)
    log.append(numbered(50))
    assert [path.name for path in log.parts()] == ["decisions.jsonl.000001.gz"]
    assert log.read() == [numbered(number) for number in range(51)]


class KilledError(BaseException):
    """The bot is killed here."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill at the so manieth step that packing takes on the disk, before it is done or right after it."""
    left = iter(range(step, -1, -1))

    def deadly(module: object, name: str) -> None:
        real = getattr(module, name)

        def stepping(*arguments: object, **named: object) -> object:
            for after in (False, True):
                if next(left, 1) == 0:
                    raise KilledError
                if not after:
                    done = real(*arguments, **named)
            return done

        patch.setattr(module, name, stepping)

    with monkeypatch.context() as patch:
        deadly(os, "fsync")
        deadly(decision_log, "write_atomic")
        deadly(Path, "unlink")
        deadly(decision_log, "sync_folder")
        yield


def test_killed_at_any_step_of_packing_the_log_loses_no_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = 0
    for step in range(30):
        folder = tmp_path / str(step)
        folder.mkdir()
        log = DecisionLog(folder / "decisions.jsonl", keep_bytes=None, part_bytes=2_000)
        number = 0
        with killed_at(step, monkeypatch):
            try:
                for number in range(16):
                    log.append(numbered(number))
            except KilledError:
                kills += 1
        # Its next life writes again what it did not know to be written.
        again = DecisionLog(folder / "decisions.jsonl", keep_bytes=None, part_bytes=2_000)
        for later in range(number, 30):
            again.append(numbered(later))
        assert again.read() == [numbered(later) for later in range(30)]
    assert kills > 10


def test_decisions_are_written_though_the_log_cannot_be_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", part_bytes=2_000)
    with monkeypatch.context() as patch:
        patch.setattr(decision_log, "write_atomic", no_room)
        for number in range(20):
            log.append(numbered(number))
        assert (log.unwritten, log.parts()) == (None, [])
    log.append(numbered(20))
    assert len(log.parts()) == 1
    assert log.read() == [numbered(number) for number in range(21)]


def no_room(_path: Path, _content: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_nothing_is_lost_and_it_is_packed_later(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", part_bytes=2_000)
    for number in range(5):
        log.append(numbered(number))
    with full_disk():
        for number in range(5, 15):
            log.append(numbered(number))
        assert log.unwritten
    for number in range(15, 30):
        log.append(numbered(number))
    assert log.write_again()
    assert log.read() == [numbered(number) for number in range(30)]
    assert log.path.stat().st_size < 6_000


def test_a_part_that_is_damaged_is_named_and_no_error_of_another_kind(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", part_bytes=2_000)
    for number in range(20):
        log.append(numbered(number))
    part = log.parts()[0]
    whole, draw = part.read_bytes(), random.Random(SEED)
    named, sound = 0, {numbered(number) for number in range(20)}
    count = cases(sample=200, campaign=5_000)
    for _ in range(count):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        part.write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
        try:
            found = set(log.read())
        except InputError as error:
            named += part.name in str(error)
        else:
            assert found <= sound
            named += len(found) == len(sound)
    part.write_bytes(b"")
    with pytest.raises(InputError, match="it is empty"):
        log.read()
    assert named == count
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(InputError, match="is a FIFO where a file must be"):
        log.read()


def test_a_line_that_is_no_decision_any_more_is_passed_over(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append(RECORD)
    line = log.path.read_bytes()
    for odd in (b"[]", b"7", b'{"time": 1}', line.replace(b"3600", b'"x"'), line.replace(b"outcome", b"outkome")):
        log.path.write_bytes(odd.strip() + b"\n" + line)
        assert log.read() == [RECORD]


def test_a_log_that_is_packed_is_not_empty_and_is_set_aside_with_its_parts(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl", part_bytes=2_000)
    for number in range(20):
        log.append(numbered(number))
    log.path.unlink()  # as where it was killed between packing and the next decision
    assert not log.is_empty
    log.set_aside(now=WallTime(1_571_302_800.0))
    assert log.is_empty
    assert log.parts() == []
    assert len([path for path in tmp_path.iterdir() if ".damaged-2019" in path.name]) > 2
    log.append(numbered(1))
    assert log.read() == [numbered(1)]
