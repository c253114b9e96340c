"""What a call of the exporter was given: taken as it is meant, or refused with what to do instead.

No library: these run at every call inside somebody's trading loop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.numbers import as_float

from nightdesk_exporter.errors import ExporterError

LARGEST = 1.7976931348623157e308
"""The largest finite number: what is not between it and its negative is NaN or infinite."""


class WrongCallError(ExporterError):
    """A call was given something that it cannot mean. `argument` names it; the message says what to do."""

    def __init__(self, argument: str, problem: str) -> None:
        self.argument = argument
        super().__init__(f"{argument} {problem}")


LATEST = 7_258_118_400.0
"""The year 2200: what is given as a later time is one in milliseconds."""


def number(value: Any, name: str, *, least: float | None = None, most: float | None = None) -> float:
    """Return a finite number as a float. Raises `WrongCallError`, also beyond `least` or `most`."""
    # The usual case first: of what a bot passes, nearly all is a float.
    if most is None and type(value) is float and -LARGEST <= value <= LARGEST and (least is None or value >= least):
        return value
    if type(value) is not float:
        try:
            value = as_float(value)
        except TypeError as error:
            raise WrongCallError(name, f"is {_kind(value)}; pass a number") from error
    if not -LARGEST <= value <= LARGEST:
        raise WrongCallError(name, f"is {value}; leave the call out while it is not known")
    if least is not None and value < least:
        raise WrongCallError(name, f"is {value:g}, which lies below {least:g}")
    if most is not None and value > most:
        raise WrongCallError(name, f"is {value:g}, which lies above {most:g}")
    return float(value)


def optional(value: Any, name: str) -> float | None:
    """Return a finite number, or `None`: not known. Raises `WrongCallError`."""
    return None if value is None else number(value, name)


def share(value: Any, name: str) -> float | None:
    """Return a ratio between 0 and 1, or `None`: not known. Raises `WrongCallError`."""
    return None if value is None else number(value, name, least=0, most=1)


def whole(value: Any, name: str) -> int:
    """Return a whole number that is not negative. Raises `WrongCallError`."""
    found = number(value, name, least=0)
    if not found.is_integer():
        raise WrongCallError(name, f"is {found:g}; pass a whole number")
    return int(found)


def moment(value: Any, name: str) -> float:
    """Return a time as Unix seconds: such a number, or an aware datetime. Raises `WrongCallError`."""
    if isinstance(value, (WallTime, MarketTime)):
        value = value.seconds
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise WrongCallError(name, "has no time zone; pass an aware datetime, such as datetime.now(UTC)")
        return value.timestamp()
    found = number(value, name, least=0)
    if found > LATEST:
        raise WrongCallError(name, f"is {found:g}, which is no time in seconds; divide milliseconds by 1000")
    return found


def text(value: Any, name: str) -> str:
    """Return a text that can be shown: half a character becomes a question mark. Raises `WrongCallError`."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    raise WrongCallError(name, f"is {_kind(value)}; pass text")


def flag(value: Any, name: str) -> bool:
    """Return whether something is so. Raises `WrongCallError` for all but a bool, of numpy too."""
    if value is True or value is False:
        return value is True
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise WrongCallError(name, f"is {_kind(value)}; pass True or False")


def one_of(value: Any, known: Sequence[str], name: str) -> str:
    """Return one of the values of a state set. Raises `WrongCallError`: all its states would be 0."""
    if value in known:
        return str(value)
    raise WrongCallError(name, f"is {value!r}; pass one of {', '.join(known)}")


def numbers(value: Any, name: str) -> dict[Any, float]:
    """Return finite numbers by their keys, without those that are `None`: not known. Raises `WrongCallError`."""
    if not isinstance(value, Mapping):
        raise WrongCallError(name, f"is {_kind(value)}; pass a mapping of numbers")
    found = {}
    for key, item in value.items():
        if type(item) is float and -LARGEST <= item <= LARGEST:  # without its name, which costs more than the rest
            found[key] = item
        elif item is not None:
            found[key] = number(item, f"{name}[{key!r}]")
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f"a {type(value).__name__}"
