"""Questions and orders to a supervisord that runs, over its socket: bounded in time, and a wrong answer is an error."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from nightdesk_core.errors import NightdeskError

_ANSWER_SECONDS = 5.0
_ORDER_SECONDS = 60.0
"""It answers an order once it is carried out: a program may take its time to stop."""
_LONGEST_SOCKET_PATH = 100
"""The kernel takes 107 characters; supervisord adds its process id while it binds."""


class SupervisorError(NightdeskError):
    """The supervisor could not be started or asked."""


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL …"""

    name: str
    state: str
    pid: int


class SupervisorClient:
    """Talks to a running supervisord over its socket."""

    def __init__(self, socket: Path, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self.socket = socket
        self._answer_seconds = answer_seconds

    def states(self) -> list[ProgramState]:
        """Return every program's state."""
        answer = self._call("getAllProcessInfo")
        if not isinstance(answer, list):
            raise SupervisorError(f"what answers at {self.socket} is no supervisor")
        try:
            return [ProgramState(str(item["name"]), str(item["statename"]), int(item["pid"])) for item in answer]
        except (KeyError, TypeError, ValueError) as error:
            raise SupervisorError(f"what answers at {self.socket} is no supervisor") from error

    def start(self, name: str) -> None:
        """Start a program and wait until it runs. One that runs already stays as it is."""
        if self.state(name).state not in ("RUNNING", "STARTING"):
            self._call("startProcess", name, timeout_seconds=_ORDER_SECONDS)

    def spawn(self, name: str) -> None:
        """Have a program that does not run started, and wait for nothing."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended. One that is stopped already stays so."""
        if self.state(name).state in ("RUNNING", "STARTING", "BACKOFF"):
            self._call("stopProcess", name, timeout_seconds=_ORDER_SECONDS)

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

    def stop_all(self) -> None:
        """Stop every program at once and wait until all have ended."""
        self._call("stopAllProcesses", timeout_seconds=_ORDER_SECONDS)

    def _call(self, method: str, *arguments: str | bool, timeout_seconds: float | None = None) -> Any:
        # A connection that once failed stays broken, so each call has one of its own.
        transport = _Transport(self.socket, timeout_seconds or self._answer_seconds)
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(f"{method} {' '.join(map(str, arguments))}: {fault.faultString}") from fault
        except TimeoutError as error:
            raise SupervisorError(
                f"the supervisor does not answer at {self.socket}: its process is stopped or overwhelmed"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorError(f"the stack is not running (no answer at {self.socket})") from error
        except (xmlrpc.client.Error, ExpatError, ValueError, TypeError) as error:
            raise SupervisorError(f"what answers at {self.socket} is no supervisor") from error
        finally:
            transport.close()


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a socket of the machine, each wait on it bounded: who is stopped takes connections and is silent."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_seconds = timeout_seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """Return a connection to the socket, and keep it to be closed."""
        connection = _Connection(self._path, self._timeout_seconds)
        self._connection = host, connection
        return connection


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def socket_path(folder: Path) -> Path:
    """Return the socket of the supervisor in `folder`. Raises `SupervisorError` where its path is too long."""
    path = folder / "supervisor.sock"
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        raise SupervisorError(f"{path} is too long for a socket: put `home` in a shorter path")
    return path
