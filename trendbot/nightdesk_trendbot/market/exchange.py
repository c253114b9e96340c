"""The exchange, through ccxt and in no other way: one client for its REST interface and its stream."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeVar

import ccxt
import numpy as np
from loguru import logger
from nightdesk_core.backoff import backoff_seconds
from nightdesk_core.clock import MarketTime
from nightdesk_core.pipeline import DataError
from numpy.typing import NDArray

from nightdesk_trendbot.market.clients import make_client
from nightdesk_trendbot.settings import ExchangeSettings
from nightdesk_trendbot.signals.candles import Bar

_PAGE = 1000
_FUNDING_PAGE = 200
_FIELDS = 6
"""Time, open, high, low, close, volume."""
_TRIES = 5
FIRST_WAIT_SECONDS = 0.5
"""Before an exchange that did not answer is asked again."""
_LONGEST_WAIT_SECONDS = 30.0

REQUEST_FAILURES = tuple(
    kind.__name__
    for kind in (
        ccxt.NetworkError,
        ccxt.RequestTimeout,
        ccxt.ExchangeNotAvailable,
        ccxt.DDoSProtection,
        ccxt.RateLimitExceeded,
        ccxt.OnMaintenance,
        ccxt.InvalidNonce,
        ccxt.ExchangeError,
        ccxt.BadResponse,
        ccxt.BadSymbol,
    )
)
"""The exceptions of ccxt that requests for candles, markets and the time end by."""

T = TypeVar("T")


def _bar(symbol: str, row: Sequence[float | None]) -> Bar:
    """Return ccxt's candle. Raises `ccxt.BadResponse` for one that cannot be true.

    ccxt passes on as `None` what it could not read.
    """
    if len(row) < _FIELDS or any(value is None or not math.isfinite(value) for value in row[:_FIELDS]):
        raise ccxt.BadResponse(f"a candle of {symbol} came without all of its numbers")
    time, *prices = (float(value or 0) for value in row[:_FIELDS])
    open_, high, low, close, volume = prices
    if not (0 < low <= min(open_, close) and max(open_, close) <= high and volume >= 0):
        raise ccxt.BadResponse(f"a candle of {symbol} cannot be true: {prices}")
    return Bar(int(time) // 1000, open_, high, low, close, volume)


class RequestListener(Protocol):
    """Is told how requests end."""

    def contact(self, channel: str) -> None:
        """The exchange answered."""

    def request(self, what: str) -> AbstractContextManager[object]:
        """Return what a request is made in: it is told how that ends."""


class SilentListener:
    """Listens to nothing: for jobs that export no metrics of their requests."""

    def contact(self, channel: str) -> None:
        """Do nothing."""

    def request(self, what: str) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()


@asynccontextmanager
async def open_exchange(
    settings: ExchangeSettings, listener: RequestListener, *, streaming: bool = True
) -> AsyncIterator[Exchange]:
    """Yield the exchange that the settings name, and close its connections afterwards.

    `streaming` demands a stream of candles; otherwise their history is enough. Raises `DataError` where ccxt knows no
    such exchange, cannot have its candles so or knows no test network of it.
    """
    client = make_client(settings, streaming=streaming)
    try:
        yield Exchange(client, listener)
    finally:
        await client.close()


class Exchange:
    """What the bot asks of an exchange. Times are Unix seconds of market time."""

    def __init__(self, client: Any, listener: RequestListener) -> None:
        self._client = client
        self._listener = listener

    async def now(self) -> MarketTime:
        """Return the exchange's time, this machine's where it tells none. Raises `ccxt.NetworkError`."""
        if not self._client.has.get("fetchTime"):
            return MarketTime(float(self._client.milliseconds()) / 1000)
        return MarketTime(float(await self._ask("the time", self._client.fetch_time)) / 1000)

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        """Return those of the symbols that the exchange lists as tradable now. Raises `ccxt.NetworkError`."""
        markets = await self._ask("the markets", lambda: self._client.load_markets(reload=True))
        # One that is delisted is no longer there at all.
        return frozenset(symbol for symbol in symbols if symbol in markets and markets[symbol].get("active", True))

    async def load(self, symbols: Sequence[str]) -> None:
        """Load the markets. Raises `DataError` where the exchange does not list one of the symbols."""
        markets = await self._ask("the markets", self._client.load_markets)
        for symbol in symbols:
            if symbol not in markets:
                near = sorted(name for name in markets if name.startswith(symbol.split("/")[0] + "/"))[:5]
                hint = f"; it lists {', '.join(near)}" if near else ""
                raise DataError(f"trendbot.symbols: {self._client.id} lists no {symbol!r}{hint}")

    async def bars(
        self,
        symbol: str,
        timeframe: str,
        *,
        start: int,
        stop: int,
        interval_seconds: int,
        progress: Callable[[float], None] = lambda _: None,
    ) -> list[Bar]:
        """Return the candles that open in [start, stop), oldest first, page by page. Raises `ccxt.NetworkError`."""
        found: dict[int, Bar] = {}
        since = start
        while since < stop:
            limit = min(_PAGE, (stop - since) // interval_seconds + 1)
            fetch = partial(self._client.fetch_ohlcv, symbol, timeframe, since * 1000, limit)
            page = await self._ask(f"candles of {symbol}", fetch)
            for row in page:
                bar = _bar(symbol, row)
                if start <= bar.time < stop:
                    found[bar.time] = bar
            last = int(page[-1][0]) // 1000 if page else since
            # The next page begins with this one's last candle: it may have been forming when it was answered with. A
            # page may be empty or short where the market paused: then the next one begins a page later.
            since = last if last > since else since + limit * interval_seconds
            progress(min(1.0, (since - start) / (stop - start)))
            if last + interval_seconds >= stop:
                break
        return [found[time] for time in sorted(found)]

    def page_size(self, symbol: str) -> int:
        """Return how many candles the exchange answers with at most, as far as ccxt knows."""
        return min(_PAGE, int(self._client.feature_value(symbol, "fetchOHLCV", "limit", _PAGE) or _PAGE))

    def offers(self, timeframe: str) -> None:
        """Raise `DataError` where the exchange has no candles of a length."""
        known = self._client.timeframes or {}
        if timeframe not in known:
            raise DataError(f"trendbot.timeframe: {self._client.id} has no candles of {timeframe}, of {[*known]} only")

    async def page(self, symbol: str, timeframe: str, *, since: int, limit: int) -> NDArray[np.float64]:
        """Return candles as they were answered, shape (N, 6): time, open, high, low, close, volume.

        What could not be read is NaN. Raises `ccxt.NetworkError`, `ccxt.BadResponse` where a candle has no time.
        """
        fetch = partial(self._client.fetch_ohlcv, symbol, timeframe, since * 1000, limit)
        answered = await self._ask(f"candles of {symbol}", fetch)
        rows = np.array([row[:_FIELDS] for row in answered], dtype=np.float64).reshape(len(answered), _FIELDS)
        rows[:, 0] //= 1000
        if np.isnan(rows[:, 0]).any():
            raise ccxt.BadResponse(f"a candle of {symbol} came without its time")
        return rows

    def has_funding(self, symbol: str) -> bool:
        """Return whether funding is settled in a market. Raises `DataError` where it is, and ccxt cannot fetch it."""
        if not self._client.markets[symbol].get("swap"):
            return False
        if not self._client.has.get("fetchFundingRateHistory"):
            raise DataError(
                f"trendbot.costs.funding: ccxt cannot fetch what {self._client.id} settles in {symbol}; set it to fixed"
            )
        return True

    async def watch(self, symbol: str, timeframe: str) -> list[Bar]:
        """Return every candle that the stream changed, oldest first; waits for news.

        Raises `ccxt.NetworkError`, and `ccxt.BadResponse` for a candle that lacks a number: ccxt passes on as `None`
        what it could not read, and what such a message should have said is lost.
        """
        bars = [_bar(symbol, row) for row in await self._client.watch_ohlcv(symbol, timeframe)]
        self._listener.contact("ws")
        return bars

    async def funding(self, symbol: str, *, start: int, stop: int, every_seconds: int) -> dict[int, float]:
        """Return the rates that longs paid to shorts in [start, stop), by their time; none for a spot market.

        About one every `every_seconds` is expected, and so much asked for at once. Raises `ccxt.NetworkError`.
        """
        if not self._client.markets[symbol].get("swap"):
            return {}
        found: dict[int, float] = {}
        left = [
            (begin, min(begin + _FUNDING_PAGE // 2 * every_seconds, stop))
            for begin in range(start, stop, _FUNDING_PAGE // 2 * every_seconds)
        ]
        while left:
            begin, end = left.pop()
            page = await self._funding_page(symbol, begin, end)
            if len(page) >= _FUNDING_PAGE and end - begin > 1:
                # Cut off, by one exchange at its oldest and by another at its newest: settled more often than expected.
                middle = (begin + end) // 2
                left += [(begin, middle), (middle, end)]
                continue
            for entry in page:
                if entry.get("fundingRate") is None:
                    raise ccxt.BadResponse(f"the funding of {symbol} came without its rate")
                # Some exchanges stamp a settlement a few milliseconds late.
                time = round(entry["timestamp"] / 60_000) * 60
                if start <= time < stop:
                    found[time] = float(entry["fundingRate"])
        return found

    async def _funding_page(self, symbol: str, begin: int, end: int) -> list[dict[str, Any]]:
        until = {"until": end * 1000 - 1}
        fetch = partial(self._client.fetch_funding_rate_history, symbol, begin * 1000, _FUNDING_PAGE, until)
        return list(await self._ask(f"the funding of {symbol}", fetch))

    async def hang_up(self) -> None:
        """Close the stream, so that the next `watch` connects again.

        Not by the client's `close()`: after that it answers nothing any more, by REST neither.
        """
        await self._client.close_ws_clients()

    async def _ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        with self._listener.request(what):
            return await call()


async def persistently(
    call: Callable[[], Awaitable[T]],
    what: str,
    *,
    tries: int = _TRIES,
    on: type[ccxt.BaseError] = ccxt.NetworkError,
) -> T:
    """Return what `call` returns, tried again with backoff and jitter on network errors, or what else `on` names.

    Raises `DataError` once `tries` have failed.
    """
    for attempt in range(tries):
        try:
            return await call()
        except on as error:
            if attempt == tries - 1:
                raise DataError(f"{what}: the exchange did not answer {tries} times ({brief(error)})") from error
            wait = backoff_seconds(
                attempt,
                first_seconds=FIRST_WAIT_SECONDS,
                longest_seconds=_LONGEST_WAIT_SECONDS,
                jitter=random.random,
            )
            logger.warning("{}: {}; trying again in {:.1f} s", what, brief(error), wait)
            await asyncio.sleep(wait)
    raise AssertionError("tries is at least 1")


def brief(error: Exception) -> str:
    """Return what an exchange's error says, short enough for a line."""
    return f"{type(error).__name__}: {str(error)[:160]}"
