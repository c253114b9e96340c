"""Logging, set up in one place: a console that people read, a JSON file that rotates, and no secret in either.

A log line never raises into whoever logs, whatever it is given; what it is given is fit to be shown.
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger
from nightdesk_core.secrets.redaction import Redaction
from nightdesk_core.text import told

from nightdesk_exporter.log_file import LogFile
from nightdesk_exporter.metrics.catalogue import LOG_LEVELS

if TYPE_CHECKING:
    from loguru import Record

_KNOWN_LEVELS = frozenset(["TRACE", "DEBUG", *(name.upper() for name in LOG_LEVELS)])
_CONSOLE = "<green>{time:YYYY-MM-DD HH:mm:ss}</green> <level>{level: <8}</level> {extra[said]}"


def set_up(
    program: str,
    *,
    folder: Path | str | None = None,
    level: str = "INFO",
    rotation_megabytes: float = 10.0,
    keep_files: int = 10,
    secrets: Iterable[str] = (),
    show: Callable[[str], None] | None = None,
) -> None:
    """Log to standard error and, where a folder is given, as JSON lines to `<program>.jsonl` in it.

    `show` takes each message in place of standard error, without its time.
    Several processes may log to one file. Replaces whatever was set up before by it. What libraries log by the standard
    library's `logging` comes here, too, from warnings on; handlers that are there stay.
    Every one of `secrets` is replaced by stars: in messages, in tracebacks, and in parts of a URL.
    """
    redaction = Redaction(secrets)
    _raise_nothing()
    logger.remove()
    logger.configure(patcher=lambda record: _redact_safely(record, redaction))
    if show is None:
        logger.add(sys.stderr, format=_CONSOLE, level=level, backtrace=False, diagnose=False)
    else:
        logger.add(
            lambda message: show(message.rstrip("\n")),
            format="{extra[said]}",
            level=level,
            backtrace=False,
            diagnose=False,
        )
    if folder is not None:
        logger.add(
            LogFile(
                Path(folder) / f"{program}.jsonl",
                rotate_bytes=round(rotation_megabytes * 1_000_000),
                keep_files=keep_files,
            ),
            format="{extra[line]}",
            level=level,
            backtrace=False,
            diagnose=False,
        )
    # Below a warning libraries tell what they do, not what happens; some, as Dask, set a level of their own.
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler) is FromLogging]:
        root.removeHandler(handler)  # of an earlier set-up; those of the bot's own stay
    root.addHandler(FromLogging(logging.WARNING))


def count_messages(count: Callable[[str], None]) -> Callable[[], None]:
    """Have `count` told the level of each message from info on; return what ends it."""
    known = frozenset(LOG_LEVELS)

    def note(message: Any) -> None:
        name = message.record["level"].name.lower()
        if name in known:
            count(name)

    handler = logger.add(note, level="INFO", format="", backtrace=False, diagnose=False)

    def end() -> None:
        with suppress(ValueError):  # somebody set logging up anew meanwhile
            logger.remove(handler)

    return end


SENT = "nightdesk_sent"
"""Marks a record of the standard library's, or an event of structlog's, that is ours: it does not come back."""
from_outside: ContextVar[bool] = ContextVar("from_outside", default=False)
"""Whether what is logged just now came from another log: it does not go back there."""


class FromLogging(logging.Handler):
    """Passes on what libraries log, as coming from where they logged it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record that is not ours. Never raises for its message's sake."""
        if getattr(record, SENT, False):
            return
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        token = from_outside.set(True)
        try:
            logger.opt(depth=depth, exception=record.exc_info).log(level, "{}", _said_by(record))
        finally:
            from_outside.reset(token)


def _said_by(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - somebody else's message and arguments
        return f"{told(record.msg)} (with {told(record.args)}, which do not fit: {type(error).__name__})"


def _raise_nothing() -> None:
    """Have what loguru itself does with a message, such as filling in its arguments, not raise into whoever logs.

    It offers no place for that but its patcher, which is called too late: so its one method that all pass is wrapped.
    """
    kind: Any = type(logger)
    log = kind._log
    if hasattr(log, "__wrapped__"):
        return

    @wraps(log)
    def log_safely(
        self: Any, level: Any, from_decorator: Any, options: tuple[Any, ...], message: Any, args: Any, kwargs: Any
    ) -> None:
        exception, depth, *rest = options
        try:
            log(self, level, from_decorator, (exception, depth + 1, *rest), message, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the border: whatever a loop may log comes through here
            said = f"{told(message)} (with {told(args)}, which do not fit: {type(error).__name__})"
            known = level if level in _KNOWN_LEVELS else "ERROR"
            # Past this wrapper, which would come here again where it is the error that does not fit.
            for fitting in (exception, None):
                with suppress(Exception):
                    opted: Any = logger.opt(depth=depth + 1, exception=fitting)
                    log(opted, known, False, opted._options, "{}", (said,), {})
                    return

    kind._log = log_safely


def _redact_safely(record: Record, redaction: Redaction) -> None:
    """Put what is to be written into the record; of what cannot be shown, why. A log line must not raise."""
    try:
        _redact(record, redaction)
    except Exception as error:  # noqa: BLE001 - the border: whatever a loop may log comes through here
        record["extra"] = {}
        record["message"] = f"a message that cannot be shown: {type(error).__name__}"
        record["exception"] = None
        _redact(record, redaction)


def _redact(record: Record, redaction: Redaction) -> None:
    """Put what is to be written into the record: the text with its traceback, and the line of JSON."""
    error = record["exception"]
    trace = "" if error is None else "".join(traceback.format_exception(error.type, error.value, error.traceback))
    message, trace = redaction.shown(record["message"]), redaction.shown(trace.rstrip())
    extra = redaction.everything(record["extra"])
    line = {
        "at": record["time"].isoformat(),
        "level": record["level"].name.lower(),
        "message": message,
        "where": f"{record['name']}:{record['line']}",
        **({"extra": extra} if extra else {}),
        **({"traceback": trace} if trace else {}),
    }
    record["message"] = message
    record["exception"] = None
    # What follows a line break is set in: it cannot be taken for another message.
    said = f"{message}\n{trace}".rstrip().replace("\n", "\n  ")
    record["extra"] = {**extra, "said": said, "line": json.dumps(line, allow_nan=False)}
