"""An exchange that replays some markets hour by hour, for a live bot in this very process, by whose clock it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_trendbot.market.exchange import Exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.market.rows import Told, read_rows
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.signals.candles import Bar

HOUR = 3600


class StreamOverError(Exception):
    """The stream has nothing more to say."""


SYMBOL = "BTC/USDT:USDT"
OTHER = "EUR/USDT:USDT"
FUNDING = 0.0005


class Replay:
    """An exchange that tells the hours from `first` up to `stop`, one message a symbol for each hour's end."""

    def __init__(self, markets: Markets, first: int, stop: int) -> None:
        self.markets = markets
        self.times = next(iter(markets.values())).time
        self.hours = iter(range(first, stop))
        self.hour = first
        self.said: dict[str, int] = {}
        self.on_hour: Callable[[int], None] = lambda _: None
        self.idle: Callable[[], bool] = lambda: True
        self.corrupt: Callable[[str, list[list[Any]]], list[Any]] = lambda _symbol, rows: rows
        """What becomes of a symbol's rows on their way to the bot."""

    async def load_markets(self) -> None:
        """Have them loaded."""

    def unlisted(self, symbols: Iterable[str]) -> frozenset[str]:
        return frozenset(symbols) - set(self.markets)

    async def now(self) -> MarketTime:
        return MarketTime(float(self.times[self.hour]) + 11.0)

    async def open_markets(self, symbols: tuple[str, ...]) -> frozenset[str]:
        return frozenset(symbol for symbol in symbols if self.forming(symbol) is not None)

    async def told(self, symbol: str, timeframe: str, **asked: Any) -> Told:
        """Return what the bot's own reading makes of what is answered."""
        assert asked["interval_seconds"] == HOUR
        return await Exchange(self, SilentListener()).told(symbol, timeframe, **asked)

    async def fetch_ohlcv(self, symbol: str, _timeframe: str, since: int, limit: int) -> list[Any]:
        """Answer as ccxt does: the candle that is forming, too."""
        over = self.markets[symbol].between(since // 1000, self.times[self.hour])
        forming = self.forming(symbol)
        bars = [over.bar(index) for index in range(min(limit, len(over)))]
        if len(bars) < limit and forming is not None and forming.time * 1000 >= since:
            bars.append(forming)
        return self.corrupt(symbol, [_row(bar) for bar in bars])

    def forming(self, symbol: str) -> Bar | None:
        time = self.times[self.hour]
        candles = self.markets[symbol].between(time, time + 1)
        if len(candles) == 0:
            return None
        current = candles.bar(0)
        return current._replace(high=current.open, low=current.open, close=current.open, volume=0.0, funding=0.0)

    async def funding(self, _symbol: str, *, start: int, stop: int, every_seconds: int) -> dict[int, float]:
        return dict.fromkeys(range(-(-start // every_seconds) * every_seconds, stop, every_seconds), FUNDING)

    async def watch(self, symbol: str, _timeframe: str) -> list[Bar]:
        while True:
            await asyncio.sleep(0)
            if not self.idle():
                continue
            waiting = [
                other for other in self.markets if self.said.get(other) != self.hour and self.forming(other) is not None
            ]
            if symbol in waiting:
                break
            if symbol == next(iter(self.markets)) and not waiting:
                try:
                    self.hour = next(self.hours)
                except StopIteration:
                    raise StreamOverError from None
                self.on_hour(self.hour)
        self.said[symbol] = self.hour
        forming = self.forming(symbol)
        assert forming is not None
        return list(read_rows(self.corrupt(symbol, [_row(forming)]), interval_seconds=HOUR).bars)

    async def hang_up(self) -> None:
        raise AssertionError("the stream never fails")


def _row(bar: Bar) -> list[Any]:
    return [bar.time * 1000, *bar[1:6]]


class ReplayClock:
    """The wall's time as a bot that follows a replay sees it: the replay's."""

    def __init__(self) -> None:
        self.replay: Replay | None = None
        self.late_seconds: Callable[[int], float] = lambda _hour: 0.0
        """How long after an hour's beginning the bot hears of it, beside the usual eleven seconds."""

    def __call__(self) -> WallTime:
        if self.replay is None:
            return WallTime(0.0)
        return WallTime(float(self.replay.times[self.replay.hour]) + 11.0 + self.late_seconds(self.replay.hour))
