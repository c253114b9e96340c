"""Collects every symbol's candles and funding from the exchange into the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import ccxt
import numpy as np
from nightdesk_core.clock import iso
from nightdesk_core.models.pipeline import DataError
from nightdesk_core.units import DAY_SECONDS

from nightdesk_trendbot.candle_store.collect import Collected, Page, Refresh, Series
from nightdesk_trendbot.candle_store.store import StoreFile
from nightdesk_trendbot.market.exchange import Exchange, brief, open_exchange, persistently
from nightdesk_trendbot.market.funding import funding_rates
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.market.rows import Mask, impossible
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS, Floats, Ints

_OVERLAP_BARS = 24
_OVERLAP_SETTLEMENTS = 9
_TRIES = 8
"""Of one request: about a minute, so that a short outage does not cost the retrain."""
_SETTLEMENTS_AT_ONCE = 100
COLUMNS = ("open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("rate",)

T = TypeVar("T")


@dataclass(frozen=True)
class Gathered:
    """What was collected of one symbol."""

    symbol: str
    candles: Collected
    funding: Collected | None
    """What the exchange settled; `None` where it settles nothing or the settings say what it is."""
    rates: dict[int, float]
    """What longs pay to shorts, by the settlement's market time."""


@dataclass(frozen=True)
class Market:
    """Everything that was collected, in the settings' order, of [start, stop) in market time."""

    start: int
    stop: int
    symbols: tuple[Gathered, ...]
    unlisted: tuple[str, ...] = ()
    """Symbols of the settings that the exchange does not list: there is nothing of them."""


async def gather(settings: TrendbotSettings, folder: Path, *, days: float, progress: Callable[[float], None]) -> Market:
    """Return the last `days` up to the exchange's now, with the store in `folder` brought up to date.

    A symbol that the exchange does not list (any more) is left out, as the bot leaves it: the others need a model all
    the same. Raises `DataError` where it lists none, lacks something else that the settings name, or does not answer.
    """
    interval = TIMEFRAME_SECONDS[settings.timeframe]
    async with open_exchange(settings.exchange, SilentListener(), streaming=False) as exchange:
        await _insist(exchange.load_markets, "loading the markets")
        unlisted = exchange.unlisted(settings.symbols)
        symbols = [symbol for symbol in settings.symbols if symbol not in unlisted]
        if not symbols:
            exchange.refuse_unlisted(settings.symbols)
        exchange.offers(settings.timeframe)
        now = (await _insist(exchange.now, "asking for the time")).whole_seconds
        stop = now // interval * interval
        start = stop - int(days * DAY_SECONDS)
        found = []
        for number, symbol in enumerate(symbols):

            def part(share: float, before: int = number) -> None:
                progress((before + share) / len(symbols))

            found.append(await _Symbol(exchange, settings, folder, symbol).gather(start, stop, part))
    return Market(start, stop, tuple(found), tuple(sorted(unlisted)))


class _Symbol:
    """One symbol of an open exchange, and its place in the store."""

    def __init__(self, exchange: Exchange, settings: TrendbotSettings, folder: Path, symbol: str) -> None:
        self._exchange = exchange
        self._settings = settings
        self._folder = folder
        self._symbol = symbol
        self._interval = TIMEFRAME_SECONDS[settings.timeframe]
        self._every = settings.costs.funding_hours * 3600

    async def gather(self, start: int, stop: int, progress: Callable[[float], None]) -> Gathered:
        candles = await self._refresh(self._candles(), self._settings.timeframe, self._candle_pages, progress).run(
            start, stop
        )
        if len(candles.rows) + len(candles.rejected) == 0:
            raise DataError(
                f"the exchange has no candles of {self._symbol} {self._settings.timeframe} from {iso(start)} on"
            )
        if self._settings.costs.funding == "fixed":
            rates = await funding_rates(self._exchange, self._settings.costs, self._symbol, start=start, stop=stop)
            return Gathered(self._symbol, candles, None, rates)
        if not self._exchange.has_funding(self._symbol):
            return Gathered(self._symbol, candles, None, {})
        funding = await self._refresh(self._funding(), "funding", self._funding_pages, lambda _: None).run(start, stop)
        told = dict(zip(funding.rows.time.tolist(), funding.rows.values[:, 0].tolist(), strict=True))
        return Gathered(self._symbol, candles, funding, told)

    def _refresh(
        self,
        series: Series,
        name: str,
        pages: Callable[[int, int], AsyncIterator[Page]],
        progress: Callable[[float], None],
    ) -> Refresh:
        source = self._settings.exchange.source
        file = StoreFile(self._folder, source=source, symbol=self._symbol, series=name, columns=series.columns)
        return Refresh(file, series, pages, progress)

    def _candles(self) -> Series:
        def sound(time: Ints, values: Floats) -> Mask:
            wrong: Mask = np.logical_or.reduce([time % self._interval != 0, *impossible(values).values()])
            return ~wrong

        return Series(
            columns=COLUMNS,
            sound=sound,
            identity=4,  # prices; volumes get revised
            overlap_seconds=_OVERLAP_BARS * self._interval,
            interval_seconds=self._interval,
            page_seconds=self._exchange.page_size(self._symbol) * self._interval,
        )

    def _funding(self) -> Series:
        return Series(
            columns=FUNDING_COLUMNS,
            sound=lambda _time, values: np.isfinite(values[:, 0]),
            identity=1,
            overlap_seconds=_OVERLAP_SETTLEMENTS * self._every,
            interval_seconds=self._every,
            page_seconds=_SETTLEMENTS_AT_ONCE * self._every,
        )

    async def _candle_pages(self, start: int, stop: int) -> AsyncIterator[Page]:
        size, since = self._exchange.page_size(self._symbol), start
        while since < stop:

            async def ask(since: int = since) -> Floats:
                return await self._exchange.page(self._symbol, self._settings.timeframe, since=since, limit=size)

            rows = await _insist(ask, f"collecting candles of {self._symbol}")
            time = rows[:, 0].astype(np.int64)
            # What claims to be yet to come says nothing of how far the answer goes.
            last = int(time[time < stop].max(initial=since - 1))
            # A page may be empty where the market paused, or nothing is there yet: then the next one begins after it.
            since = last + self._interval if last >= since else since + size * self._interval
            inside = (time >= start) & (time < stop)
            yield Page(time[inside], rows[inside, 1:], min(since, stop))

    async def _funding_pages(self, start: int, stop: int) -> AsyncIterator[Page]:
        step = _SETTLEMENTS_AT_ONCE * self._every
        for begin in range(start, stop, step):
            end = min(begin + step, stop)

            async def ask(begin: int = begin, end: int = end) -> dict[int, float]:
                return await self._exchange.funding(self._symbol, start=begin, stop=end, every_seconds=self._every)

            rates = await _insist(ask, f"collecting the funding of {self._symbol}")
            time = np.array(sorted(rates), dtype=np.int64)
            yield Page(time, np.array([[rates[int(at)]] for at in time]).reshape(len(time), 1), end)


async def _insist(call: Callable[[], Awaitable[T]], what: str) -> T:
    """Return what `call` returns, tried again where the exchange fails. Raises `DataError` where it goes on failing."""
    try:
        return await persistently(call, what, tries=_TRIES, on=ccxt.OperationFailed)
    except ccxt.BaseError as error:
        raise DataError(f"{what}: the exchange refuses ({brief(error)})") from error
