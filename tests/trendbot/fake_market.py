"""A ccxt client with a market behind it, for what the job collects, and whatever goes wrong with that."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import pytest
from nightdesk_trendbot.candle_store import gather
from nightdesk_trendbot.market import exchange as exchanges
from nightdesk_trendbot.market.exchange import Exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.signals.candles import Candles, Floats, Ints

from tests.trendbot.conftest import HOUR

FUNDING_EVERY = 8 * HOUR


def candles_at(time: Ints, columns: Sequence[Floats]) -> Candles:
    """Return hourly candles of open, high, low, close and volume."""
    open_, high, low, close, volume = columns
    return Candles(time, open_, high, low, close, volume, HOUR)


class Market:
    """Answers as ccxt does. `failures` are raised one by one, by the requests that come next."""

    id = "venue"
    urls: Mapping[str, Any] = {"api": {}, "test": {}}
    timeframes: Mapping[str, str] = {"1m": "1", "1h": "60"}

    def __init__(self, candles: Mapping[str, Candles], *, page: int = 1000) -> None:
        self.rows: dict[str, list[list[float | None]]] = {
            symbol: [[column.item() for column in row] for row in zip(of.time * 1000, *of.columns()[1:], strict=True)]
            for symbol, of in candles.items()
        }
        self.now = float(max(of.time[-1] for of in candles.values())) + HOUR + 11
        self.page = page
        self.markets = {symbol: {"swap": ":" in symbol, "active": True} for symbol in candles}
        self.has: dict[str, Any] = {"fetchTime": True, "fetchOHLCV": True, "fetchFundingRateHistory": True}
        self.rate: float | None = 0.0001
        self.funded_from = 0
        self.failures: list[Exception] = []
        self.silent: set[int] = set()
        """Requests, counted from 0, that are answered without a row: what ccxt makes of an answer it cannot read."""
        self.requests: list[tuple[str, int]] = []

    def _answers(self, what: str, since: int) -> bool:
        self.requests.append((what, since // 1000))
        if self.failures:
            raise self.failures.pop(0)
        return len(self.requests) - 1 not in self.silent

    def milliseconds(self) -> int:
        return int(self.now * 1000)

    async def fetch_time(self) -> int:
        assert self.has["fetchTime"]
        return self.milliseconds()

    async def load_markets(self) -> Mapping[str, Any]:
        return self.markets

    def feature_value(self, _symbol: str, method: str, name: str, _default: int) -> int:
        assert (method, name) == ("fetchOHLCV", "limit")
        return self.page

    async def fetch_ohlcv(self, symbol: str, _timeframe: str, since: int, limit: int) -> list[list[float | None]]:
        if not self._answers(symbol, since):
            return []
        found = [row for row in self.rows[symbol] if not _has_time(row) or (row[0] or 0) >= since]
        return found[: min(limit, self.page)]

    async def fetch_funding_rate_history(
        self, symbol: str, since: int, limit: int, params: Mapping[str, int]
    ) -> list[dict[str, Any]]:
        if not self._answers(f"funding of {symbol}", since):
            return []
        step = FUNDING_EVERY * 1000
        times = range(math.ceil(since / step) * step, params["until"] + 1, step)
        told = [{"timestamp": time, "fundingRate": self.rate} for time in times if time >= self.funded_from * 1000]
        return told[:limit]

    async def close(self) -> None:
        """Be done."""


def _has_time(row: object) -> bool:
    return isinstance(row, list) and bool(row) and isinstance(row[0], int | float)


def put_in_place(monkeypatch: pytest.MonkeyPatch, market: Market) -> None:
    """Have the job collect from a market, and wait for nothing."""

    @asynccontextmanager
    async def opened(_settings: object, _listener: object, *, streaming: bool) -> AsyncIterator[Exchange]:
        assert not streaming
        yield Exchange(market, SilentListener())

    monkeypatch.setattr(gather, "open_exchange", opened)
    monkeypatch.setattr(exchanges, "backoff_seconds", lambda *_, **__: 0.0)


def timeouts(count: int) -> list[Exception]:
    return [ccxt.RequestTimeout("no answer") for _ in range(count)]
