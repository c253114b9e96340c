"""The supervisor: restarts what dies, and leaves nothing behind when it is killed itself.

supervisord does the work. Each child asks the kernel to be killed when supervisord dies, and supervisord to be stopped
when the process that started it dies (`setpriv --pdeathsig`, of util-linux), so that no SIGKILL leaves an orphan.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import write_atomic
from nightdesk_core.permissions import PRIVATE_UMASK, append_to, make_folder
from supervisor.xmlrpc import SupervisorTransport

_START_SECONDS = 15.0
_STOP_SECONDS = 30.0
_LONGEST_SOCKET_PATH = 100
"""The kernel takes 107 characters; supervisord adds its process id while it binds."""


class SupervisorError(NightdeskError):
    """The supervisor could not be started or asked."""


@dataclass(frozen=True)
class Program:
    """One program to keep running. `autostart=False` waits for `Supervisor.start`."""

    name: str
    command: Sequence[str]
    autostart: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 10


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL …"""

    name: str
    state: str
    pid: int


class SupervisorClient:
    """Talks to a running supervisord over its socket."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def states(self) -> list[ProgramState]:
        """Return every program's state."""
        answer = self._call("getAllProcessInfo")
        return [ProgramState(item["name"], item["statename"], item["pid"]) for item in answer]

    def start(self, name: str) -> None:
        """Start a program and wait until it runs. One that runs already stays as it is."""
        if self.state(name).state not in ("RUNNING", "STARTING"):
            self._call("startProcess", name)

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended. One that is stopped already stays so."""
        if self.state(name).state in ("RUNNING", "STARTING", "BACKOFF"):
            self._call("stopProcess", name)

    def signal(self, name: str, number: str) -> None:
        """Send a running program a signal, named as in `HUP`. Raises `SupervisorError` where it does not run."""
        if self.state(name).state != "RUNNING":
            raise SupervisorError(f"{name} does not run")
        self._call("signalProcess", name, number)

    def state(self, name: str) -> ProgramState:
        """Return one program's state. Raises `SupervisorError` where there is no such program."""
        states = self.states()
        for found in states:
            if found.name == name:
                return found
        raise SupervisorError(f"there is no service {name!r}; there are {', '.join(state.name for state in states)}")

    def is_up(self) -> bool:
        """Return whether supervisord answers."""
        try:
            self._call("getState")
        except SupervisorError:
            return False
        return True

    def _call(self, method: str, *arguments: str) -> Any:
        # A connection that once failed stays broken in this transport, so each call has one of its own.
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(f"{method} {' '.join(arguments)}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorError(f"the stack is not running (no answer at {self.socket})") from error
        finally:
            transport.close()


class Supervisor(SupervisorClient):
    """A supervisord of our own, for the length of a with block."""

    def __init__(self, programs: Sequence[Program], *, folder: Path, log_dir: Path) -> None:
        """`folder` takes socket, configuration and process id; `log_dir` one log for each program."""
        super().__init__(socket_path(folder))
        self._programs = programs
        self._folder = folder
        self._log_dir = log_dir
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        make_folder(self._folder)
        make_folder(self._log_dir)
        configuration = self._folder / "supervisord.conf"
        write_atomic(configuration, self._configuration().encode())
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)]
        with append_to(self._log_dir / "supervisord.out") as output:
            self._process = subprocess.Popen(
                dying_with_parent(command, signal="TERM"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Of its own, so that Ctrl-C reaches only the parent, which then stops everything in order.
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        # All at once: on its own SIGTERM supervisord stops one program after the other, a second each.
        with suppress(SupervisorError):
            self._call("stopAllProcesses")
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process id of supervisord."""
        if self._process is None:
            raise SupervisorError("the supervisor runs only inside its with block")
        return self._process.pid

    def _wait_until_up(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                log = self._log_dir / "supervisord.out"
                raise SupervisorError(f"supervisord did not start; its output is in {log}")
            time.sleep(0.05)

    def _configuration(self) -> str:
        user = "user=root\n" if os.geteuid() == 0 else ""
        head = (
            f"[unix_http_server]\nfile={self.socket}\nchmod=0700\n\n"
            f"[supervisord]\nnodaemon=true\nsilent=true\n{user}"
            f"logfile={self._log_dir / 'supervisord.log'}\nlogfile_maxbytes=10MB\nlogfile_backups=2\n"
            f"pidfile={self._folder / 'supervisord.pid'}\nchildlogdir={self._log_dir}\n\n"
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
        )
        return (head + "\n".join(self._section(program) for program in self._programs)).replace("%", "%%")

    def _section(self, program: Program) -> str:
        command = shlex.join(dying_with_parent(program.command, signal="KILL"))
        environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
        return (
            f"[program:{program.name}]\ncommand={command}\nautostart={str(program.autostart).lower()}\n"
            f"autorestart=true\nstartsecs=1\nstartretries=20\nstopwaitsecs={program.stop_seconds}\n"
            f"killasgroup=true\nredirect_stderr=true\nstdout_logfile={self._log_dir / (program.name + '.log')}\n"
            f"stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2\nenvironment={environment}\n"
        )


def dying_with_parent(command: Sequence[str], *, signal: str) -> list[str]:
    """Return a command that gets `signal` from the kernel when its parent dies."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SupervisorError("setpriv is missing; install the package util-linux")
    return [setpriv, "--pdeathsig", signal, "--", *command]


def socket_path(folder: Path) -> Path:
    """Return the socket of the supervisor in `folder`. Raises `SupervisorError` where its path is too long."""
    path = folder / "supervisor.sock"
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        raise SupervisorError(f"{path} is too long for a socket: put `home` in a shorter path")
    return path
