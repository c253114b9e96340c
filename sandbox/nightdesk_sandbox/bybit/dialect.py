"""Bybit's public websocket: subscriptions by topic, each message answered under its own id."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from nightdesk_sandbox.bybit import words
from nightdesk_sandbox.dialect import Answer, parse
from nightdesk_sandbox.garble import CandleLayout
from nightdesk_sandbox.update import Topic, Update


class BybitDialect:
    """The conversation of one connection to `/v5/public/linear`; `topics` are those that exist, by Bybit's name."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._topics = topics
        self._id = str(uuid.uuid4())

    @property
    def layout(self) -> CandleLayout:
        """Where a message holds the candle."""
        return CandleLayout(path=("data",), start="start", close="close", volume="volume")

    @property
    def opening(self) -> frozenset[Topic]:
        """Nothing: the address names only the category."""
        return frozenset()

    def candle(self, update: Update) -> dict[str, Any]:
        """Return the message that tells the client how a candle stands."""
        return words.stream_candle(update.candle, symbol=update.symbol, stamp=words.milliseconds(update.at))

    def answer(self, text: str, *, subscribed: Collection[Topic]) -> Answer:
        """Return what a message of the client is answered; one wrong topic refuses them all: so does Bybit."""
        request = parse(text) or {}
        op = request.get("op")
        if op == "ping":
            # A public stream answers a ping under its own name; only private ones say pong there.
            return self._reply(request, op="ping", message="pong")
        if op not in ("subscribe", "unsubscribe"):
            return self._reply(request, op=str(op or ""), problem="invalid op")
        names = request.get("args")
        problem = self._problem(names, subscribed if op == "subscribe" else ())
        if problem or not isinstance(names, list):
            return self._reply(request, op=op, problem=problem)
        topics = frozenset(self._topics[name] for name in names)
        reply = self._reply(request, op=op).reply
        return Answer(reply, subscribe=topics) if op == "subscribe" else Answer(reply, unsubscribe=topics)

    def _problem(self, names: Any, subscribed: Collection[Topic]) -> str:
        if not isinstance(names, list) or not names:
            return "args must be a list of topics"
        for name in names:
            if not isinstance(name, str) or name not in self._topics:
                return f"handler not found,topic:{name}"
            if self._topics[name] in subscribed:
                return f"already subscribed,topic:{name}"
        return ""

    def _reply(self, request: Mapping[str, Any], *, op: str, problem: str = "", message: str = "") -> Answer:
        body = words.stream_reply(op=op, connection=self._id, request=request, problem=problem, message=message)
        return Answer(body)
