"""Who keeps the services running is looked after, too: killed or stuck, it is started again, and nothing runs twice."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightdesk.cli.main import main
from nightdesk.logbook import set_up_logs
from nightdesk.settings import load
from nightdesk.stack import session, supervision
from nightdesk.stack.supervision import Supervision
from nightdesk.stack.supervisor import Program, Supervisor
from nightdesk.stack.supervisor_client import SupervisorClient, SupervisorError
from nightdesk_core.units import DAY_SECONDS

from tests.desk.answering import Talk, hanging_up, no_http, saying
from tests.disks import full_disk

# Starts a process of its own, which outlives it, as a schedule has a retrain.
SERVICE = """
import os, subprocess, sys, time
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file)
if len(sys.argv) > 2:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
for number in range(6000):
    print("line", number, flush=True)
    time.sleep(0.1)
"""


class Stack:
    """A supervisor over a few programs, and who looks after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.now = 0.0
        script = folder / "service.py"
        script.write_text(SERVICE)
        command = [sys.executable, str(script)]
        programs = [
            Program("one", [*command, str(folder / "one")]),
            Program("two", [*command, str(folder / "two"), "child"]),
            Program("late", [*command, str(folder / "late")], autostart=False),
        ]
        self.supervisor = Supervisor(programs, folder=folder / "run", log_dir=folder / "logs")

    def look_after(self) -> Supervision:
        return Supervision(self.supervisor, clock=lambda: self.now)

    def running(self) -> dict[str, int]:
        """Return the process ids of the programs that run."""
        return {state.name: state.pid for state in self.supervisor.states() if state.state == "RUNNING"}

    def until_running(self, *names: str) -> dict[str, int]:
        until(lambda: set(self.running()) == set(names))
        return self.running()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = Stack(tmp_path)
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    set_up_logs("run", load(tmp_path / "nightdesk.yml"), show=found.said.append)
    with found.supervisor:
        found.supervisor.start("late")
        found.until_running("one", "two", "late")
        yield found


def logged(folder: Path) -> list[tuple[str, str]]:
    """Return the level and the message of each line of the run's log file."""
    lines = (folder / "logs" / "run.jsonl").read_text().splitlines()
    return [(found["level"], found["message"]) for found in map(json.loads, lines)]


def test_a_supervisor_that_is_killed_is_started_again_with_what_ran_and_nothing_of_before_is_left(stack: Stack) -> None:
    looked_after = stack.look_after()
    stack.supervisor.stop("one")
    looked_after.look()
    before, killed = stack.running(), stack.supervisor.pid
    assert len(session.members(killed)) == 4  # the supervisor, two programs, and a child that outlives its parent
    os.kill(killed, signal.SIGKILL)
    until(lambda: stack.supervisor.ended is not None)
    looked_after.look()
    assert session.members(killed) == []
    after = stack.until_running("two", "late")
    assert not set(before.values()) & set(after.values())
    assert stack.supervisor.state("one").state == "STOPPED", "what somebody has stopped stays stopped"
    assert stack.said == [
        "the supervisor has ended (killed by signal 9), and its services with it: it is started again",
        "the supervisor runs again, and starts late, two",
    ]
    assert [message for _, message in logged(stack.folder)] == stack.said, "the display is gone tomorrow"
    assert logged(stack.folder)[0][0].lower() == "error"


def test_a_supervisor_that_is_stopped_is_told_of_and_after_a_minute_replaced(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack.supervisor, "_answer_seconds", 0.5)
    looked_after, before = stack.look_after(), stack.running()
    stopped = stack.supervisor.pid
    os.kill(stopped, signal.SIGSTOP)
    for stack.now in (1.0, 11.0, 12.0):
        looked_after.look()
    os.kill(stopped, signal.SIGCONT)
    until(stack.supervisor.is_up)
    looked_after.look()
    assert stack.running() == before, "who answers in time again is left alone"
    os.kill(stopped, signal.SIGSTOP)
    for stack.now in (50.0, 80.0):
        looked_after.look()
    assert session.members(stopped) == []
    stack.until_running("one", "two", "late")
    assert [said.partition(":")[0] for said in stack.said] == [
        "the supervisor does not answer",
        "the supervisor answers again",
        "the supervisor does not answer",
        "the supervisor has not answered for 68 s",
        "the supervisor runs again, and starts late, one, two",
    ]


def test_a_supervisor_whose_socket_is_gone_is_replaced(stack: Stack) -> None:
    looked_after, before = stack.look_after(), stack.running()
    stack.supervisor.socket.unlink()
    stack.now = 61.0
    looked_after.look()
    assert not set(before.values()) & set(stack.until_running("one", "two", "late").values())


def test_a_supervisor_that_cannot_be_started_again_is_an_error_after_the_third_try(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    killed = stack.supervisor.pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: stack.supervisor.ended is not None)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SupervisorError, match="supervisord did not start"):
        stack.look_after().look()
    assert sum("it is tried again" in said for said in stack.said) == 2
    assert session.members(killed) == []


