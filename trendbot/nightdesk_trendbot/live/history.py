"""The last candles of each symbol in memory: what a live bot's signals and correlations are computed from."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Mapping

import ccxt
import numpy as np
from nightdesk_core.clock import MarketTime

from nightdesk_trendbot.engine.portfolio import Caps, correlation
from nightdesk_trendbot.market.exchange import FIRST_WAIT_SECONDS, Exchange, persistently
from nightdesk_trendbot.market.rows import Rejected, Told
from nightdesk_trendbot.model.strategy import bars_needed
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar, Candles

_SPARE_BARS = 60
"""Asked for at first beyond what is needed: it makes up for some hours that an exchange lacks."""
_LONGEST_SPAN = 8
"""How many times what is needed is looked through for a market with many pauses."""
_LOOKS = 2
"""More at a history some of which cannot be true: an exchange may put it right."""


class History:
    """As many candles of each symbol as its signals need; a longer past changes nothing."""

    def __init__(self, settings: TrendbotSettings, *, interval_seconds: int) -> None:
        self._settings = settings
        self._interval = interval_seconds
        self._needed = bars_needed(settings)
        self._caps = Caps.of(settings.portfolio, interval_seconds=interval_seconds)
        self._bars: dict[str, deque[Bar]] = {
            symbol: deque(maxlen=self._needed + _SPARE_BARS) for symbol in settings.symbols
        }

    def adopt(self, settings: TrendbotSettings) -> None:
        """Go on with other settings of the same symbols, whose signals need as many candles."""
        self._settings = settings
        self._caps = Caps.of(settings.portfolio, interval_seconds=self._interval)

    async def load(
        self, exchange: Exchange, *, stop: MarketTime, set_aside: Mapping[str, Collection[int]]
    ) -> dict[str, list[Rejected]]:
        """Fetch what every listed symbol's signals need of the past before a time, but for what was set aside.

        Returns what cannot be a candle, by symbol: it is left out. Raises `DataError` where the exchange does not
        answer.
        """
        end, rejected = stop.whole_seconds, dict[str, list[Rejected]]()
        for symbol, kept in self._bars.items():
            if symbol in exchange.unlisted([symbol]):
                continue
            span = self._needed + _SPARE_BARS
            told = await self._fetch(exchange, symbol, end - span * self._interval, end)
            bars, wrong = [*told.bars], [*told.rejected]
            while len(bars) < self._needed and span < _LONGEST_SPAN * self._needed:
                earlier = end - 2 * span * self._interval
                told = await self._fetch(exchange, symbol, earlier, end - span * self._interval)
                bars, wrong = [*told.bars, *bars], [*told.rejected, *wrong]
                span *= 2
            kept.extend(bar for bar in bars if bar.time not in set_aside.get(symbol, ()))
            rejected[symbol] = wrong
        return rejected

    def __len__(self) -> int:
        """Return how many candles are kept of all symbols together."""
        return sum(map(len, self._bars.values()))

    def append(self, symbol: str, bar: Bar) -> Candles:
        """Take a symbol's next candle; return all that are kept."""
        self._bars[symbol].append(bar)
        return Candles.from_bars(list(self._bars[symbol]), interval_seconds=self._interval)

    def correlation(self, first: str, second: str) -> float:
        """Return the correlation of two symbols' returns up to the last candle of the first."""
        closes = [{bar.time: bar.close for bar in self._bars[symbol]} for symbol in (first, second)]
        last = self._bars[first][-1].time
        time = [moment for moment in sorted({*closes[0], *closes[1]}) if moment <= last]
        columns = [np.array([of.get(moment, np.nan) for moment in time]) for of in closes]
        return float(correlation(np.array(time), columns[0], columns[1], len(time) - 1, self._caps.correlation_seconds))

    async def _fetch(self, exchange: Exchange, symbol: str, start: int, stop: int) -> Told:
        """Return what the exchange tells; asked again a few times where some of it is impossible."""

        def ask() -> Awaitable[Told]:
            timeframe = self._settings.timeframe
            return exchange.told(symbol, timeframe, start=start, stop=stop, interval_seconds=self._interval)

        told = await persistently(ask, what := f"fetching the history of {symbol}", on=ccxt.BaseError)
        for _ in range(_LOOKS):
            if not told.rejected:
                break
            await asyncio.sleep(FIRST_WAIT_SECONDS)
            told = await persistently(ask, what, on=ccxt.BaseError)
        return told
