"""What a file holds, whatever it is packed in: its bytes, bounded, and of which kind they are."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from nightdesk_core.files.reader import InputError, open_to_read

from nightdesk_sandbox.errors import CandlesError

Kind = Literal["CSV", "JSON", "Parquet", "Feather"]

LARGEST_BYTES = 100_000_000
"""Twenty years of hourly candles with every column that Binance has are 30 MB."""

_OTHERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "SQLite",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "PDF",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"FEA1": "Feather of version 1",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}
_USABLE = "CSV, JSON, Parquet or Feather, as it is or in gzip or zip"


def read_content(path: Path) -> tuple[Kind, bytes]:
    """Return of which kind a file is, by its first bytes and not by its name, and its content without its packing.

    Raises `CandlesError` where it cannot be read, is too large, or is of another kind.
    """
    data = _unpacked(_read(path), str(path))
    if data.startswith(b"PAR1"):
        return "Parquet", data
    if data.startswith(b"ARROW1"):
        return "Feather", data
    for head, name in _OTHERS.items():
        if data.startswith(head):
            raise CandlesError(str(path), f"is {name}, which is not read; save it as {_USABLE}")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
        return "JSON", data
    return "CSV", data


def _read(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            return _bounded(file.read(LARGEST_BYTES + 1), str(path))
    except InputError as error:
        raise CandlesError(str(path), f"{error.reason}; name one file that holds {_USABLE}") from error


def _bounded(data: bytes, source: str) -> bytes:
    if len(data) > LARGEST_BYTES:
        problem = f"holds more than {LARGEST_BYTES // 10**6} MB; hourly candles are less: cut it, or join its minutes"
        raise CandlesError(source, problem)
    if not data.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise CandlesError(source, "is empty; was its download broken off?")
    return data


def _unpacked(data: bytes, source: str) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                return _bounded(packed.read(LARGEST_BYTES + 1), source)
        if data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_only_member(archive, source)) as packed:
                return _bounded(packed.read(LARGEST_BYTES + 1), source)
    except (OSError, EOFError, ValueError, zlib.error, struct.error, zipfile.BadZipFile, RuntimeError) as error:
        problem = f"cannot be unpacked ({str(error)[:200]}); unpack it yourself, or fetch it anew"
        raise CandlesError(source, problem) from error
    return data


def _only_member(archive: zipfile.ZipFile, source: str) -> str:
    names = [item.filename for item in archive.infolist() if not item.is_dir()]
    if any(name.startswith("xl/") for name in names):
        raise CandlesError(source, f"is an Excel workbook, which is not read; save it as {_USABLE}")
    files = [name for name in names if not name.startswith(("__MACOSX/", "."))]
    if len(files) != 1:
        named = ", ".join(files[:3]) + (", …" if len(files) > 3 else "")
        raise CandlesError(source, f"holds {len(files)} files ({named}); pack one only, or name it unpacked")
    return files[0]
