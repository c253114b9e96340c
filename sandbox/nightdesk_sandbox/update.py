"""What subscribers of candles are told: how a candle stands, or, from a faulty exchange, something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from nightdesk_sandbox.recordings.candle import Candle

GarbageKind = Literal["text", "no_data", "missing_fields", "wrong_types"]


class Topic(NamedTuple):
    """What one subscribes to: a market's candles of one length."""

    symbol: str
    interval_seconds: int


@dataclass(frozen=True)
class Update:
    """How a candle of `symbol` stood at the market time `at`."""

    symbol: str
    candle: Candle
    at: float

    @property
    def topic(self) -> Topic:
        """What one subscribes to in order to be sent this."""
        return Topic(self.symbol, self.candle.interval_seconds)


@dataclass(frozen=True)
class Garbage:
    """A message in place of `update` that is none; `kind` says in which way."""

    update: Update
    kind: GarbageKind

    @property
    def topic(self) -> Topic:
        """Whose subscribers are sent this."""
        return self.update.topic


Message = Update | Garbage
