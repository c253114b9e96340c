"""The kill switch: latched on disk, and active where its latch cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_guard import KillSwitch, KillSwitchState, ResumeFile, kill_switch
from nightdesk_guard.kill_switch import KillSwitchError, Positions

from tests.odd_files import ODD_FILES, at_most


@pytest.fixture
def switch(tmp_path: Path) -> KillSwitch:
    times = iter((100.0, 200.0, 300.0, 400.0))
    return KillSwitch(tmp_path / "state", clock=lambda: WallTime(next(times)))


def test_it_is_not_active_before_anybody_moved_it(switch: KillSwitch) -> None:
    assert switch.state() == KillSwitchState(active=False)


def test_it_is_latched_on_disk_for_another_process_and_after_a_restart(switch: KillSwitch, tmp_path: Path) -> None:
    activated = switch.activate("  the exchange quotes nonsense ", actor="operator")
    assert activated == KillSwitchState(True, "the exchange quotes nonsense", "operator", WallTime(100.0), 1)
    assert KillSwitch(tmp_path / "state").state() == activated
    source = (
        "import sys; from pathlib import Path; from nightdesk_guard import KillSwitch;"
        "print(KillSwitch(Path(sys.argv[1])).state().reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, tmp_path / "state"], capture_output=True, text=True, timeout=10, check=True
    )
    assert done.stdout == "the exchange quotes nonsense\n"


def test_the_first_reason_stays(switch: KillSwitch) -> None:
    first = switch.activate("the first", actor="bot")
    assert switch.activate("the second", actor="operator") == first
    assert switch.state() == first


def test_resuming_needs_an_active_switch_and_counts_on(switch: KillSwitch) -> None:
    with pytest.raises(KillSwitchError) as raised:
        switch.resume("why not", actor="operator")
    assert str(raised.value) == "the kill switch is not active: there is nothing to resume"
    switch.activate("a test", actor="operator")
    assert switch.resume("the test is over", actor="operator") == KillSwitchState(
        False, "the test is over", "operator", WallTime(200.0), 1
    )
    assert switch.activate("again", actor="operator").activations == 2


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_neither_way_goes_without_a_reason(reason: str, switch: KillSwitch) -> None:
    with pytest.raises(KillSwitchError, match="a reason is needed: say why with --reason"):
        switch.activate(reason, actor="operator")
    switch.activate("a test", actor="operator")
    with pytest.raises(KillSwitchError, match="a reason is needed: say why with --reason"):
        switch.resume(reason, actor="operator")
    assert switch.state().active


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"active": "false"}',
        b'{"active": 0}',
        b'{"colour": 1}',
        b'{"active": false, "activations": null}',
        b'{"active": false, "reason": 5}',
        b'{"active": false, "changed_at": "yesterday"}',
    ],
)
def test_a_damaged_latch_counts_as_active_until_somebody_resumes_with_a_reason(
    content: bytes, switch: KillSwitch
) -> None:
    switch.path.parent.mkdir()
    switch.path.write_bytes(content)
    state = switch.state()
    assert state.active
    assert "kill_switch.json" in state.reason
    assert state.actor == "guard"
    assert switch.activate("a test", actor="operator") == state
    assert switch.resume("looked at the file", actor="operator").active is False
    assert json.loads(switch.path.read_text())["active"] is False


def test_a_latch_that_cannot_be_read_counts_as_active(switch: KillSwitch) -> None:
    switch.path.mkdir(parents=True)
    assert switch.state() == KillSwitchState(
        True, "kill_switch.json cannot be read (is a folder where a file must be; move it away)", "guard"
    )


def test_a_lock_that_somebody_holds_is_an_error_and_changes_nothing(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill_switch, "_LOCK_SECONDS", 0.02)
    with (
        locked(switch.path.with_suffix(".lock"), timeout_seconds=0),
        pytest.raises(LockTimeoutError, match=r"kill_switch\.lock is still held by another process"),
    ):
        switch.activate("a test", actor="operator")
    assert not switch.state().active


@pytest.mark.parametrize("positions", ["close", "keep"])
def test_a_kill_does_not_wait_for_a_lock_that_somebody_holds_and_the_file_kill_takes_its_place(
    positions: Positions, switch: KillSwitch
) -> None:
    with locked(switch.path.with_suffix(".lock"), timeout_seconds=0):
        begun = time.monotonic()
        state = switch.kill("nonsense quotes", actor="ann", positions=positions)
        assert time.monotonic() - begun < 1.0
    assert state == KillSwitchState(True, "nonsense quotes (by ann)", "file", positions=positions)
    assert switch.kill_file.stat().st_mode & 0o777 == 0o600
    latched = switch.latch(positions="close")
    assert (latched.active, latched.reason, latched.positions) == (True, "nonsense quotes (by ann)", positions)
    switch.kill_file.unlink()
    assert switch.state() == latched
    assert not switch.resume("it is over", actor="ann").active


def test_a_second_kill_that_finds_the_lock_held_still_has_positions_closed(switch: KillSwitch) -> None:
    switch.activate("holidays", actor="ann", positions="keep")
    with locked(switch.path.with_suffix(".lock"), timeout_seconds=0):
        assert switch.kill("a crash", actor="ann", positions="keep").positions == "keep"
        assert switch.kill("a crash", actor="ann", positions="close").positions == "close"
    assert switch.state().reason == "holidays"
    assert switch.latch(positions="keep").positions == "close"
    switch.kill_file.unlink()
    assert switch.state().positions == "close", "it is latched"


def test_a_kill_that_can_be_written_nowhere_says_so(switch: KillSwitch) -> None:
    switch.path.with_suffix(".lock").mkdir(parents=True)
    switch.kill_file.mkdir()
    (switch.kill_file / "full").touch()
    with pytest.raises(KillSwitchError, match=r"end its process; nor can .*KILL be written"):
        switch.kill("a crash", actor="ann", positions="close")
    with pytest.raises(KillSwitchError, match="a reason is needed"):
        switch.kill(" ", actor="ann", positions="close")


def test_what_the_disk_refuses_is_said_and_lifts_nothing(switch: KillSwitch) -> None:
    switch.activate("a test", actor="ann")
    switch.kill_file.mkdir()
    with pytest.raises(KillSwitchError, match=r"the kill switch stays as it is: .*KILL"):
        switch.resume("it is over", actor="ann")
    assert switch.state().active


def test_a_clock_that_returns_a_plain_number_latches_like_any_other(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path, clock=time.time)
    assert switch.activate("a test", actor="ann").active
    assert KillSwitch(tmp_path).state().reason == "a test"
    assert not switch.resume("it was one", actor="ann").active
    assert ResumeFile(tmp_path, clock=time.time).give("enough", actor="ann").reason == "enough"


@pytest.mark.parametrize("kind", ODD_FILES)
def test_known_failure_23_whatever_lies_there_as_kill_kills_at_once(kind: str, switch: KillSwitch) -> None:
    switch.kill_file.parent.mkdir(parents=True)
    ODD_FILES[kind](switch.kill_file)
    with at_most(2):
        assert switch.state().active
        assert len(switch.state().reason) <= 500
        latched = switch.latch(positions="keep")
    assert (latched.active, latched.actor) == (True, "file")
    assert switch.state() == latched, "latched: it holds though the file is removed"
    if kind != "a folder":
        switch.resume("it was a test", actor="me")
        assert not switch.state().active


@pytest.mark.parametrize("kind", ODD_FILES)
def test_known_failure_23_whatever_lies_there_as_the_latch_counts_as_active_at_once(
    kind: str, switch: KillSwitch
) -> None:
    switch.path.parent.mkdir(parents=True)
    ODD_FILES[kind](switch.path)
    with at_most(2):
        state = switch.state()
        assert (state.active, state.actor) == (True, "guard")
        assert state.reason.startswith("kill_switch.json cannot be read (")
        assert switch.latch(positions="keep").active


def test_a_file_kill_that_the_bot_may_not_read_kills() -> None:
    code = """
import os, sys
from pathlib import Path
from nightdesk_guard import KillSwitch
switch = KillSwitch(Path(sys.argv[1]))
switch.state()
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
print(switch.state().reason)
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "KILL").write_text("not for everybody")
        (folder / "KILL").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code, name], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.stdout == f"the file KILL was put into {folder.name}\n", done.stderr
