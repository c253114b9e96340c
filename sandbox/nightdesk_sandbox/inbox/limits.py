"""How many messages the real services take in a time, by their documentation."""

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


DOCUMENTED: dict[Channel, tuple[Allowance, ...]] = {
    # What its X-RateLimit headers say of a webhook, and what a channel's webhooks may send in a minute.
    "discord": (Allowance(5, 2), Allowance(30, 60)),
    # One a second, short bursts allowed: counted over ten seconds.
    "slack": (Allowance(10, 10),),
    # What a bot may send to one group.
    "telegram": (Allowance(20, 60),),
}


@dataclass(frozen=True)
class Standing:
    """Where an address stands: of `limit` messages `left` are left until `reset_seconds` from now.

    `wait_seconds` is 0 where the message was within all limits, else how long until one is welcome.
    """

    limit: int
    left: int
    reset_seconds: float
    wait_seconds: float = 0.0


class Limits:
    """Counts the messages to each address. `clock` gives seconds that never go back."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: dict[tuple[Channel, str], deque[float]] = {}

    def count(self, channel: Channel, to: str) -> Standing | None:
        """Count a message, unless it is one too many; None for a channel without limits."""
        allowances = DOCUMENTED.get(channel)
        if allowances is None:
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
