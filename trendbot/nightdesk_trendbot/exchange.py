"""The exchange, through ccxt and in no other way: one client for its REST interface and its stream."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import ccxt
import ccxt.pro
from loguru import logger
from nightdesk_core.pipeline import DataError

from nightdesk_trendbot.candles import Bar
from nightdesk_trendbot.settings import ExchangeSettings

_PAGE = 1000
_FUNDING_PAGE = 200
_FIELDS = 6
"""Time, open, high, low, close, volume."""
_TRIES = 5
_FIRST_WAIT_SECONDS = 0.5
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
async def open_exchange(settings: ExchangeSettings, listener: RequestListener) -> AsyncIterator[Exchange]:
    """Yield the exchange that the settings name, and close its connections afterwards.

    Raises `DataError` where ccxt knows no such exchange, cannot stream its candles or knows no test network of it.
    """
    kind = getattr(ccxt.pro, settings.id, None)
    if kind is None:
        raise DataError(f"trendbot.exchange.id: ccxt has no exchange {settings.id!r} with a stream")
    client = kind({"enableRateLimit": settings.rate_limited, "options": settings.options})
    if not client.has.get("watchOHLCV"):
        raise DataError(f"trendbot.exchange.id: ccxt cannot stream the candles of {settings.id!r}")
    if settings.testnet:
        # Asked for one that there is not, ccxt fails by a TypeError.
        if not client.urls.get("test"):
            raise DataError(f"trendbot.exchange.testnet: ccxt knows no test network of {settings.id!r}")
        client.set_sandbox_mode(True)
    if settings.rest_url:
        client.urls["api"] = _moved(client.urls["api"], settings.rest_url, settings.stream_url)
    try:
        yield Exchange(client, listener)
    finally:
        await client.close()


def _moved(urls: Any, rest_url: str, stream_url: str) -> Any:
    """Return ccxt's addresses with their host replaced, path by path."""
    if isinstance(urls, dict):
        return {key: _moved(value, rest_url, stream_url) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    there = urlsplit(stream_url if urls.startswith("ws") else rest_url)
    return urlunsplit((there.scheme, there.netloc, urlsplit(urls).path, "", ""))


class Exchange:
    """What the bot asks of an exchange. Times are Unix seconds of market time."""

    def __init__(self, client: Any, listener: RequestListener) -> None:
        self._client = client
        self._listener = listener

    async def now(self) -> float:
        """Return the exchange's time. Raises `ccxt.NetworkError`."""
        return float(await self._ask("the time", self._client.fetch_time)) / 1000

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


async def persistently(call: Callable[[], Awaitable[T]], what: str, *, tries: int = _TRIES) -> T:
    """Return what `call` returns, tried again on network errors with backoff and jitter.

    Raises `DataError` once `tries` have failed.
    """
    for attempt in range(tries):
        try:
            return await call()
        except ccxt.NetworkError as error:
            if attempt == tries - 1:
                raise DataError(f"{what}: the exchange did not answer {tries} times ({_brief(error)})") from error
            wait = backoff_seconds(attempt)
            logger.warning("{}: {}; trying again in {:.1f} s", what, _brief(error), wait)
            await asyncio.sleep(wait)
    raise AssertionError("tries is at least 1")


def backoff_seconds(attempt: int, *, longest: float = _LONGEST_WAIT_SECONDS) -> float:
    """Return how long to wait after the failure number `attempt` (from 0): doubling, with full jitter on its half."""
    ceiling = min(longest, _FIRST_WAIT_SECONDS * 2 ** min(attempt, 16))
    return float(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:160]}"
