"""One series of candles, written as somebody or other would: with what is drawn of everything that a file may do."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from nightdesk_sandbox.recordings.candles import VALUE_COLUMNS, RecordedCandles

TimeFormat = Callable[[int, random.Random], str]


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _local(name: str) -> TimeFormat:
    return lambda time, _: _moment(time).astimezone(ZoneInfo(name)).strftime("%Y-%m-%d %H:%M:%S%z")


def _any_zone(time: int, source: random.Random) -> str:
    return _moment(time).astimezone(timezone(timedelta(hours=source.randint(-12, 14)))).isoformat()


TIME_FORMATS: dict[str, TimeFormat] = {
    "s": lambda time, _: str(time),
    "float s": lambda time, _: f"{time}.0",
    "ms": lambda time, _: str(time * 1000),
    "µs": lambda time, _: str(time * 10**6),
    "ns": lambda time, _: str(time * 10**9),
    "any unit": lambda time, source: str(time * 10 ** source.choice([0, 3, 6, 9])),
    "iso": lambda time, _: _moment(time).isoformat(),
    "iso Z": lambda time, _: _moment(time).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "naive": lambda time, _: _moment(time).strftime("%Y-%m-%d %H:%M:%S"),
    "slashes": lambda time, _: _moment(time).strftime("%Y/%m/%d %H:%M"),
    "dots": lambda time, _: _moment(time).strftime("%Y.%m.%d %H:%M"),
    "UTC": lambda time, _: _moment(time).strftime("%Y-%m-%d %H:%M:%S UTC"),
    "compact": lambda time, _: _moment(time).strftime("%Y%m%d %H%M%S"),
    "digits": lambda time, _: _moment(time).strftime("%Y%m%d%H%M"),
    "Dukascopy": lambda time, _: _moment(time).strftime("%d.%m.%Y %H:%M:%S.000"),
    "American": lambda time, _: _moment(time).strftime("%m/%d/%Y %I:%M %p"),
    "CryptoDataDownload": lambda time, _: _moment(time).strftime("%Y-%m-%d %I-%p"),
    "month's name": lambda time, _: _moment(time).strftime("%d %b %Y %H:%M"),
    "Berlin": _local("Europe/Berlin"),
    "New York": _local("America/New_York"),
    "mixed zones": _any_zone,
}
TIME_NAMES = ("time", "Time", "timestamp", "Open time", "open_time", "unix", "date", "Date", " DATETIME ", "Gmt time")
PRICE_NAMES = (("open", "high", "low", "close"), ("Open", "High", "Low", "Close"), (" OPEN", "HIGH ", " Low ", "cLoSe"))
VOLUME_NAMES = ("volume", "Volume", "VOL", "Vol.", "Volume_(BTC)", "<TICKVOL>")
NUMBER_FORMATS: dict[str, Callable[[float], str]] = {
    "plain": repr,
    "padded": lambda value: f"{value:.8f}",
    "exponent": lambda value: f"{value:.12e}",
    "thousands": lambda value: f"{value:,.4f}",
    "comma": lambda value: f"{value:.4f}".replace(".", ","),
    "German": lambda value: f"{value:,.4f}".translate(str.maketrans(",.", ".,")),
    "Swiss": lambda value: f"{value:,.4f}".replace(",", "'"),
    "French": lambda value: f"{value:,.4f}".replace(",", "\u00a0").replace(".", ","),
    "dollars": lambda value: f"${value:,.4f}",
}
"""The series has four decimals at most: all of these say it whole."""
DELIMITERS = (",", ";", "\t", "|")
ADVERTISEMENTS = (
    "https://www.CryptoDataDownload.com",
    "Timestamps are UTC timezone,https://www.example.com",
    "#, made by us",
)


@dataclass(frozen=True)
class Dialect:
    """A file's content, and what it was drawn as."""

    content: bytes
    drawn: dict[str, str]


