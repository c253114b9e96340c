"""What a bot trades: its name, its symbols and their timeframes, as exchanges write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from nightdesk_core.text import line
from nightdesk_core.units import DAY_SECONDS

MOST_CHARACTERS = 100
_ALLOWED = f"pass 1 to {MOST_CHARACTERS} characters that can be seen, on one line, without a space at either end"
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS, "M": 30 * DAY_SECONDS}
_TIMEFRAME = re.compile(r"([1-9][0-9]{0,4})([smhdwM])")


def timeframe_seconds(timeframe: Any) -> int:
    """Return the seconds between two candles, such as 3600 for `1h`; a month is 30 days.

    Raises `ValueError` where it is no timeframe.
    """
    found = _TIMEFRAME.fullmatch(timeframe) if isinstance(timeframe, str) else None
    if found is None:
        raise ValueError(f"{timeframe!r} is no timeframe; write it as 1m, 15m, 1h or 1d")
    return int(found[1]) * _SECONDS[found[2]]


def bot_name(name: Any) -> str:
    """Return a bot's name, which is a label of its metrics and part of its files' names.

    Raises `ValueError` where it cannot be one.
    """
    found = _name(name, "a bot's name")
    if "/" in found or "\\" in found or found.startswith("."):
        raise ValueError(f"{name!r} is no name of a file; {_ALLOWED}, without / and \\, and without a . at its begin")
    return found


def symbol_name(symbol: Any) -> str:
    """Return a symbol, such as `BTC/USDT`. Raises `ValueError` where it cannot be one."""
    return _name(symbol, "a symbol")


def markets(symbols: Any, timeframe: Any = None) -> list[tuple[str, str]]:
    """Return (symbol, timeframe) pairs. `symbols` has such pairs, or symbols alone whose timeframe is `timeframe`.

    None at all is an empty list. Raises `ValueError` for anything else, a single text among it.
    """
    if isinstance(symbols, (str, bytes)) or not isinstance(symbols, Iterable):
        raise ValueError(f'they are {symbols!r}; pass a list, such as [("BTC/USDT", "1h")], or [] for no candles')
    return [_market(each, timeframe) for each in symbols]


def _market(given: Any, timeframe: Any) -> tuple[str, str]:
    if isinstance(given, str):
        if timeframe is None:
            raise ValueError(f'{given!r} has no timeframe; pass ("{given}", "1h"), or timeframe="1h" for all')
        given = (given, timeframe)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(f'{given!r} is no symbol, and no pair of symbol and timeframe, such as ("BTC/USDT", "1h")')
    symbol, its_own = given
    timeframe_seconds(its_own)
    return symbol_name(symbol), its_own


def _name(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not {what}; {_ALLOWED}")
    if not name.strip() or name != name.strip() or len(name) > MOST_CHARACTERS or line(name) != name:
        raise ValueError(f"{name[:MOST_CHARACTERS]!r} is not {what}; {_ALLOWED}")
    return str(name)
