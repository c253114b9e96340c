"""What subscribers of candles are sent: how a candle stands, or, from a faulty exchange, something else."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nightdesk_sandbox import bybit
from nightdesk_sandbox.candle import Candle


@dataclass(frozen=True)
class Update:
    """How a candle of `symbol` stood at the market time `at`; `interval` is Bybit's name for the candle's length."""

    interval: str
    symbol: str
    candle: Candle
    at: float

    @property
    def topic(self) -> str:
        """What one subscribes to in order to be sent this."""
        return bybit.topic(self.interval, self.symbol)

    def text(self) -> str:
        """Return the message as it is sent."""
        return json.dumps(
            bybit.stream_candle(
                self.candle, interval=self.interval, symbol=self.symbol, stamp=bybit.milliseconds(self.at)
            )
        )


@dataclass(frozen=True)
class Garbage:
    """A message in place of an update that is none."""

    topic: str
    content: str

    def text(self) -> str:
        """Return the message as it is sent."""
        return self.content


Message = Update | Garbage
