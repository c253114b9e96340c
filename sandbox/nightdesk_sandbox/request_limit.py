"""How many REST calls a client may make in a second, and the words in which Bybit says that it was too many."""

from __future__ import annotations

from aiohttp import web
from nightdesk_core.clock import WallClock, system_clock

from nightdesk_sandbox import bybit


def limit_headers(*, limit: int, left: int, reset_seconds: float) -> dict[str, str]:
    """Return Bybit's headers: how many calls are allowed, how many are left, and when there are new ones.

    The moment is of the wall's clock and not of the market's: clients subtract their own clock from it and wait.
    """
    reset = bybit.milliseconds(system_clock() + reset_seconds)
    return {
        "X-Bapi-Limit": str(limit),
        "X-Bapi-Limit-Status": str(left),
        "X-Bapi-Limit-Reset-Timestamp": str(reset),
    }


def too_many(*, now: float, headers: dict[str, str]) -> web.Response:
    """Return the answer to a call that was one too many; `now` is the market's time."""
    body = bybit.refusal(bybit.TOO_MANY_VISITS, "Too many visits!", now=now)
    return web.json_response(body, status=429, headers=headers)


class RequestLimit:
    """Counts each client's calls in every second."""

    def __init__(self, per_second: int, *, clock: WallClock) -> None:
        self._limit = per_second
        self._clock = clock
        self._second = 0
        self._calls: dict[str, int] = {}

    def count(self, client: str) -> tuple[bool, dict[str, str]]:
        """Count a call; return whether it is allowed, and the headers for its answer."""
        now = self._clock()
        if int(now) != self._second:
            self._second = int(now)
            self._calls.clear()
        calls = self._calls[client] = self._calls.get(client, 0) + 1
        left = max(self._limit - calls, 0)
        # As Bybit words it: as long as calls are left, the moment is now.
        reset_seconds = 0.0 if calls <= self._limit else self._second + 1 - now
        return calls <= self._limit, limit_headers(limit=self._limit, left=left, reset_seconds=reset_seconds)
