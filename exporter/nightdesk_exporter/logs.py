"""Logging, set up in one place: a console that people read, a JSON file that rotates, and no secret in either."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger
from nightdesk_core.permissions import make_folder, open_file
from nightdesk_core.redaction import Redaction

from nightdesk_exporter.catalogue import LOG_LEVELS

if TYPE_CHECKING:
    from loguru import Record

_CONSOLE = "<green>{time:YYYY-MM-DD HH:mm:ss}</green> <level>{level: <8}</level> {extra[said]}"


def set_up(
    program: str,
    *,
    folder: Path | None = None,
    level: str = "INFO",
    rotation: str = "10 MB",
    keep_files: int = 10,
    secrets: Iterable[str] = (),
) -> None:
    """Log to standard error and, where a folder is given, as JSON lines to `<program>.jsonl` in it.

    Replaces whatever was set up before. What libraries log by the standard library's `logging` comes here, too, from
    warnings on.
    Every one of `secrets` is replaced by stars: in messages, in tracebacks, and in parts of a URL.
    """
    redaction = Redaction(secrets)
    logger.remove()
    logger.configure(patcher=lambda record: _redact_safely(record, redaction))
    logger.add(sys.stderr, format=_CONSOLE, level=level, backtrace=False, diagnose=False)
    if folder is not None:
        make_folder(folder)
        logger.add(
            folder / f"{program}.jsonl",
            format="{extra[line]}",
            rotation=rotation,
            retention=keep_files,
            level=level,
            backtrace=False,
            diagnose=False,
            opener=open_file,
        )
    # Below a warning libraries tell what they do, not what happens; some, as Dask, set a level of their own.
    logging.basicConfig(handlers=[_FromLogging(logging.WARNING)], level=logging.WARNING, force=True)


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


class _FromLogging(logging.Handler):
    """Passes on what libraries log, as coming from where they logged it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, "{}", record.getMessage())


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
    message, trace = redaction.text(record["message"]), redaction.text(trace.rstrip())
    told = {key: redaction.everything(value) for key, value in record["extra"].items()}
    line = {
        "at": record["time"].isoformat(),
        "level": record["level"].name.lower(),
        "message": message,
        "where": f"{record['name']}:{record['line']}",
        **({"extra": told} if told else {}),
        **({"traceback": trace} if trace else {}),
    }
    record["message"] = message
    record["exception"] = None
    record["extra"] = {**told, "said": f"{message}\n{trace}" if trace else message, "line": json.dumps(line)}
