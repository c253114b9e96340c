"""Nightdesk's log and the bot's own, joined: by the standard library's `logging`, or by structlog.

Nothing of the bot's set-up is changed: no handler is taken away, no level, no processor. Each function joins one
direction and returns what ends it. Both may be joined: what came from one side does not go back to it.

leave = send_to_logging()              # what Nightdesk says, to the handlers of the bot's
leave = take_from_logging("WARNING")   # what the bot and its libraries say, to Nightdesk's file and counters
structlog.configure(processors=[take_from_structlog, ...])
leave = send_to_structlog(structlog.get_logger("nightdesk"))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Protocol

from loguru import logger

from nightdesk_exporter.logs import SENT, FromLogging, from_outside

Leave = Callable[[], None]


class StructLogger(Protocol):
    """A logger of structlog's, as far as it is needed."""

    def log(self, level: int, event: str, **values: Any) -> Any:
        """Log an event."""


def send_to_logging(name: str = "nightdesk", *, level: str = "INFO") -> Leave:
    """Have what Nightdesk logs, from `level` on, handled by `logging.getLogger(name)` and whatever is above it."""
    target = logging.getLogger(name)

    def pass_on(message: Any) -> None:
        said = message.record
        number, error = said["level"].no, said["exception"]
        if not target.isEnabledFor(number):
            return
        trace = None if error is None else (error.type, error.value, error.traceback)
        record = target.makeRecord(
            name, number, said["file"].path, said["line"], "%s", (said["message"],), trace, said["function"]
        )
        setattr(record, SENT, True)
        target.handle(record)

    return _sink(pass_on, level)


def take_from_logging(level: str = "WARNING") -> Leave:
    """Have what is logged by the standard library, from `level` on, in Nightdesk's log too.

    The root logger gets one more handler. Its own level decides first, as before.
    """
    handler = FromLogging(level)
    logging.getLogger().addHandler(handler)

    def leave() -> None:
        logging.getLogger().removeHandler(handler)

    return leave


def take_from_structlog(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Have an event of structlog's in Nightdesk's log too: a processor, to be put before the one that renders."""
    if event.pop(SENT, False):
        return event
    values = {str(key): value for key, value in event.items() if key not in ("event", "exc_info", "level")}
    token = from_outside.set(True)
    try:
        logger.bind(**values).log(_level(method), "{}", event.get("event", ""))
    finally:
        from_outside.reset(token)
    return event


def send_to_structlog(target: StructLogger, *, level: str = "INFO") -> Leave:
    """Have what Nightdesk logs, from `level` on, as events of a structlog logger, with what was bound to them."""

    def pass_on(message: Any) -> None:
        said = message.record
        values = _bound(said["extra"])
        target.log(_standard(said["level"].no), said["message"], **{**values, SENT: True})

    return _sink(pass_on, level)


def _sink(pass_on: Callable[[Any], None], level: str) -> Leave:
    handler = logger.add(
        pass_on,
        level=level,
        format="{message}",
        filter=lambda _: not from_outside.get(),
        backtrace=False,
        diagnose=False,
    )

    def leave() -> None:
        with suppress(ValueError):  # somebody set logging up anew meanwhile
            logger.remove(handler)

    return leave


def _bound(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in extra.items() if key not in ("said", "line", "event", "level")}


def _level(method: str) -> str:
    name = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL", "msg": "INFO"}.get(method, method.upper())
    return name if name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL") else "INFO"


def _standard(number: int) -> int:
    """Return the level that the standard library has a name for: loguru's TRACE and SUCCESS are nobody else's."""
    return max((known for known in (10, 20, 30, 40, 50) if known <= number), default=10)
