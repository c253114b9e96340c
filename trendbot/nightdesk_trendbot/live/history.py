"""The last candles of each symbol in memory: what a live bot's signals and correlations are computed from."""

from __future__ import annotations

from collections import deque

import numpy as np
from nightdesk_core.clock import MarketTime

from nightdesk_trendbot.engine.portfolio import Caps, correlation
from nightdesk_trendbot.market.exchange import Exchange, persistently
from nightdesk_trendbot.model.strategy import bars_needed
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar, Candles

_SPARE_BARS = 60
"""Asked for at first beyond what is needed: it makes up for some hours that an exchange lacks."""
_LONGEST_SPAN = 8
"""How many times what is needed is looked through for a market with many pauses."""


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

    async def load(self, exchange: Exchange, *, stop: MarketTime) -> int:
        """Fetch what every symbol's signals need of the past before a time; return the number of candles.

        Raises `DataError` where the exchange does not answer.
        """
        end = stop.whole_seconds
        for symbol, kept in self._bars.items():
            span = self._needed + _SPARE_BARS
            bars = await self._fetch(exchange, symbol, end - span * self._interval, end)
            while len(bars) < self._needed and span < _LONGEST_SPAN * self._needed:
                earlier = end - 2 * span * self._interval
                bars = await self._fetch(exchange, symbol, earlier, end - span * self._interval) + bars
                span *= 2
            kept.extend(bars)
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

    async def _fetch(self, exchange: Exchange, symbol: str, start: int, stop: int) -> list[Bar]:
        return await persistently(
            lambda: exchange.bars(
                symbol, self._settings.timeframe, start=start, stop=stop, interval_seconds=self._interval
            ),
            f"fetching the history of {symbol}",
        )
