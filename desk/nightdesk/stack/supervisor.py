"""The supervisor: restarts what dies, and leaves nothing behind when it is killed itself.

supervisord does the work. Each child asks the kernel to be killed when supervisord dies, and supervisord to be stopped
when the process that started it dies (`setpriv --pdeathsig`, of util-linux). What the children have started is ended by
the session, which is supervisord's own: so no SIGKILL leaves an orphan.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.permissions import PRIVATE_UMASK, make_folder
from nightdesk_core.files.reader import open_to_append

from nightdesk.stack import session
from nightdesk.stack.supervisor_client import SupervisorClient, SupervisorError, socket_path

_ODD = re.compile(r"[\x00-\x1f\"%]|\s[;#]")
_START_SECONDS = 15.0
_STOP_SECONDS = 30.0
_RETRIES = 1_000_000
"""For ever, each a second later than the one before: what ends a service, such as a full disk, may be over by then."""
_GRACE_SECONDS = 10.0
"""For what the services have started: a retrain that is cut off ends its workers."""


@dataclass(frozen=True)
class Program:
    """One program to keep running. `autostart=False` waits for `Supervisor.start`."""

    name: str
    command: Sequence[str]
    autostart: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 10


class Supervisor(SupervisorClient):
    """A supervisord of our own, for the length of a with block."""

    def __init__(self, programs: Sequence[Program], *, folder: Path, log_dir: Path) -> None:
        """`folder` takes socket, configuration and process id; `log_dir` one log for each program."""
        super().__init__(socket_path(folder))
        self._programs = programs
        self._folder = folder
        self._log_dir = log_dir
        self._configuration_file = folder / "supervisord.conf"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for path in (self._folder, self._log_dir):
            refuse_odd(path)
            make_folder(path)
        # Once, and the same for every start: later on a full disk may take nothing.
        write_atomic(self._configuration_file, self._configuration().encode())
        self._start({program.name for program in self._programs if program.autostart})
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def names(self) -> frozenset[str]:
        """The names of the programs."""
        return frozenset(program.name for program in self._programs)

    def log_of(self, name: str) -> Path:
        """Return the file with what a program says."""
        return self._log_dir / f"{name}.log"

    @property
    def ended(self) -> str | None:
        """How supervisord has ended, in words; None while there is a process."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def restart(self, names: Collection[str]) -> None:
        """Start supervisord anew, and these programs by it, once nothing is left of what ran before.

        By the thread that lives longest: the kernel stops supervisord when the thread ends that has started it. Raises
        `SupervisorError` where something cannot be ended, or supervisord does not start.
        """
        self._end()
        self._start(names)

    def _start(self, names: Collection[str]) -> None:
        try:
            self._process = self._spawned()
        except OSError as error:
            raise SupervisorError(f"supervisord cannot be started ({reason_of(error)})") from error
        try:
            self._wait_until_up()
            for program in self._programs:
                if program.name in names:
                    with suppress(SupervisorError):  # supervisord itself tries again what cannot be started
                        self.spawn(program.name)
        except BaseException:
            self._end()
            raise

    def _spawned(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "nightdesk.stack.supervisord", "--nodaemon"]
        command += ["--configuration", str(self._configuration_file)]
        with open_to_append(self._log_dir / "supervisord.out") as output:
            return subprocess.Popen(
                dying_with_parent(command, signal="TERM"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Of its own, so that Ctrl-C reaches only the parent, which then stops everything in order.
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )

    def _end(self) -> None:
        """End supervisord and all of its session. Raises `SupervisorError` where a process cannot be ended."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            self._stop(process)
        if left := session.end(process.pid, grace_seconds=_GRACE_SECONDS):
            ids = " ".join(map(str, left))
            raise SupervisorError(
                f"processes {ids} of the stack cannot be ended: end them (kill -9 {ids}), then start anew"
            )

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if self.is_up():
            # All at once: on its own SIGTERM supervisord stops one program after the other, a second each.
            with suppress(SupervisorError):
                self.stop_all()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_STOP_SECONDS)
        process.kill()
        process.wait()

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
        sections = [self._section(program) for program in self._programs]
        return (head + "\n".join(sections)).replace("%", "%%")

    def _section(self, program: Program) -> str:
        command = shlex.join(dying_with_parent(program.command, signal="KILL"))
        environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
        return (
            f"[program:{program.name}]\ncommand={command}\nautostart=false\n"
            f"autorestart=true\nstartsecs=1\nstartretries={_RETRIES}\nstopwaitsecs={program.stop_seconds}\n"
            f"killasgroup=true\nredirect_stderr=true\nstdout_logfile={self.log_of(program.name)}\n"
            f"stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2\nenvironment={environment}\n"
        )


def refuse_odd(path: Path) -> None:
    """Raise `SupervisorError` for a folder whose name supervisord's configuration cannot hold.

    It knows no quotes, has comments amid a line, and takes a % for what it is to fill in.
    """
    if found := _ODD.search(str(path)):
        raise SupervisorError(
            f"{path} holds {found.group().strip() or found.group()!r}, which the supervisor cannot have in a path: move"
            " the folder, or name another home"
        )


def dying_with_parent(command: Sequence[str], *, signal: str) -> list[str]:
    """Return a command that gets `signal` from the kernel when its parent dies."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SupervisorError("setpriv is missing; install the package util-linux")
    return [setpriv, "--pdeathsig", signal, "--", *command]
