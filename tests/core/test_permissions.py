"""Who may read and write what the rooms write, under any umask, by way of every writer that there is."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger
from nightdesk_alerts.delivery.spool import Spool
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import copy_aside, locked, write_atomic, write_json_atomic
from nightdesk_core.files.permissions import group_of, make_folder, open_file, tighten, tighten_outermost
from nightdesk_core.files.reader import InputError, open_to_append
from nightdesk_core.journal.journal import BESIDE, Journal
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_exporter import StatusFile, logs
from nightdesk_guard import KillSwitch, ResumeFile, SmallStore, SwitchSeen

from tests.other_user import OTHER, must_be_root, open_to_others

UMASKS = (0o000, 0o022, 0o077, 0o777)


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def write_all(home: Path) -> None:
    """Have everything that writes write something; the journal stays open with its log beside it."""
    state = home / "state"
    switch = KillSwitch(state)
    switch.activate("a test", actor="ann")
    switch.kill("a test", actor="ann", positions="close")
    write_atomic(switch.kill_file, b"a test")
    ResumeFile(state).give("a test", actor="ann")
    audit = AuditLog(state / "audit.jsonl")
    audit.append("told", {}, actor="ann")
    with audit.path.open("ab") as file:
        file.write(b"torn")
    audit.append("told", {}, actor="ann")
    RetrainRequests(state, audit).add("manual", "a test", "ann", at=1.0)
    store = SmallStore(state)
    with store.transaction():
        store.keep_seen(SwitchSeen(switch=switch.state()))
    StatusFile(home / "logs" / "bot_status.json").replace({"bot": {}}, now=WallTime(1.0), lifetime_seconds=1.0)
    copy_aside(switch.path, now=WallTime(1.0))
    spool = Spool(state / "alerts.json", lambda: WallTime(1.0))
    spool.open()
    assert spool.save([])
    spool.close()
    registry = ModelRegistry(home / "models", clock=lambda: WallTime(1.6e9))
    registry.add_to_stage(registry.stage({"model.txt": b"a tree"}), {"more.json": b"{}"})
    logs.set_up("bot", folder=home / "logs", rotation_megabytes=0.001, keep_files=3)
    for _ in range(20):
        logger.info("x" * 100)
    logger.remove()


def modes(home: Path) -> dict[str, str]:
    """Return the mode of everything in a home, itself included, by its path there."""
    found = {str(path.relative_to(home)): path.lstat().st_mode for path in (home, *home.rglob("*"))}
    return {name: stat.filemode(mode) for name, mode in found.items()}


@pytest.mark.parametrize("umask", UMASKS, indirect=True, ids=oct)
def test_whatever_the_umask_nobody_else_may_do_anything_with_what_is_written(umask: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    journal = Journal(home / "state" / "btc.sqlite")
    journal.save("key", {})
    write_all(home)
    found = modes(home)
    assert {mode for name, mode in found.items() if mode.startswith("d")} == {"drwx------"}
    assert {mode for name, mode in found.items() if not mode.startswith("d")} == {"-rw-------"}
    assert {f"state/btc.sqlite{suffix}" for suffix in ("", *BESIDE)} <= found.keys()
    assert sum(name.startswith("logs/bot.") and name.endswith(".jsonl") for name in found) > 1, "rotated"
    journal.close()


@pytest.mark.parametrize("umask", UMASKS, indirect=True, ids=oct)
def test_in_a_folder_of_a_group_that_group_may_read_all_but_locks_and_secrets(umask: int, tmp_path: Path) -> None:
    must_be_root()
    home = tmp_path / "home"
    make_folder(home)
    tighten_outermost(home, group=OTHER)
    journal = Journal(home / "state" / "btc.sqlite")
    journal.save("key", {})
    write_all(home)
    found = modes(home)
    closed = {name for name, mode in found.items() if mode == "-rw-------"}
    assert {Path(name).name for name in closed} >= {"kill_switch.lock", "audit.jsonl.lock", ".alerts.json.lock"}
    assert {Path(name).suffix for name in closed} <= {".lock", ""} | {".json"}
    assert [name for name in closed if name.endswith(".json")] == ["state/alerts.json"]
    rest = {mode for name, mode in found.items() if name not in closed}
    assert rest == {"drwxr-s---", "-rw-r-----"}
    assert {path.stat().st_gid for path in home.rglob("*")} == {OTHER}
    assert group_of(home / "state") == OTHER
    journal.close()


def test_what_the_release_before_left_open_is_closed_once_and_counted(tmp_path: Path) -> None:
    home = tmp_path / "home"
    journal = Journal(home / "state" / "btc.sqlite")
    journal.save("key", {"value": 1})
    write_all(home)
    for path in (home, *home.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    (home / "state" / "elsewhere").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").touch()
    (tmp_path / "mine").chmod(0o644)
    changed = tighten(home)
    assert changed == len(modes(home)) - 1
    assert set(modes(home).values()) == {"drwx------", "-rw-------", "lrwxrwxrwx"}
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o644, "a link is not followed"
    assert tighten(home) == 0
    journal.save("key", {"value": 2})
    assert journal.load("key") == {"value": 2}, "a journal that is open stays its own"
    journal.close()


def test_a_group_that_is_taken_back_may_read_nothing_any_more(tmp_path: Path) -> None:
    must_be_root()
    home = tmp_path / "home"
    make_folder(home)
    tighten_outermost(home, group=OTHER)
    write_all(home)
    tighten(home)
    assert set(modes(home).values()) == {"drwx------", "-rw-------"}


def test_an_executable_stays_one(tmp_path: Path) -> None:
    (tmp_path / "tool").touch(mode=0o755)
    tighten(tmp_path)
    assert (tmp_path / "tool").stat().st_mode & 0o777 == 0o700


def test_a_home_that_may_hold_more_than_ours_is_only_closed_to_writers(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    tighten_outermost(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "loop"])
def test_nothing_but_a_regular_file_is_opened_and_nothing_waits(kind: str, tmp_path: Path) -> None:
    must_be_root()
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, OTHER, OTHER)
    path, target = state / "file", tmp_path / "target"
    target.write_text("theirs")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.raises(InputError), open_to_append(path):
        pass
    with pytest.raises(OSError, match=r"."), locked(path, timeout_seconds=0):
        pass
    assert target.read_text() == "theirs"


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        make_folder(tmp_path / "file" / "below")


def test_an_existing_file_is_closed_when_it_is_next_opened(tmp_path: Path) -> None:
    for name in ("lock", "log"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    with locked(tmp_path / "lock", timeout_seconds=0), open_to_append(tmp_path / "log"):
        pass
    assert set(modes(tmp_path).values()) - {"drwx------"} == {"-rw-------"}


def test_what_is_for_all_is_readable_by_all_and_its_new_folder_too(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "new" / "metrics.prom", b"x", readers="all")
    finally:
        os.umask(before)
    assert modes(tmp_path / "new") == {".": "drwxr-xr-x", "metrics.prom": "-rw-r--r--"}


def test_what_root_makes_in_the_folder_of_another_is_that_ones(tmp_path: Path) -> None:
    """Else `sudo nightdesk resume` leaves a latch that the bot cannot read, and that is active therefore."""
    must_be_root()
    open_to_others(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, OTHER, OTHER)
    write_json_atomic(state / "new" / "file.json", {})
    with locked(state / "a.lock", timeout_seconds=0), open_to_append(state / "log"):
        pass
    assert {(path.stat().st_uid, path.stat().st_gid) for path in state.rglob("*")} == {(OTHER, OTHER)}
    assert json.loads((state / "new" / "file.json").read_text()) == {}


def test_root_sets_no_mode_of_what_another_put_into_a_folder_of_his(tmp_path: Path) -> None:
    must_be_root()
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, OTHER, OTHER)
    (tmp_path / "roots").touch()
    (tmp_path / "roots").chmod(0o644)
    os.link(tmp_path / "roots", state / "file")
    os.close(open_file(state / "file", os.O_RDWR | os.O_CREAT))
    found = (tmp_path / "roots").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o644)
