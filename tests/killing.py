"""Kills a fork of the test at a chosen line of the code under test, as SIGKILL would at any moment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any
from weakref import WeakSet

from nightdesk_core import forks


def killed_at(line: int, modules: Collection[ModuleType], action: Callable[[], object]) -> bool:
    """Run `action` in a fork that is killed before the `line`-th line it executes in `modules`; return whether it was.

    Fails where the action fails.
    """
    child = _copy()
    if child == 0:
        code = 1
        try:
            _kill_before(line, {module.__file__ for module in modules})
            action()
            code = 0
        finally:
            sys.settrace(None)
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, f"the action failed in the fork, to be killed at line {line}"
    return False


def _copy() -> int:
    """Fork, and return as `os.fork` does; the child passes for the process that it was forked from.

    What is killed stands for a bot, and its copy must do what a bot does, not what a bot's child does.
    """
    bot, aware = os.getpid(), forks._aware
    forks._aware = WeakSet()
    try:
        child = os.fork()
    finally:
        forks._aware = aware
    if child == 0:
        os.getpid = lambda: bot
    return child


def _kill_before(line: int, files: Collection[str | None]) -> None:
    left, process = line, int(Path("/proc/self").readlink().name)
    watched: dict[CodeType, bool] = {}

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if event == "call":
            return trace if watched.setdefault(frame.f_code, frame.f_code.co_filename in files) else None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(process, signal.SIGKILL)
        return trace

    sys.settrace(trace)
