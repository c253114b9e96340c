"""What the feed tells the bot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nightdesk_core.clock import MarketTime

from nightdesk_trendbot.signals.candles import Bar


@dataclass(frozen=True)
class Opened:
    """A symbol's candle opened."""

    symbol: str
    time: MarketTime
    price: float


@dataclass(frozen=True)
class Step:
    """The candles that open at `time` are complete: those of each symbol that has one."""

    time: MarketTime
    bars: Mapping[str, Bar]


@dataclass(frozen=True)
class Marked:
    """A symbol's last price."""

    symbol: str
    price: float


@dataclass(frozen=True)
class MarketsOpen:
    """The symbols that the exchange lists as tradable, and those that it does not list at all any more."""

    symbols: frozenset[str]
    unlisted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SetAside:
    """A symbol's candle was asked for again and again, and what was told cannot be true: to the bot there is none."""

    symbol: str
    time: MarketTime
    """Its open."""
    digest: str
    """Of what was told in its place."""
    reason: str


Event = Opened | Step | Marked | MarketsOpen | SetAside
