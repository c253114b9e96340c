"""The faults that are on, and what they make of an answer or an update together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from aiohttp import web

from nightdesk_sandbox.faults.base import Fault, HoldingFault
from nightdesk_sandbox.faults.catalogue import AnyFault
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.update import Message, Topic, Update
from nightdesk_sandbox.venue import Refusals

_ORDER = {kind: rank for rank, kind in enumerate(get_args(AnyFault))}


class Faults:
    """The faults of one exchange, each on until its own moment. Times are of the clock that is given."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._on: dict[type[Fault], tuple[Fault, float]] = {}
        self._over: list[HoldingFault] = []
        """Faults that are over but still hold updates back."""

    def start(self, fault: Fault) -> None:
        """Have a fault from now on, in place of one of the same name that is still on."""
        former = self._on.pop(type(fault), None)
        if former is not None:
            self._end(former[0])
        self._on[type(fault)] = (fault, self._clock() + fault.seconds)
        self._on = dict(sorted(self._on.items(), key=lambda item: _ORDER[item[0]]))

    def clear(self) -> None:
        """End all faults."""
        for fault, _ in self._on.values():
            self._end(fault)
        self._on.clear()

    def remaining_seconds(self) -> dict[str, float]:
        """Return the names of the faults that are on and how long each still lasts."""
        now = self._clock()
        return {fault.name: until - now for fault, until in self._active()}

    @property
    def refuse_connections(self) -> bool:
        """Whether no new websocket connection is taken."""
        return any(fault.refuses_connections for fault, _ in self._active())

    def refusal(self, venue: Refusals, *, now: float) -> web.Response | None:
        """Return what a venue's REST call is answered instead of the truth; `now` is the market's time."""
        for fault, until in self._active():
            answer = fault.refusal(venue, remaining_seconds=until - self._clock(), now=now)
            if answer is not None:
                return answer
        return None

    def shown_time(self, now: float) -> float:
        """Return the time that the exchange shows when the market's is `now`."""
        for fault, _ in self._active():
            now = fault.shown_time(now)
        return now

    def lists(self, symbol: str) -> bool:
        """Return whether a market is still there."""
        return all(fault.lists(symbol) for fault, _ in self._active())

    def told(self, symbol: str, candles: Sequence[Candle]) -> Sequence[Candle]:
        """Return what REST tells in place of a market's candles."""
        for fault, _ in self._active():
            candles = fault.told(symbol, candles)
        return candles

    def relay(self, update: Update) -> Sequence[Message]:
        """Return what is sent in place of an update, after what faults that are over still held back."""
        active = self._active()
        messages: list[Message] = [*self._overdue(update.topic), update]
        for fault, _ in active:
            passed: list[Message] = []
            for message in messages:
                passed += fault.relay(message) if isinstance(message, Update) else [message]
            messages = passed
        return messages

    def _overdue(self, topic: Topic) -> list[Update]:
        released = [update for fault in self._over for update in fault.release(topic)]
        self._over = [fault for fault in self._over if fault.holds]
        return released

    def _end(self, fault: Fault) -> None:
        if isinstance(fault, HoldingFault) and fault.holds:
            self._over.append(fault)

    def _active(self) -> list[tuple[Fault, float]]:
        now = self._clock()
        for kind in [kind for kind, (_, until) in self._on.items() if until <= now]:
            self._end(self._on.pop(kind)[0])
        return list(self._on.values())
