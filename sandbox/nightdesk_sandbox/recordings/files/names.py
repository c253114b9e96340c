"""Which column is which, by the names that exchanges, libraries and vendors give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.files.table import brief

PRICE_NAMES: dict[str, tuple[str, ...]] = {
    "open": ("open", "o", "open_price", "opening_price"),
    "high": ("high", "h", "high_price", "max_price"),
    "low": ("low", "l", "low_price", "min_price"),
    "close": ("close", "c", "close_price", "closing_price", "close_last", "last", "price"),
}
TIME_NAMES = (
    "open_time",
    "opentime",
    "time",
    "timestamp",
    "unix",
    "unix_timestamp",
    "unix_time",
    "unixtime",
    "datetime",
    "date_time",
    "date",
    "open_date",
    "time_open",
    "time_utc",
    "date_utc",
    "datetime_utc",
    "timestamp_utc",
    "utc_time",
    "utc",
    "gmt_time",
    "local_time",
    "time_period_start",
    "start_time",
    "start_at",
    "start",
    "begin",
    "candle_begin_time",
    "ts",
    "t",
)
_VOLUME_NAMES = (
    "volume",
    "vol",
    "v",
    "base_volume",
    "volume_base",
    "volumefrom",
    "volume_from",
    "tickvol",
    "tick_volume",
)
_OTHER_VOLUMES = ("ma", "sma", "ema", "avg", "change", "weighted", "quote", "buy", "taker", "sell")
"""Averages of the volume, or parts of it."""
_VOLUME_OF_A_COIN = re.compile(rf"(?:vol|volume)_(?!(?:{'|'.join(_OTHER_VOLUMES)})(?:_|$))[a-z0-9]{{2,10}}")
_VOLUME_OF_A_QUOTE_COIN = re.compile(r"vol(?:ume)?_(?:usd[tce]?|[bt]usd|fdusd|pyusd|dai|eur|gbp|jpy|krw)")

_MARKET_NAMES = ("symbol", "ticker", "pair", "coin", "asset", "market", "tic", "product_id", "instrument")

WHAT_A_FILE_HOLDS = "time (or timestamp, datetime, date, open_time, unix), open, high, low, close and volume"


@dataclass(frozen=True)
class Places:
    """Where the columns stand. Of several times or volumes the numbers must show which one counts."""

    times: tuple[int, ...]
    prices: tuple[int, int, int, int]
    volumes: tuple[int, ...]
    markets: tuple[int, ...]
    """Columns that name the market."""


def known_as(name: str) -> str:
    """Return a column's name in the form in which it is looked up: `Volume_(BTC)` is `volume_btc`."""
    # A leading number is how Alpha Vantage names its columns: `1. open`.
    return re.sub(r"^\d+_+(?=[a-z])", "", re.sub(r"[^a-z0-9]+", "_", name.lower())).strip("_")


def is_header(names: Sequence[str]) -> bool:
    """Whether a row names open, high, low and close."""
    known = {known_as(name) for name in names}
    return all(known.intersection(names) for names in PRICE_NAMES.values())


def places(names: Sequence[str], source: str) -> Places:
    """Return which column is which. Raises `CandlesError` where one is missing or stands there twice."""
    known = [known_as(name) for name in names]
    prices = {what: _first(known, words) for what, words in PRICE_NAMES.items()}
    times = tuple(known.index(name) for name in TIME_NAMES if name in known)
    if not times and "" in known and known[0] == "":
        times = (0,)  # how pandas writes an index without a name
    missing = [what for what, place in prices.items() if place is None]
    if not times:
        missing.insert(0, "time")
    if missing:
        listed = ", ".join(brief(name.strip()) or "(no name)" for name in names[:12])
        problem = f"has no column {', '.join(missing)} among its {len(names)} ({listed}); it needs {WHAT_A_FILE_HOLDS}"
        raise CandlesError(source, problem)
    found = tuple(place for place in prices.values() if place is not None)
    volumes = tuple(
        place for place, name in enumerate(known) if name in _VOLUME_NAMES or _VOLUME_OF_A_COIN.fullmatch(name)
    )
    for place in (*times, *found, *volumes):
        if known.count(known[place]) > 1:
            raise CandlesError(
                source, f"has two columns called {brief(known[place]) or '(no name)'}; take one of them out"
            )
    markets = tuple(place for place, name in enumerate(known) if name in _MARKET_NAMES)
    return Places(times, (found[0], found[1], found[2], found[3]), volumes, markets)


def in_quote_coin(name: str) -> bool:
    """Whether a column of volumes is named after a coin in which prices are, such as `Volume USDT`."""
    return _VOLUME_OF_A_QUOTE_COIN.fullmatch(known_as(name)) is not None


def _first(known: Sequence[str], words: Sequence[str]) -> int | None:
    return next((known.index(word) for word in words if word in known), None)
