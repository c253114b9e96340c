"""The parameters of a REST call, read as Binance reads them."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_sandbox.binance import words
from nightdesk_sandbox.binance.words import RequestError

Query = Mapping[str, str]


def given(query: Query, name: str) -> str:
    """Return a parameter that must be there. Raises `RequestError` where it is not."""
    value = query.get(name, "")
    if not value:
        message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        raise RequestError(words.MANDATORY_PARAMETER, message)
    return value


def integer_of(query: Query, name: str) -> int | None:
    """Return a parameter's number, `None` where it is not given. Raises `RequestError` for what is no number."""
    if name not in query:
        return None
    # Python would also take signs, underscores and other scripts' digits, and digits without end.
    if not (query[name].isascii() and query[name].isdigit() and len(query[name]) <= 20):
        message = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        raise RequestError(words.ILLEGAL_CHARS, message)
    return int(query[name])


def limit_of(query: Query, *, default: int, largest: int) -> int:
    """Return how many entries a page may have. Raises `RequestError` for 0, and for more than `largest`."""
    limit = integer_of(query, "limit")
    if limit is None:
        return default
    if not 1 <= limit <= largest:
        raise RequestError(words.INVALID_PARAMETER, "Data sent for parameter 'limit' is not valid.")
    return limit


def range_of(query: Query) -> tuple[int | None, int | None]:
    """Return `startTime` and `endTime` in milliseconds. Raises `RequestError` where they are the wrong way round."""
    start, end = integer_of(query, "startTime"), integer_of(query, "endTime")
    if start is not None and end is not None and start > end:
        raise RequestError(words.START_AFTER_END, "Start time is greater than end time.")
    return start, end
