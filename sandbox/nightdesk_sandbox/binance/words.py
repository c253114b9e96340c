"""The words of Binance's interface: intervals, refusals, candles over REST and over the websocket."""

from __future__ import annotations

from typing import Any

from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.recordings.candle import Candle

INTERVAL_SECONDS = {
    "1h": 3600,
    "2h": 7200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": DAY_SECONDS,
}
"""The intervals that are served, by Binance's name for them: those that hourly candles make up."""

_INTERVAL_NAMES = {seconds: name for name, seconds in INTERVAL_SECONDS.items()}

TOO_MANY_REQUESTS = -1003
START_AFTER_END = -1023
ILLEGAL_CHARS = -1100
MANDATORY_PARAMETER = -1102
BAD_INTERVAL = -1120
BAD_SYMBOL = -1121
INVALID_PARAMETER = -1130


class RequestError(Exception):
    """A request that Binance answers with HTTP 400, an error code and this message."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def refusal(code: int, message: str) -> dict[str, Any]:
    """Return the answer to a request that is refused with an error code."""
    return {"code": code, "msg": message}


def milliseconds(moment: float) -> int:
    """Return seconds since the epoch as whole milliseconds."""
    return int(moment * 1000)


def rest_candle(candle: Candle) -> list[str | int]:
    """Return a candle as `klines` lists it. The replay holds no trades: their number and the takers' share are 0."""
    return [
        candle.time * 1000,
        *(plain(value) for value in (candle.open, candle.high, candle.low, candle.close, candle.volume)),
        candle.end * 1000 - 1,
        plain(round(candle.turnover, 4)),
        0,
        "0",
        "0",
        "0",
    ]


def stream_name(symbol: str, interval: str) -> str:
    """Return the name of a stream of candles."""
    return f"{symbol.lower()}@kline_{interval}"


def candle_name(symbol: str, candle: Candle) -> str:
    """Return the name of the stream that a candle belongs to."""
    return stream_name(symbol, _INTERVAL_NAMES[candle.interval_seconds])


def stream_candle(candle: Candle, *, symbol: str, stamp: int) -> dict[str, Any]:
    """Return the event that tells a subscriber how a candle stood; `stamp` says when, in milliseconds."""
    return {
        "e": "kline",
        "E": stamp,
        "s": symbol,
        "k": {
            "t": candle.time * 1000,
            "T": candle.end * 1000 - 1,
            "s": symbol,
            "i": _INTERVAL_NAMES[candle.interval_seconds],
            # -1 is how Binance says that there was no trade: the replay holds none.
            "f": -1,
            "L": -1,
            "o": plain(candle.open),
            "c": plain(candle.close),
            "h": plain(candle.high),
            "l": plain(candle.low),
            "v": plain(candle.volume),
            "n": 0,
            "x": candle.confirmed,
            "q": plain(round(candle.turnover, 4)),
            "V": "0",
            "Q": "0",
            "B": "0",
        },
    }
