"""Binance's websocket: streams by name, subscribed to in the address or by message, raw or wrapped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nightdesk_sandbox.binance import words
from nightdesk_sandbox.dialect import Answer, parse
from nightdesk_sandbox.garble import CandleLayout
from nightdesk_sandbox.update import Topic, Update

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_INVALID_REQUEST = 2
_LONGEST_ID = 2**63


class BinanceDialect:
    """The conversation of one connection; `streams` are those that exist, by Binance's name.

    `names` are those that the address asked for. A stream that does not exist can be subscribed to all the same, and
    nothing ever comes of it: so it is at Binance. `combined` wraps each event with its stream's name.
    """

    def __init__(self, streams: Mapping[str, Topic], *, names: Iterable[str] = (), combined: bool = False) -> None:
        self._streams = streams
        self._names = dict.fromkeys(names)
        self._combined = combined

    @property
    def layout(self) -> CandleLayout:
        """Where an event holds the candle: a layer deeper where events are wrapped."""
        path = ("data", "k") if self._combined else ("k",)
        return CandleLayout(path=path, start="t", close="c", volume="v")

    @property
    def opening(self) -> frozenset[Topic]:
        """What the address asked for."""
        return self._topics(self._names)

    def candle(self, update: Update) -> dict[str, Any]:
        """Return the event that tells the client how a candle stands."""
        event = words.stream_candle(update.candle, symbol=update.symbol, stamp=words.milliseconds(update.at))
        return {"stream": words.candle_name(update.symbol, update.candle), "data": event} if self._combined else event

    def answer(self, text: str, *, subscribed: Collection[Topic]) -> Answer:
        """Return what a message of the client is answered."""
        request = parse(text)
        if request is None:
            return Answer({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
        method, parameters, number = request.get("method"), request.get("params", []), request.get("id")
        if not _is_id(number):
            return _refused(None, "request ID must be an unsigned integer")
        if method not in _METHODS:
            return _refused(number, f"unknown variant {method}, expected one of {', '.join(_METHODS)}")
        if method == "LIST_SUBSCRIPTIONS":
            return Answer({"result": list(self._names), "id": number})
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(parameters, number, change=method == "SET_PROPERTY")
        if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
            return _refused(number, "params must be a list of streams")
        reply = {"result": None, "id": number}
        if method == "SUBSCRIBE":
            self._names.update(dict.fromkeys(parameters))
            return Answer(reply, subscribe=self._topics(parameters))
        for name in parameters:
            self._names.pop(name, None)
        return Answer(reply, unsubscribe=self._topics(parameters))

    def _property(self, parameters: Any, number: Any, *, change: bool) -> Answer:
        if not isinstance(parameters, list) or parameters[:1] != ["combined"]:
            return Answer({"error": {"code": 0, "msg": "Unknown property"}, "id": number})
        if not change:
            return Answer({"result": self._combined, "id": number})
        if len(parameters) != 2 or not isinstance(parameters[1], bool):
            return Answer({"error": {"code": 1, "msg": "Invalid value type: expected Boolean"}, "id": number})
        self._combined = parameters[1]
        return Answer({"result": None, "id": number})

    def _topics(self, names: Iterable[str]) -> frozenset[Topic]:
        return frozenset(self._streams[name] for name in names if name in self._streams)


def _is_id(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _LONGEST_ID


def _refused(number: int | None, problem: str) -> Answer:
    return Answer({"error": {"code": _INVALID_REQUEST, "msg": f"Invalid request: {problem}"}, "id": number})
