"""Which bot a command is about: bots of one's own, in any folder, without a settings file; alive, stopped, or gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from nightdesk.cli.main import app
from nightdesk_core.audit import AuditLog
from nightdesk_core.bots.folder import VARIABLE
from nightdesk_core.bots.registration import KEPT_RECORDS
from nightdesk_core.clock import system_clock
from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard, KillSwitch, is_present, last_seen
from nightdesk_guard.settings import GuardSettings, KillSwitchSettings
from typer.testing import CliRunner

from tests.desk.conftest import CHECKOUT
from tests.other_user import must_be_root

NO_BOT, SEVERAL = 6, 2
PATIENCE_SECONDS = 60.0


class Bot:
    """A bot of somebody's own, in this process: its guard is looked at by a thread, as a loop does."""

    def __init__(self, folder: Path, name: str = "mine", *, looks: bool = True) -> None:
        self.state_dir = folder / "state"
        self._stack = ExitStack()
        exporter = self._stack.enter_context(BotExporter(name, symbols=[], port=0))
        guard = self._stack.enter_context(Guard(self.state_dir, break_even_win_rate=0.5, reporter=exporter))
        self._stopped = threading.Event()
        if looks:
            thread = threading.Thread(target=self._loop, args=(guard,))
            thread.start()
            self._stack.callback(thread.join)
        self._stack.callback(self._stopped.set)

    def _loop(self, guard: Guard) -> None:
        while not self._stopped.is_set():
            guard.wait(0.05)

    def stop(self) -> None:
        self._stack.close()

    @property
    def is_killed(self) -> bool:
        return KillSwitch(self.state_dir).state().active


Start = Callable[..., Bot]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    bots = []

    def started(folder: str = "a", name: str = "mine", **options: Any) -> Bot:
        bots.append(Bot(tmp_path / folder, name, **options))
        return bots[-1]

    yield started
    for bot in bots:
        bot.stop()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of nobody's, without a settings file."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightdesk.cli.stop._WAIT_SECONDS", 1.0)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def said(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return str(done.output)


def refused(*arguments: str) -> tuple[int, str]:
    """Return the exit code that the command line ends with, and what it says."""
    error = run(*arguments).exception
    return getattr(error, "exit_code", 1), str(error)


def test_known_failure_20_a_kill_from_any_folder_reaches_the_bot_that_runs_and_is_confirmed_by_it(start: Start) -> None:
    bot = start()
    lines = said("kill", "--reason", "x").splitlines()
    assert lines[0] == f"the kill switch of mine ({bot.state_dir}) is active: x"
    assert "mine has heard it" in lines
    assert bot.is_killed
    assert [entry.event for entry in AuditLog(bot.state_dir / "audit.jsonl").entries()][-1] == "kill_switch_activated"
    assert "mine has heard it" in said("resume", "--reason", "y")
    assert not bot.is_killed


def test_a_guard_that_does_not_look_is_not_said_to_have_heard(start: Start) -> None:
    bot = start(looks=False)
    output = said("kill", "--reason", "x")
    assert "has not answered within 1 s" in output
    assert str(os.getpid()) in output
    assert bot.is_killed


def test_known_failure_20_without_any_bot_nothing_is_said_to_be_active(elsewhere: Path) -> None:
    for command in ("kill", "resume"):
        code, why = refused(command, "--reason", "x")
        assert code == NO_BOT
        assert "nothing was done" in why
        assert "active" not in why
    assert list(elsewhere.iterdir()) == []


def test_a_settings_file_in_whose_home_no_bot_has_run_is_no_bot(elsewhere: Path) -> None:
    (elsewhere / "nightdesk.yml").write_text("bot: {name: mine}\n")
    code, why = refused("kill", "--reason", "x")
    assert (code, "no bot mine is known here" in why) == (NO_BOT, True)
    assert not (elsewhere / "var").exists()


def test_of_several_bots_each_is_named_by_its_name_or_its_folder(start: Start) -> None:
    first, second = start("a", "one"), start("b", "two")
    code, why = refused("kill", "--reason", "x")
    assert code == SEVERAL
    assert f"one  runs  {first.state_dir}" in why
    assert f"two  runs  {second.state_dir}" in why
    assert not first.is_killed
    assert not second.is_killed
    said("kill", "--reason", "x", "--bot", "two")
    assert (first.is_killed, second.is_killed) == (False, True)
    said("kill", "--reason", "x", "--bot", str(first.state_dir))
    assert first.is_killed
    assert refused("kill", "--reason", "x", "--bot", "three")[0] == NO_BOT


def test_of_two_bots_of_one_name_the_folder_tells(start: Start) -> None:
    first, second = start("a"), start("b")
    assert refused("kill", "--reason", "x", "--bot", "mine")[0] == SEVERAL
    output = said("kill", "--reason", "x", "--bot", str(second.state_dir))
    assert f"another mine runs in {first.state_dir}: it goes on" in output
    assert (first.is_killed, second.is_killed) == (False, True)


