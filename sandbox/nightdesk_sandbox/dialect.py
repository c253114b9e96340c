"""How a venue speaks on a websocket: what each message of a client means, and how an update is worded."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError

from nightdesk_sandbox.garble import GARBLERS, CandleLayout
from nightdesk_sandbox.update import Message, Topic, Update


@dataclass(frozen=True)
class Answer:
    """What a client is answered, and what it is sent from then on, or no longer."""

    reply: Mapping[str, Any]
    subscribe: frozenset[Topic] = frozenset()
    unsubscribe: frozenset[Topic] = frozenset()


class Dialect(Protocol):
    """One connection's conversation, in the words of its venue."""

    @property
    def layout(self) -> CandleLayout:
        """Where the messages of `candle` hold the candle."""

    @property
    def opening(self) -> frozenset[Topic]:
        """What the client subscribed to by the address that it connected to."""

    def answer(self, text: str, *, subscribed: Collection[Topic]) -> Answer:
        """Return what a message of the client is answered; `subscribed` is what it has subscribed to so far."""

    def candle(self, update: Update) -> dict[str, Any]:
        """Return the message that tells the client how a candle stands."""


def word(message: Message, dialect: Dialect) -> str:
    """Return a message as it is sent to a client that speaks `dialect`."""
    if isinstance(message, Update):
        return json.dumps(dialect.candle(message))
    return GARBLERS[message.kind](dialect.candle(message.update), dialect.layout)


def parse(text: str) -> dict[str, Any] | None:
    """Return the object that a client sent; `None` for what is no JSON, and an empty one for what is no object."""
    try:
        message = parse_json(text, source="the message")
    except InputError:
        return None
    return message if isinstance(message, dict) else {}
