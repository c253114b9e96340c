"""The decision log: for every candle what the bot saw, what it was allowed, and what became of it. JSON lines.

What is written grows up to `PART_BYTES` and is then packed into a numbered part beside it, `<name>.000001.gz`; the
oldest parts go where all together take more room than they may.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from loguru import logger
from nightdesk_core.clock import MarketTime, WallTime, iso
from nightdesk_core.files import stored
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import set_aside, sync_folder, write_atomic
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import (
    InputError,
    MissingInputError,
    open_to_append,
    read_bytes,
    read_lines,
    read_packed,
    read_start,
)

PART_BYTES = 2_000_000
"""Some 6,000 decisions: eight months of hourly candles of a symbol. Packed, they take a twentieth of it, in 50 ms."""
_LEAST_PARTS = 4
"""Where little room is given, a part is smaller: what goes with the oldest one is never more than a quarter of all."""
_LARGEST_BYTES = 1_000_000_000
"""Of a log of an earlier release, which was one file however long it became."""
_PART = re.compile(r"\.(\d{6,})\.gz")

CLOSED_BY_OPERATOR = "closed_by_operator"
"""The outcome of what is no candle's decision: an operator closed the position, at `close`."""


@dataclass(frozen=True)
class DecisionRecord:
    """One candle's decision. `time` is its close; what was not known or not asked is `None`."""

    time: MarketTime
    symbol: str
    close: float
    regime: str
    breakout: int
    """1 above the prior bars' high, -1 below their low, 0 neither."""
    probability: float | None
    threshold: float | None
    guard: str
    size_share: float
    leverage: float
    """Notional over equity of the entry, 0 where there was none."""
    outcome: str
    late: str
    """Why nothing could have been entered however good it was; empty for a candle that came in time."""
    model_version: str


