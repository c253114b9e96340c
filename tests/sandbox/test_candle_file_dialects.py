"""Files as exchanges, libraries and vendors publish them, and one series in random dialects, which read the same."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.files.reader import CandleFileRead, read_candles
from nightdesk_sandbox.recordings.files.settings import CandleFileSettings

from tests.campaigns import SEED, cases
from tests.sandbox.candle_dialects import (
    TIME_FORMATS,
    frame_of,
    klines,
    write_dialect,
    write_json,
    write_klines,
)
from tests.sandbox.conftest import make_candles, write_csv

EIGHT = 1_546_329_600  # 2019-01-01T08:00:00Z
TWO = "10,12,9,11,5"


def read(path: Path, **settings: Any) -> CandleFileRead:
    return read_candles(CandleFileSettings(file=path, **settings))


@pytest.fixture(scope="module")
def series() -> RecordedCandles:
    """Twenty days with a gap, so that some dates show their order and a summer's clocks go back in none."""
    return make_candles(480, missing=(100, 101, 300))


@pytest.mark.fuzz
def test_one_series_in_any_dialect_reads_back_equal(series: RecordedCandles, tmp_path: Path) -> None:
    for case in range(cases(sample=40, campaign=5000)):
        dialect = write_dialect(series, random.Random(f"{SEED} {case}"))
        path = tmp_path / "candles"
        path.write_bytes(dialect.content)
        seen = f"seed {SEED}, case {case}: {dialect.drawn}"
        try:
            found = read(path)
        except Exception as error:
            raise AssertionError(seen) from error
        assert found.candles.fingerprint == series.fingerprint, seen


@pytest.mark.parametrize("times", list(TIME_FORMATS))
def test_each_form_of_a_time_is_read(times: str, series: RecordedCandles, tmp_path: Path) -> None:
    source = random.Random(SEED)
    rows = [f"{TIME_FORMATS[times](int(time), source)},{TWO}" for time in series.time]
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    assert read(path).candles.time.tolist() == series.time.tolist()


def test_binance_klines_without_a_header_that_go_over_to_microseconds_midway(
    series: RecordedCandles, tmp_path: Path
) -> None:
    path = write_klines(tmp_path / "k.csv", klines(series, unit=lambda place: 1000 if place < 200 else 10**6))
    found = read(path)
    assert found.candles.fingerprint == series.fingerprint
    assert found.notes == (
        "no header: its columns are taken for Binance's twelve",
        "times go over from ms to µs in row 201",
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_freqtrade_s_feather_and_anybodys_parquet(
    kind: str, packed: bool, series: RecordedCandles, tmp_path: Path
) -> None:
    path = tmp_path / f"BTC_USDT-1h.{kind}"
    getattr(frame_of(series), f"to_{kind}")(path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert read(path).candles.fingerprint == series.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.set_index("date"),
        lambda frame: frame.set_index(frame.pop("date").rename(None)),
        lambda frame: frame.assign(date=frame["date"].dt.tz_convert("America/New_York")),
        lambda frame: frame.assign(date=frame["date"].dt.tz_localize(None)),
        lambda frame: frame.assign(date=frame["date"].dt.as_unit("ns")),
        lambda frame: frame.assign(date=frame["date"].dt.as_unit("s").astype("int64")),
        lambda frame: frame.assign(date=frame["date"].dt.as_unit("ms").astype("int64").astype("float64")),
        lambda frame: frame.assign(date=frame["date"].astype(str)),
        lambda frame: frame.assign(close=frame["close"].astype(str)),
        lambda frame: frame.assign(close=frame["close"].astype("float32")),
        lambda frame: frame.iloc[::-1].reset_index(drop=True),
    ],
)
def test_a_frame_in_parquet_may_hold_its_times_and_numbers_in_any_type(
    change: Callable[[pd.DataFrame], pd.DataFrame], series: RecordedCandles, tmp_path: Path
) -> None:
    change(frame_of(series)).to_parquet(tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet").candles.fingerprint == series.fingerprint


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("moment", [7445 * 10**12, 2**62, -(2**62)])
def test_a_moment_in_parquet_that_no_calendar_knows_is_refused(moment: int, zone: str | None, tmp_path: Path) -> None:
    times = pa.array([moment, moment + 3_600_000], pa.timestamp("ms", zone))
    prices = {name: [1.0, 1.0] for name in ("open", "high", "low", "close")}
    pq.write_table(pa.table({"date": times, **prices}), tmp_path / "far.parquet")
    with pytest.raises(CandlesError, match=r"row 1, column date is '.*', no time in s, ms, µs or ns"):
        read(tmp_path / "far.parquet")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: [row[:6] for row in rows],
        lambda rows: rows,
        lambda rows: {"retCode": 0, "result": {"category": "linear", "list": [[*row[:6], "1"] for row in rows[::-1]]}},
        lambda rows: [dict(zip("tohlcv", row[:6], strict=True)) for row in rows],
    ],
    ids=["freqtrade", "Binance", "Bybit", "objects"],
)
def test_what_an_exchange_answered_may_be_kept_as_json(
    wrap: Callable[[list[list[Any]]], Any], series: RecordedCandles, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "c.json", wrap(klines(series, unit=lambda _place: 1000)))
    assert read(path).candles.fingerprint == series.fingerprint


