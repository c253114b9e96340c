"""Files that were damaged at random: read, or refused with the file's name and what to do, and never anything else."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from nightdesk_core.text import line
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import RecordedCandles, check
from nightdesk_sandbox.recordings.files.reader import read_candles
from nightdesk_sandbox.recordings.files.settings import CandleFileSettings

from tests.campaigns import SEED, cases
from tests.sandbox.candle_dialects import frame_of, klines, write_dialect, write_json, write_klines
from tests.sandbox.conftest import make_candles

_LONGEST_SECONDS = 10.0
_PIECES = (
    *(b"", b",", b";", b"\t", b"\n", b"\r\n", b'"', b"'", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"#", b"-"),
    *(b"nan", b"null", b"inf", b"1e999", b"-1", b"0", b"9" * 400, b"1.2.3", b"1,234", b"1.234,5", b"NaT", b"0x10"),
    *(b"2019-02-30", b"31/12/2019 23:00", b"12/31/2019", b"9" * 20, b"2019-01-01T00:00:00+99:99", b"20190101"),
    *(b"time", b"open,high,low,close", b"{", b"[[", b"}]", b"PAR1", b"ARROW1", b"PK\x03\x04", b"\x1f\x8b", b"\x80\x04"),
    *("\u03a3\u0661\u00b2".encode(), "\u202e".encode(), b"\x1b[2J", b"=cmd()", b"24:00", b"Jan 1 2019", b"10-PM"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Sound files of every kind."""
    folder, candles = tmp_path_factory.mktemp("whole"), make_candles(120, missing=(50,))
    for kind in ("parquet", "feather"):
        getattr(frame_of(candles), f"to_{kind}")(folder / f"a.{kind}")
    rows = klines(candles, unit=lambda _place: 1000)
    write_klines(folder / "b.csv", rows)
    write_json(folder / "c.json", [row[:6] for row in rows])
    kept = [path.read_bytes() for path in sorted(folder.iterdir())]
    return [*kept, *(write_dialect(candles, random.Random(f"{SEED} {number}")).content for number in range(8))]


def broken(content: bytes, source: random.Random) -> bytes:
    """Return content with one or more random changes."""
    damaged = bytearray(content)
    for _ in range(source.choice([1, 1, 2, 5, 30])):
        at, count = source.randrange(len(damaged) + 1), source.choice([0, 1, 1, 4, 60, 2000])
        piece = source.choice(_PIECES)
        match source.randrange(5):
            case 0:
                damaged[at : at + count] = piece
            case 1:
                damaged[at:at] = piece
            case 2:
                damaged[at:] = b""
            case 3:
                damaged[at : at + 1] = source.randbytes(1)
            case _:
                other = source.randrange(len(damaged) + 1)
                damaged[at:at] = damaged[other : other + count]
    return bytes(damaged)


@pytest.mark.fuzz
def test_a_damaged_file_is_read_or_refused_by_name_and_soon(whole: list[bytes], tmp_path: Path) -> None:
    path, read = tmp_path / "damaged", 0
    for case in range(cases(sample=150, campaign=30_000)):
        source = random.Random(f"{SEED} {case}")
        path.write_bytes(broken(source.choice(whole), source))
        begun = time.monotonic()
        try:
            found = read_candles(CandleFileSettings(file=path))
        except CandlesError as error:
            assert_is_of_use(str(error), path, case)
        except Exception as error:
            raise AssertionError(f"seed {SEED}, case {case}: {path.read_bytes()[:200]!r}") from error
        else:
            read += 1
            check(found.candles, source="what was read")
            assert_is_of_use(f"{path}: {found}", path, case)
        assert time.monotonic() - begun < _LONGEST_SECONDS, f"seed {SEED}, case {case}"
    assert read > 0, "nothing was sound enough to be read: the damage is too great to tell anything"


def assert_is_of_use(message: str, path: Path, case: int) -> None:
    """Whoever reads it knows which file and what to do, and their terminal shows it as it is."""
    assert message.startswith(f"{path}: "), f"seed {SEED}, case {case}: {message}"
    assert len(message) < 2000, f"seed {SEED}, case {case}: {message}"
    assert line(message) == message, f"seed {SEED}, case {case}: {message!r}"


def test_a_series_that_was_read_is_what_was_written_whatever_the_file_says_of_itself(tmp_path: Path) -> None:
    """The name's ending is not what a file is known by."""
    candles: RecordedCandles = make_candles(60)
    frame_of(candles).to_parquet(tmp_path / "wrong.csv")
    assert read_candles(CandleFileSettings(file=tmp_path / "wrong.csv")).candles.fingerprint == candles.fingerprint
