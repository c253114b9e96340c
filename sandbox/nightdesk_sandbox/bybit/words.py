"""The words of Bybit's v5 interface: envelopes, error codes, candles over REST and over the websocket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.update import Topic

INTERVAL_SECONDS = {"60": 3600, "120": 7200, "240": 14_400, "360": 21_600, "720": 43_200, "D": DAY_SECONDS}
"""The intervals that are served, by Bybit's name for them: those that hourly candles make up."""

CATEGORIES = ("spot", "linear", "inverse", "option")
LINEAR = "linear"
"""The category of the markets that are served."""

_INTERVAL_NAMES = {seconds: name for name, seconds in INTERVAL_SECONDS.items()}

PARAMETER_ERROR = 10001
TOO_MANY_VISITS = 10006


class ParameterError(Exception):
    """A request that Bybit answers with HTTP 200, an error code and this message."""


def envelope(result: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Return an answer that succeeded; `now` in seconds is the market's time."""
    return {"retCode": 0, "retMsg": "OK", "result": dict(result), "retExtInfo": {}, "time": milliseconds(now)}


def refusal(code: int, message: str, *, now: float) -> dict[str, Any]:
    """Return the answer to a request that is refused with an error code."""
    return {
        "retCode": code,
        "retMsg": message,
        "result": {},
        "retExtInfo": {},
        "time": milliseconds(now),
    }


def milliseconds(moment: float) -> int:
    """Return seconds since the epoch as whole milliseconds."""
    return int(moment * 1000)


def rest_candle(candle: Candle) -> list[str]:
    """Return a candle as `/v5/market/kline` lists it."""
    values = (candle.open, candle.high, candle.low, candle.close, candle.volume, round(candle.turnover, 4))
    return [str(candle.time * 1000), *(plain(value) for value in values)]


def topics(symbols: Iterable[str]) -> dict[str, Topic]:
    """Return the streams of candles that there are, by their names."""
    return {
        topic(interval, symbol): Topic(symbol, seconds)
        for symbol in symbols
        for interval, seconds in INTERVAL_SECONDS.items()
    }


def topic(interval: str, symbol: str) -> str:
    """Return the name of a stream of candles."""
    return f"kline.{interval}.{symbol}"


def stream_candle(candle: Candle, *, symbol: str, stamp: int) -> dict[str, Any]:
    """Return the message that tells a subscriber how a candle stood; `stamp` says when, in milliseconds."""
    interval = _INTERVAL_NAMES[candle.interval_seconds]
    return {
        "topic": topic(interval, symbol),
        "type": "snapshot",
        "ts": stamp,
        "data": [
            {
                "start": candle.time * 1000,
                "end": candle.end * 1000 - 1,
                "interval": interval,
                "open": plain(candle.open),
                "close": plain(candle.close),
                "high": plain(candle.high),
                "low": plain(candle.low),
                "volume": plain(candle.volume),
                "turnover": plain(round(candle.turnover, 4)),
                "confirm": candle.confirmed,
                "timestamp": stamp,
            }
        ],
    }


def stream_reply(
    *, op: str, connection: str, request: Mapping[str, Any], problem: str = "", message: str = ""
) -> dict[str, Any]:
    """Return the answer to a message that a client sent; `problem` makes it a refusal."""
    reply: dict[str, Any] = {
        "success": not problem,
        "ret_msg": f"error:{problem}" if problem else message,
        "conn_id": connection,
        "op": op,
    }
    if "req_id" in request:
        reply["req_id"] = request["req_id"]
    return reply
