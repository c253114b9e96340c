"""A venue: one real exchange that the sandbox stands in for, in its own addresses and words.

All venues show the same markets at the same time; only what they call things differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from nightdesk_sandbox.market import ReplayMarket
from nightdesk_sandbox.recordings.candle import Candle
from nightdesk_sandbox.replay import Replay


@dataclass(frozen=True)
class Shown:
    """What a venue may tell.

    `shown_time` is the exchange's clock, which a fault may set wrong; what has happened goes by the replay's. `told`
    takes a market and candles of it, and returns what is told in their place; `lists` says whether it is still there.
    `funding_rate` is what is paid at each settlement. `requests_per_second` is how many calls a client may make.
    """

    all_markets: Mapping[str, ReplayMarket]
    replay: Replay
    shown_time: Callable[[], float]
    funding_rate: float
    requests_per_second: int | None
    told: Callable[[str, Sequence[Candle]], Sequence[Candle]]
    lists: Callable[[str], bool]

    @property
    def markets(self) -> Mapping[str, ReplayMarket]:
        """The markets that are listed now."""
        return {symbol: market for symbol, market in self.all_markets.items() if self.lists(symbol)}


class Refusals(Protocol):
    """How a venue words that there were too many calls."""

    def limit_headers(self, *, limit: int, left: int, reset_seconds: float) -> dict[str, str]:
        """Return the headers that tell a client how many calls it may make, and when there are new ones."""

    def too_many(self, *, now: float, limit: int, reset_seconds: float) -> web.Response:
        """Return the answer to a call that was one too many; `now` is the market's time."""


class Venue(Refusals, Protocol):
    """One exchange's interface."""

    def answers(self, path: str) -> bool:
        """Return whether a path belongs to this venue's REST interface, whether it exists there or not."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of REST and websocket to add to an application."""
