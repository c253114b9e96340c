"""Which extra of the package brings a library that is not installed: a light install does not have them all."""

from __future__ import annotations

import sys
from types import TracebackType

from nightdesk_core.errors import NightdeskError

_OF_ROOM = {
    "nightdesk": "desk",
    "nightdesk_exporter": "web",
    "nightdesk_retrain": "retrain",
    "nightdesk_guard": "retrain",
    "nightdesk_trendbot": "bot",
    "nightdesk_sandbox": "sandbox",
}
"""What a room needs beside the base."""
_OF_MODULE = {"distributed": "cluster", "dask": "cluster", "jinja2": "sandbox", "cryptography": "sandbox"}
"""What one part of a room needs alone."""


class MissingExtraError(NightdeskError):
    """A library that a command needs is not installed."""

    exit_code = 2


def missing(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return what to say of a library that was not found; `None` where it is no library of an extra's."""
    module = (error.name or "").partition(".")[0]
    if not module or module in sys.stdlib_module_names or module.startswith("nightdesk"):
        return None
    extra = _OF_MODULE.get(module) or _OF_ROOM.get(_room(error.__traceback__))
    if extra is None:
        return None
    return MissingExtraError(
        f"this needs {module}, which a light install does not bring: pip install 'nightdesk[{extra}]'"
    )


def _room(trace: TracebackType | None) -> str:
    """Return the room of ours that asked for it last."""
    room = ""
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        room = package if package in _OF_ROOM else room
        trace = trace.tb_next
    return room
