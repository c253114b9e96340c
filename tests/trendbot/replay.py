"""An exchange that replays some markets hour by hour, for a live bot in this very process, by whose clock it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nightdesk_core.clock import MarketTime, WallTime
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
        self.told: dict[str, int] = {}
        self.on_hour: Callable[[int], None] = lambda _: None
        self.idle: Callable[[], bool] = lambda: True

    async def load(self, symbols: tuple[str, ...]) -> None:
        assert symbols == tuple(self.markets)

    async def now(self) -> MarketTime:
        return MarketTime(float(self.times[self.hour]) + 11.0)

    async def open_markets(self, symbols: tuple[str, ...]) -> frozenset[str]:
        return frozenset(symbol for symbol in symbols if self.forming(symbol) is not None)

    async def bars(self, symbol: str, _timeframe: str, *, start: int, stop: int, interval_seconds: int) -> list[Bar]:
        assert interval_seconds == HOUR
        over = self.markets[symbol].between(start, min(stop, self.times[self.hour]))
        forming = self.forming(symbol)
        return [
            *(over.bar(index) for index in range(len(over))),
            *([forming] if forming is not None and start <= forming.time < stop else []),
        ]

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
                other for other in self.markets if self.told.get(other) != self.hour and self.forming(other) is not None
            ]
            if symbol in waiting:
                break
            if symbol == next(iter(self.markets)) and not waiting:
                try:
                    self.hour = next(self.hours)
                except StopIteration:
                    raise StreamOverError from None
                self.on_hour(self.hour)
        self.told[symbol] = self.hour
        forming = self.forming(symbol)
        assert forming is not None
        return [forming]

    async def hang_up(self) -> None:
        raise AssertionError("the stream never fails")


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