@pytest.mark.parametrize(
    ("text", "volume", "note"),
    [
        (  # CryptoDataDownload
            "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
            "1546333200.0,2019-01-01 09:00:00,BTC/USD,10,12,9,11,5,55\n"
            "1546329600000,2019-01-01 08:00:00,BTC/USD,10,12,9,11,5,55\n",
            5,
            "volumes taken from column Volume BTC, which times the price is the other one",
        ),
        (  # CryptoDataDownload before, where `volume` is in dollars
            "date,symbol,open,high,low,close,volume_btc,volume\n"
            "2019-01-01 09-AM,BTCUSD,10,12,9,11,5,54\n2019-01-01 08-AM,BTCUSD,10,12,9,11,5,57\n",
            5,
            "volumes taken from column volume_btc, which times the price is the other one",
        ),
        (  # yfinance
            "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDatetime,,,,,\n"
            "2019-01-01 08:00:00+00:00,11,12,9,10,5\n2019-01-01 09:00:00+00:00,11,12,9,10,5\n",
            5,
            "",
        ),
        (  # Yahoo
            "Date,Open,High,Low,Close,Adj Close,Volume\n2019-01-01T08:00Z,10,12,9,11,11,5\n"
            "2019-01-01T09:00Z,10,12,9,11,11,5\n2019-01-01T10:00Z,null,null,null,null,null,null\n",
            5,
            "rows without prices left out: 1",
        ),
        (  # Kaggle's Bitstamp
            "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
            "1546329600,10,12,9,11,5,54,10.8\n1546333200,10,12,9,11,5,54,10.8\n",
            5,
            "volumes taken from column Volume_(BTC), which times the price is the other one",
        ),
        (  # TradingView
            "time,open,high,low,close,Volume,Volume MA\n2019-01-01T09:00:00+01:00,10,12,9,11,5,\n"
            "2019-01-01T10:00:00+01:00,10,12,9,11,5,6\n",
            5,
            "",
        ),
        (  # MetaTrader 5
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
            "2019.01.01\t08:00:00\t10\t12\t9\t11\t5\t0\t3\n2019.01.01\t09:00:00\t10\t12\t9\t11\t5\t0\t3\n",
            5,
            "times without a zone taken for UTC",
        ),
        (  # MetaTrader 4
            "2019.01.01,08:00,10,12,9,11,5\n2019.01.01,09:00,10,12,9,11,5\n",
            5,
            "no header: its columns are taken for date, time, open, high, low, close, volume",
        ),
        (  # HistData, in which nobody counts
            "20190101 080000;10;12;9;11;0\n20190101 090000;10;12;9;11;0\n",
            0,
            "no header: its columns are taken for time, open, high, low, close, volume",
        ),
        (  # Kraken
            "1546329600,10,12,9,11,5,33\n1546333200,10,12,9,11,5,33\n",
            5,
            "no header: its columns are taken for time, open, high, low, close, volume, and one that is not read",
        ),
        (  # Dukascopy
            "Gmt time,Open,High,Low,Close,Volume\n01.01.2019 08:00:00.000,10,12,9,11,5\n"
            "01.01.2019 09:00:00.000,10,12,9,11,5\n13.01.2019 09:00:00.000,10,12,9,11,5\n",
            5,
            "dates have the day first",
        ),
        (  # Alpha Vantage
            "timestamp,1. open,2. high,3. low,4. close,5. volume\n2019-01-01 08:00:00,10,12,9,11,5\n"
            "2019-01-01 09:00:00,10,12,9,11,5\n",
            5,
            "times without a zone taken for UTC",
        ),
        (  # pandas, an index without a name, and comments
            ",open,high,low,close,volume\n# the best candles\n2019-01-01 08:00:00+00:00,10,12,9,11,5\n"
            "2019-01-01 09:00:00+00:00,10,12,9,11,5\n",
            5,
            "repeated headers or comments left out: 1",
        ),
        (  # a spreadsheet in Germany
            'Date;Open;High;Low;Close;Volume\n"01.01.2019 08:00";10,0;12,0;9,0;11,0;"5,00"\n'
            "13.01.2019 08:00;10,0;12,0;9,0;11,0;5,00\n13.01.2019 09:00;10,0;12,0;9,0;11,0;5,00\n",
            5,
            "numbers have a decimal comma",
        ),
        (  # investing.com writes volumes short
            "Date,Price,Open,High,Low,Vol.\n2019-01-01 08:00,11,10,12,9,5K\n2019-01-01 09:00,11,10,12,9,0.005M\n",
            5000,
            "times without a zone taken for UTC",
        ),
        ("time,open,high,low,close\n1546329600,10,12,9,11\n1546333200,10,12,9,11\n", 0, ""),  # a currency pair
    ],
)
def test_the_forms_that_are_published(text: str, volume: float, note: str, tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text(text)
    found = read(path)
    assert found.candles.time[:2].tolist() in ([EIGHT, EIGHT + 3600], [EIGHT, EIGHT + 12 * 86_400])
    bars = [getattr(found.candles, name)[0] for name in ("open", "high", "low", "close", "volume")]
    assert bars == [10, 12, 9, 11, volume]
    assert note in ("", *found.notes)


def test_without_volumes_they_are_0_and_it_says_what_that_means(tmp_path: Path) -> None:
    path = tmp_path / "fx.csv"
    path.write_text("time,open,high,low,close\n1546329600,10,12,9,11\n1546333200,10,12,9,11\n")
    assert read(path).warnings == ("no volumes: all are taken for 0, and a model learns nothing from them",)


@pytest.mark.parametrize("name", ["Volume USD", "volume_usdt", "Vol. (USDC)", "Volume_(Eur)"])
def test_one_volume_that_is_named_after_a_coin_of_prices_is_taken_with_a_warning(name: str, tmp_path: Path) -> None:
    path = write_csv(make_candles(30), tmp_path / "own.csv")
    path.write_text(path.read_text().replace("volume", name, 1))
    (warning,) = read_candles(CandleFileSettings(file=path)).warnings
    assert warning.startswith(f"column {name} is named after a coin that prices are in")
    path.write_text(path.read_text().replace(name, "Volume BTC", 1))
    assert read_candles(CandleFileSettings(file=path)).warnings == ()


@pytest.mark.parametrize("written", ["1 0000.5", "10 00", "1 000 00", "1'00", "1 2"])
def test_a_number_whose_thousands_are_set_apart_wrongly_is_no_number(written: str, tmp_path: Path) -> None:
    path = write_csv(make_candles(30), tmp_path / "own.csv")
    lines = path.read_text().splitlines()
    lines[5] = ",".join([*lines[5].split(",")[:5], written])
    path.write_text("\n".join(lines))
    with pytest.raises(CandlesError, match=r"row 6, column volume is .*, not a number"):
        read_candles(CandleFileSettings(file=path))


@pytest.mark.parametrize("kind", ["float16", "bool"])
def test_a_type_that_tells_no_price_is_refused(kind: str, series: RecordedCandles, tmp_path: Path) -> None:
    frame_of(series).astype({"volume": kind}).to_parquet(tmp_path / "own.parquet")
    with pytest.raises(CandlesError, match=f"column volume is of the type {kind}, which tells no price"):
        read_candles(CandleFileSettings(file=tmp_path / "own.parquet"))


def test_what_may_be_two_things_is_read_as_the_settings_say(tmp_path: Path) -> None:
    path = tmp_path / "both.csv"
    row = '"01/02/2019 0{0}:00","1,23{0}","1,23{0}","1,23{0}","1,23{0}",1'
    path.write_text("\n".join(["time,open,high,low,close,volume", row.format(8), row.format(9)]))
    american = read(path, dates="month first", decimal=".").candles
    assert (american.time[0], american.open[0]) == (EIGHT + 86_400, 1238)
    european = read(path, dates="day first", decimal=",").candles
    assert (european.time[0], european.open[0]) == (EIGHT + 31 * 86_400, 1.238)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_local_clock_that_goes_back_is_read_in_its_zone(newest_first: bool, tmp_path: Path) -> None:
    begin = 1_572_127_200  # 2019-10-26T22:00:00Z, the night before Berlin's clocks go back
    moments = pd.date_range(pd.Timestamp(begin, unit="s", tz="UTC"), periods=8, freq="h")
    rows = [
        f"{moment.tz_convert('Europe/Berlin'):%Y-%m-%d %H:%M},{100 + place},110,90,100,5"
        for place, moment in enumerate(moments)
    ]
    path = tmp_path / "berlin.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *(rows[::-1] if newest_first else rows)]))
    found = read(path, timezone="Europe/Berlin")
    assert found.candles.time.tolist() == (begin + 3600 * np.arange(8)).tolist()
    assert found.candles.open.tolist() == [100 + place for place in range(8)]
    assert "times without a zone taken for Europe/Berlin" in found.notes
