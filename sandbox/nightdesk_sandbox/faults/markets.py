"""Faults of single markets, over REST and on the stream: candles that cannot be true, and a market that is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

from pydantic import Field

from nightdesk_sandbox.faults.base import Fault
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.update import Message, Update

Wrong = Literal["range", "outside", "zero", "negative", "volume", "absurd", "shifted", "twice"]

_WRONG: Mapping[Wrong, Callable[[Candle], list[Candle]]] = {
    "range": lambda candle: [replace(candle, high=candle.low * 0.99, low=candle.high)],
    "outside": lambda candle: [replace(candle, close=candle.high * 1.5)],
    "zero": lambda candle: [replace(candle, low=0.0)],
    "negative": lambda candle: [replace(candle, open=-candle.open)],
    "volume": lambda candle: [replace(candle, volume=-1.0)],
    "absurd": lambda candle: [replace(candle, volume=1e30)],
    "shifted": lambda candle: [replace(candle, time=candle.time + candle.interval_seconds // 2)],
    "twice": lambda candle: [candle, replace(candle, close=candle.low, volume=candle.volume + 1)],
}


class Impossible(Fault):
    """One candle in `every` of a market is told of in a way that cannot be true, whenever it is asked for.

    `what` is what is wrong with it; `any` has each candle wrong in another way.
    """

    name: Literal["impossible"]
    symbol: str
    every: int = Field(24, ge=1)
    what: Literal["any"] | Wrong = "any"

    def told(self, symbol: str, candles: Sequence[Candle]) -> Sequence[Candle]:
        """Return what is told in place of some candles."""
        return candles if symbol != self.symbol else [each for candle in candles for each in self._spoilt(candle)]

    def relay(self, update: Update) -> Sequence[Message]:
        """Send what is told in place of the candle."""
        return [replace(update, candle=each) for each in self.told(update.symbol, [update.candle])]

    def _spoilt(self, candle: Candle) -> Sequence[Candle]:
        number = candle.time // candle.interval_seconds
        if number % self.every:
            return [candle]
        kinds: Sequence[Wrong] = get_args(Wrong) if self.what == "any" else [self.what]
        return _WRONG[kinds[number // self.every % len(kinds)]](candle)


class Delisted(Fault):
    """A market is no longer there: it is not listed, its candles are not to be had, and its stream says nothing."""

    name: Literal["delisted"]
    symbol: str

    def lists(self, symbol: str) -> bool:
        """Return whether it is another market."""
        return symbol != self.symbol

    def relay(self, update: Update) -> Sequence[Message]:
        """Send nothing of it."""
        return [update] if self.lists(update.symbol) else []
