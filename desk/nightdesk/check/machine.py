"""What the machine must have: a folder that can be written, room on its disk, ports that are free."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nightdesk.check.result import SetupError
from nightdesk.growth import measure
from nightdesk.settings import Settings
from nightdesk.stack.running import run_dir
from nightdesk.stack.services import listening_services, taken_ports
from nightdesk.stack.supervisor_client import SupervisorClient, SupervisorError, socket_path

_LEAST_FREE_BYTES = 2 * 10**9
"""Prometheus keeps about 1 GB in its 90 days of one bot; the servers unpack into 0.3 GB; logs, models and a reserve."""
_WORTH_NAMING_BYTES = 50_000


def check_home(settings: Settings) -> str:
    """Return how much room there is. Raises `SetupError` where home cannot be written or its disk is nearly full."""
    folders = (settings.home, *(settings.path(path) for path in (settings.bot.state_dir, settings.bot.models_dir)))
    for folder in folders:
        there = _nearest(folder)
        if not there.is_dir():
            raise SetupError(f"{there} is a file where {folder} must be a folder; move it, or set home elsewhere")
        if not os.access(there, os.W_OK | os.X_OK):
            raise SetupError(f"{there} cannot be written by this user; give it to whoever runs Nightdesk (chown)")
    free = shutil.disk_usage(_nearest(settings.home)).free
    if free < _LEAST_FREE_BYTES:
        raise SetupError(
            f"{settings.home}: only {free / 1e9:.1f} GB are free and {_LEAST_FREE_BYTES / 1e9:.0f} GB are wanted; "
            "free some, or set home to a larger disk"
        )
    return f"{settings.home}, {free / 1e9:,.0f} GB free"


def check_growth(settings: Settings) -> str:
    """Return what takes how much room of what bot, job and servers have written."""
    sizes = measure(settings)
    said = [f"{what} {size / 1e6:,.1f} MB" for what, size in sizes.items() if size >= _WORTH_NAMING_BYTES]
    return "; ".join([f"{sum(sizes.values()) / 1e6:,.1f} MB in all", *said])


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest of its parents that exists."""
    return next(parent for parent in (path, *path.parents) if os.path.lexists(parent))


def check_ports(settings: Settings) -> str:
    """Return which ports are free. Raises `SetupError` for those that something else listens on."""
    if settings.stack.network == "compose":
        return "each container has its own"
    if _stack_runs(settings):
        return "the stack of this home runs and has them"
    wanted = listening_services(settings)
    taken = taken_ports(settings, wanted)
    if taken:
        raise SetupError("; ".join(taken) + "; stop what listens there, or set another port")
    return f"{', '.join(str(settings.port(name)) for name in wanted)} are free"


def _stack_runs(settings: Settings) -> bool:
    try:
        return SupervisorClient(socket_path(run_dir(settings))).is_up()
    except SupervisorError:
        return False
