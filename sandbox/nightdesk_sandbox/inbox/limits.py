"""Limits of how many messages are taken in a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_sandbox.inbox.message import Channel


@dataclass(frozen=True)
class Allowance:
    """At most `messages` in any `seconds`, to one address."""

    messages: int
    seconds: float


@dataclass(frozen=True)
class Standing:
    """Where an address stands: of `limit` messages `left` are left until `reset_seconds` from now.

    `wait_seconds` is 0 where the message was within all limits, else how long until one is welcome.
    """

    limit: int
    left: int
    reset_seconds: float
    wait_seconds: float = 0.0


class MessageLimits:
    """Counts the messages to each address. `clock` gives seconds that never go back."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: dict[tuple[Channel, str], deque[float]] = {}

    def count(self, channel: Channel, to: str, allowances: tuple[Allowance, ...]) -> Standing | None:
        """Count a message, unless it is one too many; None for a channel without limits."""
        if not allowances:
            return None
        now = self._clock()
        longest = max(allowances, key=lambda allowance: allowance.seconds)
        taken = self._taken.setdefault((channel, to), deque(maxlen=longest.messages))
        exceeded = [self._standing(taken, allowance, now) for allowance in allowances]
        worst = max(exceeded, key=lambda standing: standing.wait_seconds)
        if worst.wait_seconds:
            return worst
        taken.append(now)
        return self._standing(taken, allowances[0], now, wait=False)

    @staticmethod
    def _standing(taken: deque[float], allowance: Allowance, now: float, *, wait: bool = True) -> Standing:
        recent = [moment for moment in taken if moment > now - allowance.seconds]
        left = allowance.messages - len(recent)
        reset = recent[0] + allowance.seconds - now if recent else 0.0
        return Standing(allowance.messages, max(left, 0), reset, reset if wait and left <= 0 else 0.0)