def write_dialect(candles: RecordedCandles, source: random.Random) -> Dialect:
    """Return the candles as text in a dialect that is drawn."""
    times, numbers = source.choice(list(TIME_FORMATS)), source.choice(list(NUMBER_FORMATS))
    delimiter = source.choice(DELIMITERS)
    spoken = TIME_FORMATS[times]
    rows = [
        [spoken(int(time), source), *map(NUMBER_FORMATS[numbers], values)]
        for time, *values in zip(candles.time, *(getattr(candles, n).tolist() for n in VALUE_COLUMNS), strict=True)
    ]
    names = [source.choice(TIME_NAMES), *source.choice(PRICE_NAMES), source.choice(VOLUME_NAMES)]
    rows, names, shape = _shaped(rows, names, source)
    lines = [_line(names, delimiter, source), *(_line(row, delimiter, source) for row in rows)]
    if source.random() < 0.3:
        lines.insert(0, source.choice(ADVERTISEMENTS))
    for _ in range(source.choice([0, 0, 1, 3])):
        lines.insert(source.randrange(1, len(lines) + 1), "")
    ending = source.choice(["\n", "\r\n"])
    text = ending.join(lines) + source.choice(["", ending])
    encoding = source.choice(["utf-8", "utf-8-sig", "utf-16"])
    content, packing = _packed(text.encode(encoding), source)
    drawn = {"times": times, "numbers": numbers, "delimiter": delimiter, "encoding": encoding, "packing": packing}
    return Dialect(content, {**drawn, "shape": shape})


def _shaped(rows: list[list[str]], names: list[str], source: random.Random) -> tuple[list[list[str]], list[str], str]:
    """Return rows and names with columns in another order, with more of them, with doubles, and turned round."""
    shape = []
    if source.random() < 0.5:
        names, rows = [*names, "tradecount"], [[*row, "7"] for row in rows]
        names, rows = ["symbol", *names], [["BTC", *row] for row in rows]
        shape.append("more columns")
    if source.random() < 0.5:
        order = source.sample(range(len(names)), len(names))
        names, rows = [names[place] for place in order], [[row[place] for place in order] for row in rows]
        shape.append("other order")
    if source.random() < 0.3:
        names, rows = [*names, ""], [[*row, ""] for row in rows]
        shape.append("trailing delimiter")
    if source.random() < 0.3:
        at, count = source.randrange(len(rows)), source.randint(1, 30)
        rows = rows[: at + count] + rows[at:]
        shape.append("a stretch twice")
    if source.random() < 0.2:
        rows.insert(source.randrange(1, len(rows)), list(names))
        shape.append("header again")
    if source.random() < 0.5:
        rows.reverse()
        shape.append("newest first")
    return rows, names, ", ".join(shape)


def _line(fields: Sequence[str], delimiter: str, source: random.Random) -> str:
    always = source.random() < 0.1
    return delimiter.join(f'"{field}"' if always or delimiter in field else field for field in fields)


def _packed(content: bytes, source: random.Random) -> tuple[bytes, str]:
    packing = source.choice(["none", "none", "gzip", "zip"])
    if packing == "gzip":
        return gzip.compress(content), packing
    if packing == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-1h-2019-01.csv", content)
        return buffer.getvalue(), packing
    return content, packing


def frame_of(candles: RecordedCandles, *, time: str = "date") -> pd.DataFrame:
    """Return the candles as freqtrade has them in memory."""
    columns = {name: getattr(candles, name) for name in VALUE_COLUMNS}
    return pd.DataFrame({time: pd.to_datetime(candles.time, unit="s", utc=True), **columns})


def klines(candles: RecordedCandles, *, unit: Callable[[int], int]) -> list[list[Any]]:
    """Return the candles as Binance publishes them; `unit` is what a row's number makes of seconds."""
    return [
        [
            time * unit(place),
            *map(str, values),
            (time + 3600) * unit(place) - 1,
            str(values[3] * values[4]),
            12,
            "1.0",
            "2.0",
            0,
        ]
        for place, (time, *values) in enumerate(
            zip(candles.time.tolist(), *(getattr(candles, name).tolist() for name in VALUE_COLUMNS), strict=True)
        )
    ]


def write_klines(path: Path, rows: list[list[Any]]) -> Path:
    """Write klines as Binance's public files are: without a header."""
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def write_json(path: Path, document: Any) -> Path:
    """Write what an exchange answered."""
    path.write_text(json.dumps(document))
    return path
