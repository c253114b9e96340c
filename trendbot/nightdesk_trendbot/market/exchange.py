"""The exchange, through ccxt and in no other way: one client for its REST interface and its stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import ccxt
import numpy as np
from loguru import logger
from nightdesk_core.backoff import backoff_seconds
from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.models.pipeline import DataError
from numpy.typing import NDArray

from nightdesk_trendbot.market.clients import make_client
from nightdesk_trendbot.market.listener import RequestListener
from nightdesk_trendbot.market.rows import LATEST, Rejected, Told, numbers, read_rows
from nightdesk_trendbot.settings import ExchangeSettings
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS, Bar

_PAGE = 1000
_FUNDING_PAGE = 200
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
        self._markets: Mapping[str, Any] = {}
        """As they were last loaded."""

    async def now(self) -> MarketTime:
        """Return the exchange's time, this machine's where it tells none. Raises `ccxt.BaseError`."""
        if not self._client.has.get("fetchTime"):
            return MarketTime(float(self._client.milliseconds()) / 1000)

        async def ask() -> MarketTime:
            seconds = float(await self._client.fetch_time()) / 1000
            if not 0 < seconds < LATEST:
                raise ccxt.BadResponse(f"the exchange's time is {seconds:g}, which is none")
            return MarketTime(seconds)

        return await self._ask("the time", ask)

    async def open_markets(self, symbols: Sequence[str]) -> frozenset[str]:
        """Return those of the symbols that the exchange lists as tradable now. Raises `ccxt.BaseError`."""
        await self._load(reload=True)
        # One that is delisted is no longer there at all. Of one that ccxt knows nothing of it says `None`.
        markets = self._markets
        return frozenset(
            symbol for symbol in symbols if symbol in markets and markets[symbol].get("active") is not False
        )

    async def load_markets(self) -> None:
        """Load the markets. Raises `ccxt.BaseError`."""
        await self._load()

    def unlisted(self, symbols: Sequence[str]) -> frozenset[str]:
        """Return those of the symbols that the exchange did not list when its markets were last loaded."""
        return frozenset(symbol for symbol in symbols if symbol not in self._markets)

    def refuse_unlisted(self, symbols: Sequence[str]) -> None:
        """Raise `DataError` where the exchange did not list one of the symbols, naming those that are near."""
        for symbol in symbols:
            if symbol in self.unlisted(symbols):
                near = sorted(name for name in self._markets if name.startswith(symbol.split("/")[0] + "/"))[:5]
                hint = f"; it lists {', '.join(near)}" if near else ""
                raise DataError(f"trendbot.symbols: {self._client.id} lists no {symbol!r}{hint}")

    async def load(self, symbols: Sequence[str]) -> None:
        """Load the markets. Raises `DataError` where the exchange does not list one of the symbols."""
        await self.load_markets()
        self.refuse_unlisted(symbols)

    async def told(
        self,
        symbol: str,
        timeframe: str,
        *,
        start: int,
        stop: int,
        interval_seconds: int,
        latest: int | None = None,
    ) -> Told:
        """Return what the exchange tells of the candles that open in [start, stop), page by page.

        A row that is no candle is rejected, and one that opens later than `latest`, where no candle can be so late, or
        long before `start`. Raises `ccxt.BaseError`.
        """
        bars: dict[int, Bar] = {}
        rejected: dict[int, Rejected] = {}
        misplaced: list[Rejected] = []
        since = start
        while since < stop:
            limit = min(_PAGE, (stop - since) // interval_seconds + 1)
            page = await self._candles(symbol, timeframe, since, limit)
            # The next page begins with this one's last candle, which may have been forming: its word counts.
            for bar in page.bars:
                rejected.pop(bar.time, None)
                bars[bar.time] = bar
            for row in page.rejected:
                if row.time is None:
                    misplaced.append(row)
                else:
                    bars.pop(row.time, None)
                    rejected[row.time] = row
            last = max((time for time in (*bars, *rejected) if time < stop), default=since)
            # A page may be empty or short where the market paused: then the next one begins a page later.
            since = last if last > since else since + limit * interval_seconds
            if last + interval_seconds >= stop:
                break
        earliest = start - _PAGE * interval_seconds
        return _within((start, stop), bars, rejected, misplaced, possible=(earliest, latest))

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

        What could not be read is NaN, and a row without its time is left out. Raises `ccxt.BaseError`.
        """

        async def ask() -> NDArray[np.float64]:
            rows = numbers(await self._client.fetch_ohlcv(symbol, timeframe, since * 1000, limit))
            rows[:, 0] //= 1000
            return rows[np.isfinite(rows[:, 0])]

        return await self._ask(f"candles of {symbol}", ask)

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
        """Return every candle that the stream changed, oldest first; waits for news, which may hold none.

        A row that cannot be true is left out: what a candle ended as is asked for by REST. Raises `ccxt.BaseError`.
        """
        with _readable(f"the stream of {symbol}"):
            answered = await self._client.watch_ohlcv(symbol, timeframe)
            told = read_rows(answered, interval_seconds=TIMEFRAME_SECONDS[timeframe])
        if told.bars:
            self._listener.contact("ws")
        for row in told.rejected:
            logger.debug("the stream's candle of {} {}", symbol, row.reason)
        return list(told.bars)

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
            found.update((time, rate) for time, rate in page if start <= time < stop)
        return found

    async def _funding_page(self, symbol: str, begin: int, end: int) -> list[tuple[int, float]]:
        until = {"until": end * 1000 - 1}

        async def ask() -> list[tuple[int, float]]:
            page = await self._client.fetch_funding_rate_history(symbol, begin * 1000, _FUNDING_PAGE, until)
            if any(entry.get("fundingRate") is None for entry in page):
                raise ccxt.BadResponse(f"the funding of {symbol} came without its rate")
            # Some exchanges stamp a settlement a few milliseconds late.
            return [(round(entry["timestamp"] / 60_000) * 60, float(entry["fundingRate"])) for entry in page]

        return await self._ask(f"the funding of {symbol}", ask)

    async def _load(self, **how: bool) -> None:
        async def ask() -> Mapping[str, Any]:
            markets: Mapping[str, Any] = await self._client.load_markets(**how)
            if not markets:
                # What ccxt makes of an answer in another form: an exchange without a single market is none.
                raise ccxt.BadResponse("the exchange lists no market at all")
            return markets

        self._markets = await self._ask("the markets", ask)

    async def _candles(self, symbol: str, timeframe: str, since: int, limit: int) -> Told:
        async def ask() -> Told:
            answered = await self._client.fetch_ohlcv(symbol, timeframe, since * 1000, limit)
            return read_rows(answered, interval_seconds=TIMEFRAME_SECONDS[timeframe])

        return await self._ask(f"candles of {symbol}", ask)

    async def hang_up(self) -> None:
        """Close the stream, so that the next `watch` connects again.

        Not by the client's `close()`: after that it answers nothing any more, by REST neither.
        """
        await self._client.close_ws_clients()

    async def _ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        with self._listener.request(what), _readable(what):
            return await call()


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Have whatever an answer trips raised as `ccxt.BadResponse`."""
    try:
        yield
    except ccxt.BaseError:
        raise
    except Exception as error:
        # ccxt takes answers apart in the form that it knows. Of another, such as a page of HTML or a list in place of
        # an object, it raises whatever Python does: a bot must not end by what somebody else's server says.
        raise ccxt.BadResponse(f"{what} came in a form that cannot be read ({brief(error)})") from error


def _within(
    asked: tuple[int, int],
    bars: dict[int, Bar],
    rejected: dict[int, Rejected],
    misplaced: list[Rejected],
    *,
    possible: tuple[int, int | None],
) -> Told:
    """Return what lies in the span that was asked for, by time; exchanges tell more than that where a market paused.

    What claims to open earlier or later than is `possible` is misplaced.
    """
    (start, stop), (earliest, latest) = asked, possible
    elsewhere = [
        Rejected(None, f"{time:016x}", f"opens at {iso(time)}, where none can")
        for time in sorted(bars)
        if time < earliest or (latest is not None and time > latest)
    ]
    return Told(
        tuple(bars[time] for time in sorted(bars) if start <= time < stop),
        (*(rejected[time] for time in sorted(rejected) if start <= time < stop), *misplaced, *elsewhere),
    )


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
