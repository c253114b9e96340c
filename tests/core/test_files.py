"""Atomic files and locks, with other processes as readers, writers and holders."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.files import durable as files
from nightdesk_core.files.durable import (
    HALF_WRITTEN_SECONDS,
    KEPT_ASIDE,
    LockTimeoutError,
    copy_aside,
    forget_half_written,
    locked,
    set_aside,
    write_atomic,
    write_json_atomic,
)

from tests.campaigns import SEED
from tests.core.conftest import Start, line_of, until, wait_for_exit

HOLD = """
import sys, time
from pathlib import Path
from nightdesk_core.files.durable import locked
with locked(Path(sys.argv[1]), timeout_seconds=0):
    print("held", flush=True)
    sys.stdin.read()
"""

WRITE = """
import sys
from pathlib import Path
from nightdesk_core.files.durable import write_atomic
for number in range(10**9):
    write_atomic(Path(sys.argv[1]), (str(number % 10) * 50_000).encode())
"""


def test_a_written_file_has_its_content_its_mode_and_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_atomic(path, b"first")
    write_atomic(path, b"second", readers="owner")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("module", "step"), [(os, "fsync"), (files, "settle")])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    module: ModuleType, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused_before_the_old_file_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json_atomic(path, {"b": 1, "a": 2})
    assert path.read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="Out of range float"):
        write_json_atomic(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 2, "b": 1}


def test_a_reader_in_a_tight_loop_never_sees_half_a_file_also_while_the_writer_is_killed(
    tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "file"
    for _ in range(2):
        process = start(WRITE, path)
        until(path.exists, "the first write")
        seen: set[int] = set()
        began = time.monotonic()
        # On a busy machine the writer may have its turn late.
        while (waited := time.monotonic() - began) < 0.4 or (len(seen) < 2 and waited < 20):
            content = path.read_bytes()
            assert len(content) == 50_000
            assert len(set(content)) == 1
            seen.add(content[0])
        process.send_signal(signal.SIGKILL)
        wait_for_exit(process)
        assert len(path.read_bytes()) == 50_000
        assert len(seen) > 1


def test_a_lock_keeps_others_out_and_names_itself(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "deep" / "lock"
    holder = start(HOLD, path)
    assert line_of(holder) == "held"
    begun = time.monotonic()
    with pytest.raises(LockTimeoutError) as raised, locked(path, timeout_seconds=0.1):
        pytest.fail("two hold the lock")
    assert 0.1 <= time.monotonic() - begun < 2
    assert str(raised.value) == f"{path} is still held by another process after 0.1 s"
    assert (raised.value.path, raised.value.timeout_seconds) == (path, 0.1)


def test_with_no_time_to_wait_a_held_lock_is_tried_once(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path / "lock")
    assert line_of(holder) == "held"
    begun = time.monotonic()
    with pytest.raises(LockTimeoutError), locked(tmp_path / "lock", timeout_seconds=0):
        pass
    assert time.monotonic() - begun < 0.1


def test_a_lock_whose_holder_is_killed_is_free(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path / "lock")
    assert line_of(holder) == "held"
    os.kill(holder.pid, signal.SIGKILL)
    with locked(tmp_path / "lock", timeout_seconds=5):
        pass


def test_a_waiter_gets_the_lock_once_it_is_free(tmp_path: Path) -> None:
    taken, order = threading.Event(), []

    def wait() -> None:
        with locked(tmp_path / "lock", timeout_seconds=5):
            order.append("waiter")

    with locked(tmp_path / "lock", timeout_seconds=0):
        waiter = threading.Thread(target=wait)
        waiter.start()
        taken.wait(0.05)
        order.append("holder")
    waiter.join(timeout=5)
    assert order == ["holder", "waiter"]


def test_a_lock_is_freed_where_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "lock", timeout_seconds=0):
        raise RuntimeError
    with locked(tmp_path / "lock", timeout_seconds=0):
        pass


NOW = 1_571_302_800.0


def test_a_damaged_file_is_moved_to_a_name_that_says_when_and_takes_no_other_s_place(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for number, name in enumerate(("", "-2", "-3")):
        path.write_text(str(number))
        aside = set_aside(path, now=WallTime(NOW))
        assert aside == tmp_path / f"state.json.damaged-2019-10-17T090000Z{name}"
        assert aside.read_text() == str(number)
        assert not path.exists()


def test_what_belongs_to_a_damaged_file_goes_along_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.db", "a.db-wal", "a.db-other"):
        (tmp_path / name).write_text(name)
    set_aside(tmp_path / "a.db", now=WallTime(NOW), with_suffixes=("-wal", "-shm"))
    stamp = ".damaged-2019-10-17T090000Z"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db-other", f"a.db{stamp}", f"a.db{stamp}-wal"]


def test_a_file_that_cannot_be_moved_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        set_aside(tmp_path / "none", now=WallTime(NOW))


def test_a_damaged_file_is_copied_once_however_often_it_is_found(tmp_path: Path) -> None:
    path = tmp_path / "state[1].json"
    path.write_text("{")
    aside = copy_aside(path, now=WallTime(NOW))
    assert (aside.name, aside.read_text()) == ("state[1].json.damaged-2019-10-17T090000Z", "{")
    assert copy_aside(path, now=WallTime(NOW + 60)) == aside
    path.write_text("[")
    assert copy_aside(path, now=WallTime(NOW)).name == "state[1].json.damaged-2019-10-17T090000Z-2"
    assert path.read_text() == "["


def test_of_a_file_that_is_damaged_again_and_again_the_newest_are_kept_with_what_belongs_to_them(
    tmp_path: Path,
) -> None:
    other = tmp_path / "a.db.damaged-by-hand"
    other.write_text("a person's")
    (tmp_path / "b.db.damaged-2019-10-17T090000Z").write_text("another file's")
    draw = random.Random(SEED)
    asides = []
    now = NOW
    for number in range(3 * KEPT_ASIDE):
        now += draw.choice([0, 0, 1, 86_400])
        for suffix in ("", "-wal", "-head"):
            (tmp_path / f"a.db{suffix}").write_text(f"{number}{suffix}")
        asides.append(set_aside(tmp_path / "a.db", now=WallTime(now), with_suffixes=("-wal", "-head")))
    kept = {path.name for path in tmp_path.iterdir()} - {other.name, "b.db.damaged-2019-10-17T090000Z"}
    assert kept == {f"{aside.name}{suffix}" for aside in asides[-KEPT_ASIDE:] for suffix in ("", "-wal", "-head")}
    assert asides[-1].read_text() == str(3 * KEPT_ASIDE - 1)
    assert other.exists()


def test_copies_of_a_damaged_file_are_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "state[1].json"
    for number in range(KEPT_ASIDE + 5):
        path.write_text(f"{{ {number}")
        copy_aside(path, now=WallTime(NOW + number))
    kept = sorted(file.read_text() for file in tmp_path.iterdir() if file != path)
    assert kept == sorted(f"{{ {number}" for number in range(5, KEPT_ASIDE + 5))


def test_what_a_killed_writer_left_goes_once_no_writer_can_be_at_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "state.json", b"{}")
    for name, age in ((".state.json.abc.part", HALF_WRITTEN_SECONDS + 1), (".state.json.def.part", 60.0)):
        (tmp_path / name).write_text("{")
        os.utime(tmp_path / name, (NOW - age, NOW - age))
    forget_half_written(tmp_path, now=WallTime(NOW))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".state.json.def.part", "state.json"]
    forget_half_written(tmp_path / "none", now=WallTime(NOW))
