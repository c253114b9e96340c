"""The folder of bots: where it is on each platform, and that a bot's start fails for nothing in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nightdesk_core.bots.folder import bots_folder
from nightdesk_core.bots.record import BotRecord, found_records
from nightdesk_core.bots.registration import registered
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import is_locked, locked

HOME = Path("/home/ann")


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: HOME)


@pytest.mark.parametrize(
    ("environment", "platform", "folder"),
    [
        ({}, "linux", HOME / ".local/state/nightdesk/bots"),
        ({"XDG_STATE_HOME": "/var/states"}, "linux", Path("/var/states/nightdesk/bots")),
        ({"XDG_STATE_HOME": "states"}, "linux", HOME / ".local/state/nightdesk/bots"),
        ({"XDG_STATE_HOME": ""}, "freebsd", HOME / ".local/state/nightdesk/bots"),
        ({}, "darwin", HOME / "Library/Application Support/nightdesk/bots"),
        ({"LOCALAPPDATA": "/users/ann/local"}, "win32", Path("/users/ann/local/nightdesk/bots")),
        ({}, "win32", HOME / "AppData/Local/nightdesk/bots"),
        ({"NIGHTDESK_BOTS_DIR": "/data/bots", "XDG_STATE_HOME": "/var"}, "linux", Path("/data/bots")),
        ({"NIGHTDESK_BOTS_DIR": "bots"}, "linux", Path.cwd() / "bots"),
    ],
)
def test_it_lies_where_the_platform_keeps_a_user_s_state(
    environment: dict[str, str], platform: str, folder: Path
) -> None:
    assert bots_folder(environment=environment, platform=platform) == folder


def record(name: str = "mine") -> BotRecord:
    return BotRecord(name=name, part="exporter", pid=os.getpid(), started_at=WallTime(1_571_302_800.0), url="http://x")


def found() -> list[tuple[BotRecord | None, bool]]:
    return [(each.record, each.alive) for each in found_records(bots_folder())]


def test_a_record_lives_while_its_block_runs_and_stays_known_after_it() -> None:
    with registered(record(), identity="1", clock=lambda: WallTime(2_000_000_000.0)):
        assert found() == [(record(), True)]
    ((after, alive),) = found()
    assert after is not None
    assert (after.ended_at, alive) == (WallTime(2_000_000_000.0), False)
    with registered(record(), identity="1"):
        assert found() == [(record(), True)], "it takes the place of the one before"


def test_two_that_run_at_once_are_two_records_though_they_are_the_same() -> None:
    with registered(record(), identity="1"), registered(record(), identity="1"):
        assert found() == [(record(), True)] * 2


@pytest.mark.parametrize("name", ["\ud800", "../../x", "a/b", "\x00", "x" * 10_000, "", "ä 比"])
def test_no_name_of_a_bot_leads_out_of_the_folder_or_ends_its_start(name: str) -> None:
    with registered(record(name), identity=name):
        files = [path for path in bots_folder().rglob("*") if path.is_file()]
        assert {path.parent for path in files} <= {bots_folder()}
        assert len(list(found_records(bots_folder()))) == 1


FORKS = """
import os, sys
from pathlib import Path
from nightdesk_core.bots.folder import bots_folder
from nightdesk_core.bots.record import found_records
from nightdesk_guard import Guard, last_seen

def seen():
    return [(each.record.ended_at, each.alive) for each in found_records(bots_folder())]

state_dir = Path(sys.argv[1])
with Guard(state_dir, break_even_win_rate=0.5):
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert seen() == [(None, True)], seen()
        assert last_seen(state_dir).running
if child:
    ((ended, alive),) = seen()
    assert ended is not None and not alive
    assert not last_seen(state_dir).running
"""


def test_a_forked_child_that_leaves_the_block_ends_nothing_of_its_parent_s(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path / "state")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_lock_is_seen_to_be_held_by_whoever_looks_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    with locked(path, timeout_seconds=0):
        assert is_locked(path)
        assert is_locked(path), "a look leaves it held"
    assert not is_locked(path)


def test_what_a_record_holds_is_for_its_owner_alone() -> None:
    with registered(record(), identity="1"):
        (path,) = bots_folder().glob("*.json")
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text())["name"] == "mine"
