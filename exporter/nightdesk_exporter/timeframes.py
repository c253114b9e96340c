"""Timeframes as exchanges write them."""

from __future__ import annotations

import re

from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.errors import ExporterError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS, "M": 30 * DAY_SECONDS}
_TIMEFRAME = re.compile(r"([1-9][0-9]{0,4})([smhdwM])")


def seconds_of(timeframe: str) -> float:
    """Return the seconds between two candles, such as 3600 for `1h`; a month is 30 days.

    Raises `ExporterError` where it is no timeframe.
    """
    found = _TIMEFRAME.fullmatch(timeframe) if isinstance(timeframe, str) else None
    if found is None:
        raise ExporterError(f"symbols: {timeframe!r} is no timeframe; write it as 1m, 15m, 1h or 1d")
    return float(int(found[1]) * _SECONDS[found[2]])
