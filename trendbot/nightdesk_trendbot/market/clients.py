"""ccxt's client of the exchange that the settings name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt
import ccxt.async_support
import ccxt.pro
from nightdesk_core.models.pipeline import DataError

from nightdesk_trendbot.settings import ExchangeSettings


def make_client(settings: ExchangeSettings, *, streaming: bool) -> Any:
    """Return the client; whoever has it closes it.

    Raises `DataError` where ccxt knows no such exchange, can neither stream its candles, where that is asked for, nor
    fetch them, or knows no test network of it.
    """
    client = (_with_stream if streaming else _without_stream)(settings)
    if settings.testnet:
        # Asked for one that there is not, ccxt fails by a TypeError.
        if not client.urls.get("test"):
            raise DataError(f"trendbot.exchange.testnet: ccxt knows no test network of {settings.id!r}")
        client.set_sandbox_mode(True)
    if settings.rest_url:
        client.urls["api"] = _moved(client.urls["api"], settings.rest_url, settings.stream_url)
    return client


def _with_stream(settings: ExchangeSettings) -> Any:
    kind = getattr(ccxt.pro, settings.id, None)
    if kind is None:
        raise DataError(f"trendbot.exchange.id: ccxt has no exchange {settings.id!r} with a stream")
    client = kind(_configuration(settings))
    if not client.has.get("watchOHLCV"):
        raise DataError(f"trendbot.exchange.id: ccxt cannot stream the candles of {settings.id!r}")
    return client


def _without_stream(settings: ExchangeSettings) -> Any:
    if settings.id not in ccxt.exchanges:
        raise DataError(f"trendbot.exchange.id: ccxt has no exchange {settings.id!r}")
    client = getattr(ccxt.async_support, settings.id)(_configuration(settings))
    # Where ccxt has to make them up from trades, two years of them cannot be had.
    if client.has.get("fetchOHLCV") is not True:
        raise DataError(f"trendbot.exchange.id: ccxt cannot fetch the candles of {settings.id!r}")
    return client


def _configuration(settings: ExchangeSettings) -> dict[str, Any]:
    return {"enableRateLimit": settings.rate_limited, "options": settings.options}


def _moved(urls: Any, rest_url: str, stream_url: str) -> Any:
    """Return ccxt's addresses with their host replaced, path by path."""
    if isinstance(urls, dict):
        return {key: _moved(value, rest_url, stream_url) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    there = urlsplit(stream_url if urls.startswith("ws") else rest_url)
    return urlunsplit((there.scheme, there.netloc, urlsplit(urls).path, "", ""))