def test_a_full_disk_ends_neither_the_supervisor_nor_what_runs_under_it_and_a_new_one_starts_on_it(
    stack: Stack,
) -> None:
    """Each line of a service that cannot be written would end it, by the traceback that cannot be written either."""
    looked_after, before, first = stack.look_after(), stack.running(), stack.supervisor.pid
    looked_after.look()
    log = stack.folder / "logs" / "one.log"
    until(lambda: "line 3" in log.read_text())
    with full_disk():
        limits = resource.prlimit(first, resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE))
        size = log.stat().st_size
        time.sleep(1.0)
        assert (stack.supervisor.ended, stack.running()) == (None, before)
        resource.prlimit(first, resource.RLIMIT_FSIZE, limits)
        until(lambda: log.stat().st_size > size)
        os.kill(first, signal.SIGKILL)
        until(lambda: stack.supervisor.ended is not None)
        looked_after.look()
        assert stack.supervisor.pid != first
    resource.prlimit(stack.supervisor.pid, resource.RLIMIT_FSIZE, limits)
    stack.until_running("one", "two", "late")


def test_a_service_that_ends_at_once_is_tried_again_for_days(stack: Stack) -> None:
    """supervisord waits a second longer each time, and gives up after so many: then a server would stay down."""
    written = (stack.folder / "run" / "supervisord.conf").read_text()
    (retries,) = {int(line.partition("=")[2]) for line in written.splitlines() if line.startswith("startretries")}
    assert retries * (retries + 1) / 2 > 30 * DAY_SECONDS


def test_a_supervisor_that_is_killed_while_it_starts_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Stack(tmp_path)
    sessions: list[int] = []

    spawn = Supervisor.spawn

    def killed_at_once(self: Supervisor, name: str) -> None:
        spawn(self, name)
        until(lambda: (tmp_path / name).exists())
        sessions.append(self.pid)
        os.kill(self.pid, signal.SIGKILL)
        raise KeyboardInterrupt

    monkeypatch.setattr(Supervisor, "spawn", killed_at_once)
    with pytest.raises(KeyboardInterrupt), found.supervisor:
        pytest.fail("it did not start")
    assert session.members(sessions[0]) == []


def test_an_end_that_nobody_obeys_is_enforced_and_ends_no_other_process() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", deaf]
    with (
        subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as one,
        subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as other,
    ):
        for process in (one, other):
            assert process.stdout is not None
            process.stdout.readline()
        assert session.members(one.pid) == [one.pid]
        assert session.end(one.pid, grace_seconds=0.2) == []
        assert one.wait(5) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    "talk",
    [
        no_http,
        hanging_up,
        saying(b"<html>", kind="text/html"),
        saying({"a": 1}),
        saying(b"<?xml version='1.0'?><methodResponse><params/></methodResponse>", kind="text/xml"),
        saying(
            b"<?xml version='1.0'?><methodResponse><params><param><value><int>1</int></value></param></params>"
            b"</methodResponse>",
            kind="text/xml",
        ),
        saying(b"", status=500),
        lambda connection: time.sleep(1),
    ],
)
def test_what_is_no_supervisor_at_the_socket_is_an_error_in_words(tmp_path: Path, talk: Talk) -> None:
    path = tmp_path / "supervisor.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_answer_twice, args=(server, talk), daemon=True).start()
        with pytest.raises(SupervisorError, match=r"no supervisor|not running|does not answer"):
            SupervisorClient(path, answer_seconds=0.3).states()
        server.shutdown(socket.SHUT_RDWR)


def _answer_twice(server: socket.socket, talk: Talk) -> None:
    for _ in range(2):  # XML-RPC asks again where a connection was ended
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65_536)
            talk(connection)


def test_the_state_of_a_stack_that_does_not_run_is_an_error_in_words(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nightdesk", "--settings", str(settings_file), "stack", "status"])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 1
    assert capsys.readouterr().err.startswith("nightdesk: the stack is not running (no answer at ")


def test_a_service_that_cannot_be_brought_up_is_told_once_and_again_when_it_is_well(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    said: list[str] = []
    set_up_logs("run", load(tmp_path / "nightdesk.yml"), show=said.append)
    well = tmp_path / "well"
    script = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).exists() or sys.exit(1); time.sleep(600)"
    programs = [
        Program("broken", [sys.executable, "-c", script, str(well)]),
        Program("decoy", [sys.executable, "-c", "import time; time.sleep(600)"]),
    ]
    with Supervisor(programs, folder=tmp_path / "run", log_dir=tmp_path / "logs") as supervisor:
        looked_after = Supervision(supervisor)

        def told(lines: int) -> bool:
            looked_after.look()
            return len(said) >= lines

        until(lambda: told(1))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            looked_after.look()
        assert said == [
            "broken ends each time it is started: what it does is not done meanwhile; it is tried again, see "
            f"{tmp_path / 'logs' / 'broken.log'}"
        ]
        well.touch()
        until(lambda: told(2))
        assert said[1:] == ["broken runs again"]
    assert [level for level, _ in logged(tmp_path)] == ["error", "info"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder in which a socket has room for its path: those of pytest are named by the test."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", ["a ;b", "a #b", "100%d", 'the "desk"', "two\nlines"])
def test_a_folder_whose_name_supervisord_cannot_hold_is_refused_by_name(short: Path, name: str) -> None:
    folder = short / name
    with pytest.raises(SupervisorError, match="move the folder, or name another home"):
        Supervisor([], folder=folder / "run", log_dir=folder / "logs").__enter__()


def test_a_folder_of_any_other_name_is_none_to_complain_of(short: Path) -> None:
    folder = short / "it's an ü;b#1"
    with Supervisor([], folder=folder / "run", log_dir=folder / "logs") as supervisor:
        assert supervisor.is_up()