def test_one_that_lives_goes_before_one_of_its_name_that_is_stopped(start: Start) -> None:
    stopped, living = start("a"), start("b")
    stopped.stop()
    said("kill", "--reason", "x")
    assert (stopped.is_killed, living.is_killed) == (False, True)


def test_a_bot_that_is_known_and_stopped_is_latched_and_stays_out_when_it_starts(start: Start) -> None:
    bot = start()
    bot.stop()
    output = said("kill", "--reason", "x")
    assert "is latched: x" in output
    assert "mine is not running: it will stay out of the market when it starts" in output
    assert "active" not in output
    with Guard(bot.state_dir, break_even_win_rate=0.5) as guard:
        assert guard.blocked == "blocked_kill_switch"


def test_a_bot_without_a_guard_is_told_to_be_one_that_nobody_can_stop_so() -> None:
    with BotExporter("watched", symbols=[], port=0):
        code, why = refused("kill", "--reason", "x")
    assert code == NO_BOT
    assert "watched" in why
    assert f"end its process ({os.getpid()}" in why


def test_an_exporter_whose_guard_is_gone_has_the_kill_latched_and_told_to_be_unheard(start: Start) -> None:
    bot = start()
    bot.stop()
    with BotExporter("mine", symbols=[], port=0):
        code, why = refused("kill", "--reason", "x")
    assert code == NO_BOT
    assert "no guard lives in" in why
    assert bot.is_killed


def test_exporter_and_guard_in_two_processes_are_one_bot(start: Start, tmp_path: Path) -> None:
    line = [sys.executable, "-c", GUARD_ALONE, str(tmp_path / "a" / "mine" / "state")]
    with BotExporter("mine", symbols=[], port=0) as exporter, program(line):
        wait_until(lambda: "lives" in said("bots"))
        (row,) = [row for row in said("bots").splitlines() if row.startswith("mine")]
        assert exporter.url in row
        assert "mine has heard it" in said("kill", "--reason", "x")


def test_the_settings_home_goes_first_and_a_namesake_that_runs_elsewhere_is_told_of(
    start: Start, elsewhere: Path, tmp_path: Path
) -> None:
    (elsewhere / "nightdesk.yml").write_text("home: ../a\nbot: {name: mine}\n")
    at_home, other = start("a"), start("b")
    output = said("kill", "--reason", "x")
    assert f"another mine runs in {other.state_dir}" in output
    assert (at_home.is_killed, other.is_killed) == (True, False)
    said("resume", "--reason", "y")
    at_home.stop()
    code, why = refused("kill", "--reason", "x")
    assert code == SEVERAL, "the one at home is stopped, and the other one may be meant"
    assert str(other.state_dir) in why
    assert not at_home.is_killed
    assert not other.is_killed


def test_settings_that_name_a_bot_elsewhere_are_about_that(start: Start, elsewhere: Path) -> None:
    (elsewhere / "nightdesk.yml").write_text("bot: {name: two}\n")
    first, second = start("a", "one"), start("b", "two")
    said("kill", "--reason", "x")
    assert (first.is_killed, second.is_killed) == (False, True)


def test_a_bot_that_nobody_has_listed_is_named_by_its_folder(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = start()
    monkeypatch.setenv(VARIABLE, str(bot.state_dir.parent / "no records"))
    assert refused("kill", "--reason", "x")[0] == NO_BOT
    assert "mine has heard it" in said("kill", "--reason", "x", "--bot", str(bot.state_dir))


def test_what_becomes_of_positions_is_what_the_bot_was_made_with(tmp_path: Path) -> None:
    settings = GuardSettings(kill_switch=KillSwitchSettings(positions="keep"))
    with Guard(tmp_path / "state", break_even_win_rate=0.5, settings=settings):
        said("kill", "--reason", "x")
    assert KillSwitch(tmp_path / "state").state().positions == "keep"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"name": 3}', '{"name": "x", "part": "exporter"}', "\x00" * 30_000]
)
def test_a_damaged_record_is_told_of_and_hides_no_other(content: str, start: Start) -> None:
    bot = start()
    (Path(os.environ[VARIABLE]) / "guard-0.json").write_text(content)
    assert "guard-0.json" in said("bots")
    said("kill", "--reason", "x")
    assert bot.is_killed


def test_a_record_of_another_user_is_not_gone_by(start: Start) -> None:
    must_be_root()
    bot = start()
    (record,) = Path(os.environ[VARIABLE]).glob("guard-*.json")
    os.chown(record, 12345, -1)
    assert "belongs to another user (uid 12345)" in said("bots")
    code, _ = refused("kill", "--reason", "x")
    assert code == NO_BOT
    assert not bot.is_killed


