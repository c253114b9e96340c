"""The parameters of a REST call, read as Bybit reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nightdesk_sandbox.bybit.words import CATEGORIES, ParameterError

Query = Mapping[str, str]


def category_of(query: Query, *, known: Collection[str] = CATEGORIES) -> str:
    """Return the category that a call is about. Raises `ParameterError` for one that is not among `known`."""
    category = query.get("category", "")
    if category not in known:
        raise ParameterError("params error: Category is invalid")
    return category


def integer_of(query: Query, name: str) -> int | None:
    """Return a parameter's number, `None` where it is not given. Raises `ParameterError` for what is no number."""
    if name not in query:
        return None
    # Python would also take signs, underscores and other scripts' digits, and digits without end.
    if not (query[name].isascii() and query[name].isdigit() and len(query[name]) <= 15):
        raise ParameterError(f"params error: {name} is invalid")
    return int(query[name])


def limit_of(query: Query, *, default: int, largest: int) -> int:
    """Return how many entries a page may have; more than `largest` is as much as `largest`.

    Raises `ParameterError` for 0 and for what is no number.
    """
    limit = integer_of(query, "limit")
    if limit == 0:
        raise ParameterError("params error: limit is invalid")
    return default if limit is None else min(limit, largest)
