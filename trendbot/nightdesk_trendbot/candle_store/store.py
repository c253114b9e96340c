"""What was collected from an exchange, kept in Parquet: one file for the candles and one for the funding of a symbol.

By pyarrow, which is what pandas reads and writes Parquet with and what the sandbox's samples are kept by.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.files import stored
from nightdesk_core.files.durable import LockTimeoutError, locked, set_aside, write_atomic
from nightdesk_core.files.reader import InputError, MissingInputError, read_bytes
from nightdesk_core.files.stored import StoredError
from nightdesk_core.models.pipeline import DataError
from numpy.typing import NDArray

from nightdesk_trendbot.candle_store.spans import Span, union, within, without
from nightdesk_trendbot.signals.candles import Floats, Ints

_FORMAT = 1
_METADATA = b"nightdesk"
_TIME = "time"
_LOCK_SECONDS = 600.0
_LARGEST_BYTES = 2_000_000_000
"""Another bot's job may be fetching the same symbol's two years just now."""


class DamagedStoreError(DataError):
    """The file holds something else than what was written into it: `reason` says what."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is damaged: {reason}")


@dataclass(frozen=True)
class Rows:
    """N rows, oldest first, each time once: `time` in Unix seconds (N,), `values` (N, K).

    In `covered` the exchange was asked for everything: what is not here then, it did not have.
    """

    time: Ints
    values: Floats
    covered: tuple[Span, ...] = ()

    @classmethod
    def none(cls, columns: int) -> Rows:
        """Return no rows."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros((0, columns)))

    def __len__(self) -> int:
        return len(self.time)

    def between(self, start: int, stop: int) -> Rows:
        """Return what lies in [start, stop)."""
        first, last = np.searchsorted(self.time, [start, stop])
        return Rows(self.time[first:last], self.values[first:last], within(self.covered, (start, stop)))

    def merged(self, other: Rows) -> Rows:
        """Return all rows of both; where both have one, the other's counts."""
        covered = union([*self.covered, *other.covered])
        if len(other) == 0:
            return replace(self, covered=covered)
        first, last = self._bounds(other)
        kept = np.flatnonzero(~np.isin(self.time[first:last], other.time)) + first
        time = np.concatenate([self.time[kept], other.time])
        order = np.argsort(time, kind="stable")
        values = np.concatenate([self.values[kept], other.values])
        return Rows(
            np.concatenate([self.time[:first], time[order], self.time[last:]]),
            np.concatenate([self.values[:first], values[order], self.values[last:]]),
            covered,
        )

    def uncovered(self, spans: Sequence[Span]) -> Rows:
        """Return the same rows, to be asked for again in `spans`."""
        return replace(self, covered=without(self.covered, spans))

    def shared(self, other: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where both have a row: the places here and the places in the other, each of shape (M,)."""
        first, last = self._bounds(other)
        found = np.intersect1d(self.time[first:last], other.time, assume_unique=True, return_indices=True)
        return found[1] + first, found[2]

    def _bounds(self, other: Rows) -> tuple[int, int]:
        """Return from where and up to where the rows lie among the other's."""
        if len(other) == 0:
            return 0, 0
        first, last = np.searchsorted(self.time, [other.time[0], other.time[-1] + 1])
        return int(first), int(last)


@dataclass(frozen=True)
class _Label:
    """What a file says of itself, in the metadata of its Parquet schema."""

    format: int
    source: str
    symbol: str
    series: str
    covered: tuple[Span, ...] = ()
    sha256: str = ""
    """Over the numbers, see `_digest`."""


class StoreFile:
    """The rows of one symbol and one series of a source. One process at a time, under `held`."""

    def __init__(
        self,
        folder: Path,
        *,
        source: str,
        symbol: str,
        series: str,
        columns: Sequence[str],
        clock: WallClock = system_clock,
    ) -> None:
        self._blank = _Label(_FORMAT, source, symbol, series)
        self._columns = tuple(columns)
        self._clock = clock
        # Quoted, a name holds no separator and every name is another: no symbol leaves the folder or meets another.
        self.path = source_folder(folder, source) / f"{quote(symbol, safe='')}-{series}.parquet"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from the file, and remove what one that was killed left half-written.

        Raises `DataError` where another has held it for ten minutes, or the folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path.with_suffix(".lock"), timeout_seconds=_LOCK_SECONDS))
                for part in self.path.parent.glob(f".{_literal(self.path.name)}.*.part"):
                    part.unlink()
            except LockTimeoutError as error:
                raise DataError(f"{error}: another retrain collects the same data; wait for it") from error
            except OSError as error:
                raise _unusable(self.path, error) from error
            yield

    def load(self) -> Rows:
        """Return what is kept; no rows where there is no file yet.

        Raises `DamagedStoreError` where it is not what was written, `DataError` where it cannot be read at all.
        """
        try:
            content = read_bytes(self.path, largest=_LARGEST_BYTES)
        except MissingInputError:
            return Rows.none(len(self._columns))
        except InputError as error:
            raise _unusable(self.path, error) from error
        try:
            table = pq.ParquetFile(io.BytesIO(content)).read()
            label = stored.from_json(_Label, (table.schema.metadata or {})[_METADATA], source="metadata")
            if replace(label, covered=(), sha256="") != self._blank:
                raise DamagedStoreError(self.path, "it holds something else, or comes from another release")
            rows = Rows(
                table[_TIME].to_numpy().astype(np.int64, copy=False),
                np.column_stack([table[name].to_numpy() for name in self._columns]).astype(np.float64, copy=False),
                label.covered,
            )
        except (OSError, KeyError, ValueError, StoredError, pa.ArrowException) as error:
            raise DamagedStoreError(self.path, " ".join(str(error).split())[:200]) from error
        if label.sha256 != _digest(rows):
            raise DamagedStoreError(self.path, "its numbers are not those that were written")
        return rows

    def save(self, rows: Rows) -> None:
        """Replace what is kept, the whole file at once. Raises `DataError`, and leaves the old file."""
        label = stored.plain(replace(self._blank, covered=rows.covered, sha256=_digest(rows)))
        columns = {name: rows.values[:, index] for index, name in enumerate(self._columns)}
        table = pa.table({_TIME: rows.time, **columns}).replace_schema_metadata({_METADATA: json.dumps(label)})
        buffer = io.BytesIO()
        # Prices hardly repeat: a dictionary of them would cost time and save no room.
        pq.write_table(table, buffer, compression="zstd", use_dictionary=False)
        try:
            write_atomic(self.path, buffer.getvalue())
        except OSError as error:
            raise _unusable(self.path, error) from error

    def set_aside(self) -> Path:
        """Move the file out of the way and return where to. Raises `DataError`."""
        try:
            return set_aside(self.path, now=self._clock())
        except OSError as error:
            raise _unusable(self.path, error) from error


def source_folder(folder: Path, source: str) -> Path:
    """Return where the files of a source lie."""
    return folder / quote(source, safe="")


def _unusable(path: Path, error: OSError | InputError) -> DataError:
    reason = error.reason if isinstance(error, InputError) else error.strerror
    return DataError(f"{path} cannot be used ({reason}): see to the folder's disk and rights, or set trendbot.data_dir")


def _digest(rows: Rows) -> str:
    digest = hashlib.sha256(json.dumps(rows.covered).encode())
    for column in (rows.time, rows.values):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _literal(name: str) -> str:
    """Return a pattern that matches this very name."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
