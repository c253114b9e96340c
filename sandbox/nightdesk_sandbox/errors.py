"""What can go wrong in the sandbox.

SandboxError        exit code 1
├── CandlesError    exit code 3   no usable candles
├── PositionError   exit code 3   the replay's saved position cannot be read
├── BindError       exit code 1   a port is taken
└── FaultError      answered 400  a fault that does not exist
"""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.text import line


class SandboxError(NightdeskError):
    """The sandbox cannot start or go on."""


class CandlesError(SandboxError):
    """The candles cannot be had, or cannot be replayed. `source` is the file or package that they come from."""

    exit_code = 3

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        self.problem = line(problem)
        super().__init__(f"{source}: {self.problem}")


class PositionError(SandboxError):
    """The file with the replay's position is damaged."""

    exit_code = 3

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}; delete it to replay from the start")


class BindError(SandboxError):
    """A service cannot listen where it should."""

    def __init__(self, service: str, host: str, port: int, reason: str) -> None:
        self.service = service
        self.host = host
        self.port = port
        super().__init__(
            f"the {service} cannot listen on port {port} of {host} ({reason}); "
            f"stop what listens there, or name another port with stack.ports.{service}"
        )


class FaultError(SandboxError):
    """A fault was asked for that does not exist, or with wrong parameters."""
