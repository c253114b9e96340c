"""The newest price of each symbol, and how old it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nightdesk_core.age import age_seconds, newest
from nightdesk_core.clock import WallClock, WallTime


class Prices:
    """Remembers what the feed said last. Ages are wall time; while a market is closed its price does not age."""

    def __init__(self, symbols: Iterable[str], clock: WallClock) -> None:
        """Before its first price a symbol's counts as old as this."""
        self._clock = clock
        self._newest: dict[str, float] = {}
        self._at = dict.fromkeys(symbols, clock())
        self._open = frozenset(self._at)

    @property
    def newest(self) -> Mapping[str, float]:
        """The last price of each symbol that had one since the start."""
        return self._newest

    def note(self, prices: Mapping[str, float], *, age_seconds: float = 0.0) -> None:
        """Take prices, newer ones than before; that of a candle which is caught up on is old when it comes."""
        self._newest.update(prices)
        of = self._clock() - age_seconds
        now = self._clock()
        self._at.update({symbol: newest([self._at.get(symbol, of), of], now=now) for symbol in prices})

    def markets(self, symbols: frozenset[str]) -> None:
        """Take which markets are open; one that opens has had no time to have a price yet."""
        now = self._clock()
        self._at.update(dict.fromkeys(symbols - self._open, now))
        self._open = symbols

    def oldest(self, symbols: Iterable[str]) -> WallTime | None:
        """Return when the oldest price among those symbols came whose markets are open; `None` for none."""
        return min((self._at[symbol] for symbol in symbols if symbol in self._open), default=None)

    def fresh(self, symbols: Iterable[str], *, within_seconds: float) -> dict[str, float]:
        """Return the prices of those symbols whose markets are open and whose price came within some seconds."""
        now = self._clock()
        return {
            symbol: self._newest[symbol]
            for symbol in symbols
            if symbol in self._open
            and symbol in self._newest
            and age_seconds(self._at[symbol], now=now) <= within_seconds
        }
