"""What a bot declares when it makes its exporter: who it is, what is expected of it, and what it does not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from nightdesk_core.markets import bot_name, markets, symbol_name, timeframe_seconds
from nightdesk_core.numbers import as_float

from nightdesk_exporter.arguments import flag
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.snapshot import Limits

T = TypeVar("T")


@dataclass(frozen=True)
class Declared:
    """A bot by its own words."""

    name: str
    currency: str
    intervals: dict[tuple[str, str], float]
    """By symbol and timeframe, how many seconds lie between two candles."""
    without: frozenset[str]
    """What it does not have, of `snapshot.MAY_LACK`."""


def declared(
    name: object, symbols: object, timeframe: object, *, model: object, decisions: object, currency: object
) -> Declared:
    """Return what was declared. Raises `ExporterError` for what cannot be."""
    expected = _refusing("symbols", lambda: markets(symbols, timeframe))
    lacks = {
        "model": model is None or not flag(model, "model"),
        "decisions": not flag(decisions, "decisions"),
        "candles": not expected,
    }
    return Declared(
        name=_refusing("name", lambda: bot_name(name)),
        currency=_refusing("currency", lambda: symbol_name(currency)),
        intervals={market: float(timeframe_seconds(market[1])) for market in expected},
        without=frozenset(what for what, lacking in lacks.items() if lacking),
    )


def limits_of(limits: Limits) -> Limits:
    """Return limits as floats. Raises `ExporterError` where one is no positive number."""
    if not isinstance(limits, Limits):
        raise ExporterError("limits are none; pass a Limits")
    return Limits(**{name: positive(name, value) for name, value in vars(limits).items()})


def positive(name: str, value: Any) -> float:
    """Return a number as a float. Raises `ExporterError` where it is not positive and finite."""
    number = _refusing(name, lambda: as_float(value))
    if not 0 < number < math.inf:
        raise ExporterError(f"{name} is {value}; it must be a positive number")
    return number


def _refusing(name: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except (TypeError, ValueError) as error:
        raise ExporterError(f"{name}: {error}") from error
