"""The decision log: for every candle what the bot saw, what it was allowed, and what became of it. JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from loguru import logger
from nightdesk_core import stored
from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.disk import reason_of
from nightdesk_core.json_text import parse_json
from nightdesk_core.reader import InputError, MissingInputError, open_to_append, read_lines, read_start

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
    kept, and written before whatever comes next.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: list[str] = []
        """Lines that are not on the disk, oldest first."""
        self.unwritten: str | None = None
        """Why not; `None` where there are none."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever decided. Raises `InputError` where the log is no file."""
        try:
            return read_start(self.path, 1) == b""
        except MissingInputError:
            return True

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
        names = {field.name for field in fields(DecisionRecord)}
        try:
            for line in read_lines(self.path):
                try:
                    content = parse_json(line, source=self.path.name)
                    known = {name: content[name] for name in names}
                    yield stored.from_plain(DecisionRecord, known, source=self.path.name)
                except (InputError, KeyError, TypeError):
                    continue  # cut off by a crash; the decision was written again after it
        except MissingInputError:
            return


def _end_of_torn_line(file: BinaryIO) -> str:
    """Return the newline that a line which a crash cut off lacks, or nothing."""
    if file.seek(0, os.SEEK_END) == 0:
        return ""
    file.seek(-1, os.SEEK_END)
    return "" if file.read(1) == b"\n" else "\n"


def log_path(state_dir: Path, bot: str) -> Path:
    """Return where a bot's decision log lies: beside its journal."""
    return state_dir / f"{bot}-decisions.jsonl"
