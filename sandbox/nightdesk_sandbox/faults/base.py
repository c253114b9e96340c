"""What a fault is: how long it lasts, and the places in the exchange where it can make a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from aiohttp import web
from nightdesk_core.units import DAY_SECONDS
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.update import Message, Topic, Update
from nightdesk_sandbox.venue import Refusals

_LONGEST_SECONDS = DAY_SECONDS


class ExchangeControls(Protocol):
    """What a fault may do to the exchange when it begins."""

    async def close_streams(self) -> None:
        """Close every websocket connection."""

    def scale_future(self, factor: float) -> None:
        """Multiply the prices of all candles that have not opened yet."""


class Fault(BaseModel):
    """One fault, as it was asked for. The hooks of this class do nothing: each fault fills those it needs.

    `seconds` of wall time is how long it lasts.
    """

    model_config = ConfigDict(extra="forbid")

    refuses_connections: ClassVar[bool] = False
    """Whether no new websocket connection is taken."""

    name: str
    seconds: float = Field(gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)

    async def begin(self, exchange: ExchangeControls) -> None:
        """Do what the fault does once, when it begins."""

    def refusal(self, venue: Refusals, *, remaining_seconds: float, now: float) -> web.Response | None:
        """Return what a venue's REST call is answered instead of the truth; `None`: the truth.

        `now` is the market's time.
        """
        return None

    def shown_time(self, now: float) -> float:
        """Return the time that the exchange shows when the market's is `now`."""
        return now

    def lists(self, symbol: str) -> bool:
        """Return whether a market is still there."""
        return True

    def told(self, symbol: str, candles: Sequence[Candle]) -> Sequence[Candle]:
        """Return what REST tells in place of a market's candles, in this order."""
        return candles

    def relay(self, update: Update) -> Sequence[Message]:
        """Return what is sent in place of an update, in this order."""
        return [update]


class HoldingFault(Fault):
    """A fault that keeps updates back for a while, one for each topic."""

    _held: dict[Topic, Update] = PrivateAttr(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether anything is held back."""
        return bool(self._held)

    def release(self, topic: Topic) -> list[Update]:
        """Return what is still held back from a topic's subscribers, and hold it no longer."""
        held = self._held.pop(topic, None)
        return [] if held is None else [held]
