"""Which extra of the package brings a library that is not installed: a light install does not have them all."""

from __future__ import annotations

import importlib.util
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
_OF_WHOLE_STACK = ("aiohttp", "ccxt", "lightgbm", "numba", "re2", "supervisor")


class MissingExtraError(NightdeskError):
    """A library that a command needs is not installed."""

    exit_code = 2


def missing(error: BaseException | None) -> MissingExtraError | None:
    """Return what to say of a library that was not found; `None` for any other error."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    if not module or module in sys.stdlib_module_names or module.startswith("nightdesk"):
        return None
    extra = _OF_MODULE.get(module) or _OF_ROOM.get(_room(error.__traceback__))
    if extra is None:
        return None
    return MissingExtraError(
        f"this needs {module}, which a light install does not bring: pip install 'nightdesk[{extra}]'"
    )


def require_all(what: str) -> None:
    """Refuse what needs several extras where one of them is missing: each by itself would be told of one by one.

    Raises `MissingExtraError`.
    """
    lacking = [module for module in _OF_WHOLE_STACK if not _is_there(module)]
    if lacking:
        raise MissingExtraError(
            f"{what} needs {', '.join(lacking)}, which a light install does not bring: pip install 'nightdesk[all]'"
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _room(trace: TracebackType | None) -> str:
    """Return the package that asked for it."""
    package = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not name.startswith("importlib."):
            package = name.partition(".")[0]
        trace = trace.tb_next
    return package