def test_a_record_whose_folder_is_gone_or_another_s_is_told_of_and_leads_nowhere(start: Start) -> None:
    bot = start()
    bot.stop()
    shutil.rmtree(bot.state_dir)
    assert "is gone, or is another's now" in said("bots")
    assert refused("kill", "--reason", "x")[0] == NO_BOT
    assert not bot.state_dir.exists()


def test_records_and_state_that_are_mounted_elsewhere_are_found_from_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    monkeypatch.setenv(VARIABLE, str(inside / "bots"))
    with Guard(inside / "state", break_even_win_rate=0.5):
        pass
    inside.rename(outside)
    (inside / "state").mkdir(parents=True)  # of somebody else
    monkeypatch.setenv(VARIABLE, str(outside / "bots"))
    said("kill", "--reason", "x")
    assert KillSwitch(outside / "state").state().active
    assert list((inside / "state").iterdir()) == []


def test_a_guard_of_another_machine_is_known_by_its_beat(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    with Guard(state_dir, break_even_win_rate=0.5):
        pass
    path = state_dir / "presence.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "running": True, "kernel": "another"}))
    assert "runs" in said("bots")
    old = time.time() - 60
    os.utime(path, (old, old))
    assert "stopped" in said("bots")
    path.write_text(json.dumps({**kept, "running": True}))
    assert "stopped" in said("bots"), "on this machine its lock would be held"


def test_only_so_many_records_are_kept_and_never_that_of_one_that_lives_is_lost(start: Start, tmp_path: Path) -> None:
    bot = start()
    (living,) = Path(os.environ[VARIABLE]).glob("guard-*.json")
    os.utime(living, (1, 1))
    for number in range(KEPT_RECORDS + 5):
        with Guard(tmp_path / f"{number}", break_even_win_rate=0.5):
            pass
    assert living.exists()
    assert len(list(Path(os.environ[VARIABLE]).glob("*.json"))) <= KEPT_RECORDS + 2
    said("kill", "--reason", "x")
    assert bot.is_killed


@pytest.mark.parametrize("broken", ["a file", "read-only", "no home"])
def test_a_bot_that_cannot_list_itself_runs_and_says_so_once(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records"
    if broken == "a file":
        folder.write_text("")
    elif broken == "read-only":
        folder = Path("/proc/nothing")
    monkeypatch.setenv(VARIABLE, str(folder / "bots"))
    if broken == "no home":
        monkeypatch.delenv(VARIABLE)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", no_home)
    state_dir = tmp_path / "state"
    with (
        BotExporter("mine", symbols=[], port=0) as exporter,
        Guard(state_dir, break_even_win_rate=0.5, reporter=exporter) as guard,
    ):
        guard.equity(100.0, leverage=0.0)
        assert guard.blocked is None
        assert capfd.readouterr().err.count("is not listed among the bots") == 1
        said("kill", "--reason", "x", "--bot", str(state_dir))
        assert guard.blocked == "blocked_kill_switch"


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_lock_that_is_looked_at_keeps_no_guard_from_starting(tmp_path: Path) -> None:
    state_dir, looked = tmp_path / "state", threading.Event()

    def look() -> None:
        while not looked.is_set():
            is_present(state_dir, now=system_clock())

    with Guard(state_dir, break_even_win_rate=0.5):
        pass
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with Guard(state_dir, break_even_win_rate=0.5):
                pass
    finally:
        looked.set()
        for thread in threads:
            thread.join()


GUARD_ALONE = """
import sys
from pathlib import Path
from nightdesk_guard import Guard
with Guard(Path(sys.argv[1]), break_even_win_rate=0.5) as guard:
    while True:
        guard.wait(3600)
"""


@contextmanager
def program(line: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_documented_bot_is_killed_from_elsewhere_and_told_not_to_answer_once_it_was_ended(tmp_path: Path) -> None:
    folder = tmp_path / "documented"
    folder.mkdir()
    line = [sys.executable, str(CHECKOUT / "examples" / "guarded_bot.py")]
    with program(line, cwd=folder, env={**os.environ, "PORT": "0"}) as process:
        wait_until(lambda: "lives" in said("bots"))
        wait_until(lambda: run("status").exit_code == 0)
        assert said("status").splitlines()[0].startswith(f"mine ({folder / 'state'}): ")
        assert "is active: x" in said("kill", "--reason", "x")
        seen = last_seen(folder / "state")
        assert seen is not None
        wait_until(lambda: has_seen(folder / "state"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = run("status")
    assert done.exit_code == 1
    assert done.output.startswith(f"mine ({folder / 'state'}): NOT ANSWERING since 20")
    assert "mine is not running" in said("kill", "--reason", "x")


def has_seen(state_dir: Path) -> bool:
    seen = last_seen(state_dir)
    return seen is not None and seen.has_seen(KillSwitch(state_dir).state())
