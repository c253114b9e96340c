"""Faults that the exchange can be made to have, each for a while."""

from __future__ import annotations

from enum import StrEnum

from nightdesk_core.clock import WallClock


class Fault(StrEnum):
    """What can go wrong at an exchange, as its clients see it. Who serves a request asks whether a fault is active."""

    DROP = "drop"
    """Every websocket connection is closed at once, and new ones are refused."""
    SILENCE = "silence"
    """Connections stay open and answer, but no candle is sent; what was missed is never sent later."""
    ERROR500 = "error500"
    """Every REST call is answered with HTTP 500."""


class Faults:
    """The faults that are active, each until its own moment. Times are of the clock that is given."""

    def __init__(self, *, clock: WallClock) -> None:
        self._clock = clock
        self._until: dict[Fault, float] = {}

    def start(self, fault: Fault, *, seconds: float) -> None:
        """Have a fault from now on for `seconds`, whatever was left of it."""
        self._until[fault] = self._clock() + seconds

    def clear(self) -> None:
        """End all faults."""
        self._until.clear()

    def active(self, fault: Fault) -> bool:
        """Return whether a fault is on."""
        return self._until.get(fault, float("-inf")) > self._clock()

    def remaining_seconds(self) -> dict[Fault, float]:
        """Return the faults that are on and how long each still lasts."""
        now = self._clock()
        return {fault: until - now for fault, until in sorted(self._until.items()) if until > now}