class DecisionLog:
    """Appends to and reads one bot's log.

    A decision is written before the journal commits it: a bot that is killed between the two writes it again, and a
    reader takes the last line of a candle. What an operator decided stands beside it. What the disk does not take is
    kept, and written before whatever comes next. A part is whole before what it holds is removed from the log: killed
    in between, the log holds it as well.
    """

    def __init__(self, path: Path, *, keep_bytes: int | None = None, part_bytes: int = PART_BYTES) -> None:
        """`keep_bytes` is how much log and parts may take together; `None` keeps all, as for one who only reads."""
        self.path = path
        self._keep_bytes = keep_bytes
        self._part_bytes = part_bytes if keep_bytes is None else min(part_bytes, keep_bytes // _LEAST_PARTS)
        self._kept: list[str] = []
        """Lines that are not on the disk, oldest first."""
        self._is_told = False
        """Whether it was said that the log cannot be packed."""
        self.unwritten: str | None = None
        """Why not; `None` where there are none."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever decided. Raises `InputError` where the log is no file."""
        if self.parts():
            return False
        try:
            return read_start(self.path, 1) == b""
        except MissingInputError:
            return True

    def parts(self) -> list[Path]:
        """Return what was packed, oldest first."""
        found = []
        for path in self.path.parent.glob(f"{glob.escape(self.path.name)}.*.gz"):
            if number := _PART.fullmatch(path.name.removeprefix(self.path.name)):
                found.append((int(number[1]), path))
        return [path for _, path in sorted(found)]

    def set_aside(self, *, now: WallTime) -> None:
        """Move log and parts out of the way, as those of a damaged journal. Raises `InputError`, `OSError`."""
        with open_to_append(self.path):
            pass  # where all is packed there is none, and it goes last
        set_aside(self.path, now=now, with_suffixes=tuple(self._suffix(part) for part in self.parts()))

    def append(self, record: DecisionRecord) -> None:
        """Append a decision."""
        line = json.dumps({"at": iso(record.time), **vars(record), "time": record.time.seconds}, allow_nan=False)
        self._kept.append(line)
        self.write_again()

    def write_again(self) -> bool:
        """Write what is kept; return whether the disk has it all."""
        if not self._kept:
            return True
        try:
            self._pack_if_long()
            with open_to_append(self.path) as file:
                # A disk that fills amid a line leaves a torn one, as a crash does: all of it is written again.
                file.write((_end_of_torn_line(file) + "\n".join(self._kept) + "\n").encode())
        except (InputError, OSError) as error:
            if self.unwritten is None:
                logger.error("{} cannot be written ({}); decisions are kept in memory until it can", self.path, error)
            self.unwritten = reason_of(error)
            return False
        self._kept.clear()
        self.unwritten = None
        return True

    def read(self, *, symbol: str | None = None, since: MarketTime = MarketTime(0)) -> list[DecisionRecord]:
        """Return the decisions at or after a time, in order; of one symbol where it is named."""
        found = {
            (record.time, record.symbol, record.outcome == CLOSED_BY_OPERATOR): record
            for record in self._records()
            if record.time >= since and symbol in (None, record.symbol)
        }
        return [found[key] for key in sorted(found)]

    def _records(self) -> Iterator[DecisionRecord]:
        # The log first: the bot may pack it at any moment, and what it holds is then in a part that is not listed yet.
        try:
            newest = list(_records_in(read_lines(self.path), source=self.path.name))
        except MissingInputError:
            newest = []
        for part in self.parts():
            try:
                packed = read_packed(part, largest=_LARGEST_BYTES)
            except MissingInputError:
                continue  # the oldest, which the bot has removed meanwhile
            yield from _records_in(packed.splitlines(), source=part.name)
        yield from newest

    def _pack_if_long(self) -> None:
        """Pack the log where it is long enough. Where that fails it is tried again with the next decision."""
        if not self.path.exists() or self.path.stat().st_size < self._part_bytes:
            return
        try:
            self._pack()
        except (InputError, OSError) as error:
            # A longer log is better than a decision that is not written, and entries that are blocked by it.
            if not self._is_told:
                logger.error("{} cannot be packed ({}); it grows until it can: make room", self.path, error)
            self._is_told = True
        else:
            self._is_told = False

    def _pack(self) -> None:
        parts = self.parts()
        # First: on a disk that is nearly full this is the room that the new part needs.
        self._forget_oldest(parts)
        number = 1 if not parts else int(self._suffix(parts[-1]).split(".")[1]) + 1
        packed = self.path.with_name(f"{self.path.name}.{number:06}.gz")
        write_atomic(packed, gzip.compress(read_bytes(self.path, largest=_LARGEST_BYTES), mtime=0))
        self.path.unlink()
        sync_folder(self.path.parent)

    def _forget_oldest(self, parts: list[Path]) -> None:
        if self._keep_bytes is None:
            return
        # The log grows up to a part once more, and what is packed now is smaller than another.
        room = self._keep_bytes - 2 * self._part_bytes
        for part in reversed(parts):
            room -= part.stat().st_size
            if room < 0:
                part.unlink()

    def _suffix(self, part: Path) -> str:
        return part.name.removeprefix(self.path.name)


def _records_in(lines: Iterable[bytes], *, source: str) -> Iterator[DecisionRecord]:
    names = {field.name for field in fields(DecisionRecord)}
    for line in lines:
        try:
            content = parse_json(line, source=source)
            known = {key: content[key] for key in names & content.keys()} if isinstance(content, dict) else content
            yield stored.from_plain(DecisionRecord, known, source=source)
        except InputError:
            continue  # cut off by a crash; the decision was written again after it


def _end_of_torn_line(file: BinaryIO) -> str:
    """Return the newline that a line which a crash cut off lacks, or nothing."""
    if file.seek(0, os.SEEK_END) == 0:
        return ""
    file.seek(-1, os.SEEK_END)
    return "" if file.read(1) == b"\n" else "\n"


def log_path(state_dir: Path, bot: str) -> Path:
    """Return where a bot's decision log lies: beside its journal."""
    return state_dir / f"{bot}-decisions.jsonl"
