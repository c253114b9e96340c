"""Faults of the stream: what subscribers are sent is not what happened, or not when it did.

Each keeps what it must remember by topic. Counts are of a topic's updates, so that a fault means the same at any speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from pydantic import Field, PrivateAttr

from nightdesk_sandbox.faults.base import Fault, HoldingFault
from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.update import Garbage, GarbageKind, Message, Topic, Update


class MissingCandles(Fault):
    """One candle in `every` is missing from the stream: all of it, or only its confirmation."""

    name: Literal["gap"]
    every: int = Field(2, ge=1)
    what: Literal["candle", "confirmation"] = "candle"

    def relay(self, update: Update) -> Sequence[Message]:
        """Leave the candle out."""
        candle = update.candle
        chosen = candle.time // candle.interval_seconds % self.every == 0
        return [] if chosen and (self.what == "candle" or candle.confirmed) else [update]


class Duplicate(Fault):
    """Each confirmation is sent twice, and once more `again_after` updates into the next candle."""

    name: Literal["duplicate"]
    again_after: int = Field(2, ge=1)

    _old: dict[Topic, tuple[Update, int]] = PrivateAttr(default_factory=dict)
    """Of each topic the last confirmation, and how many updates have come since."""

    def relay(self, update: Update) -> Sequence[Message]:
        """Say twice what is final, and later a third time."""
        if update.candle.confirmed:
            self._old[update.topic] = (update, 0)
            return [update, update]
        if update.topic not in self._old:
            return [update]
        old, since = self._old.pop(update.topic)
        if since + 1 == self.again_after:
            return [update, old]
        self._old[update.topic] = (old, since + 1)
        return [update]


class OutOfOrder(Fault):
    """After the first update of each candle comes one more of the candle before, from when that was still forming."""

    name: Literal["out_of_order"]

    _last: dict[Topic, Update] = PrivateAttr(default_factory=dict)
    """Of each topic the last update of a candle that was forming."""

    def relay(self, update: Update) -> Sequence[Message]:
        """Let the candle before overtake."""
        if update.candle.confirmed:
            return [update]
        before = self._last.get(update.topic)
        self._last[update.topic] = update
        if before is None or before.candle.time >= update.candle.time:
            return [update]
        return [update, before]


class Late(HoldingFault):
    """The confirmation of each candle comes only after the first `updates` updates of the next one."""

    name: Literal["late"]
    updates: int = Field(2, ge=1)

    _since: dict[Topic, int] = PrivateAttr(default_factory=dict)

    def relay(self, update: Update) -> Sequence[Message]:
        """Hold the confirmation back, and send it in the midst of the next candle."""
        if update.candle.confirmed:
            # One that is still held is the candle before: it cannot wait until after this one.
            overdue = self.release(update.topic)
            self._held[update.topic] = update
            self._since[update.topic] = 0
            return overdue
        since = self._since[update.topic] = self._since.get(update.topic, 0) + 1
        return [update, *self.release(update.topic)] if since >= self.updates else [update]


class Revised(HoldingFault):
    """What the stream said last of a candle was slightly wrong, and the candle before is sent again as REST has it.

    What is wrong, by `change` of the close: an update just before the confirmation; or the confirmation itself, which
    is put right by sending the candle again when the next one is confirmed.
    """

    name: Literal["revised"]
    change: float = Field(0.001, gt=-0.5, lt=0.5, allow_inf_nan=False)
    what: Literal["update", "confirmation"] = "update"

    def relay(self, update: Update) -> Sequence[Message]:
        """Send something wrong, something right, and something old."""
        if not update.candle.confirmed:
            return [update]
        again = self.release(update.topic)
        self._held[update.topic] = update
        wrong = replace(update, candle=self._wrong(update.candle))
        if self.what == "confirmation":
            return [wrong, *again]
        return [replace(wrong, candle=replace(wrong.candle, confirmed=False)), update, *again]

    def _wrong(self, candle: Candle) -> Candle:
        decimals = len(plain(candle.close).partition(".")[2])
        close = round(candle.close * (1 + self.change), max(decimals, 2))
        return replace(candle, close=close, high=max(candle.high, close), low=min(candle.low, close))


class Malformed(Fault):
    """After each good update comes a message that is none: no JSON, no data, fields missing, or of the wrong type.

    `kind` restricts them to one.
    """

    name: Literal["malformed"]
    kind: Literal["any"] | GarbageKind = "any"

    _count: int = PrivateAttr(0)

    def relay(self, update: Update) -> Sequence[Message]:
        """Follow the good message by a bad one."""
        kinds: Sequence[GarbageKind] = get_args(GarbageKind) if self.kind == "any" else [self.kind]
        kind = kinds[self._count % len(kinds)]
        self._count += 1
        return [update, Garbage(update, kind)]
