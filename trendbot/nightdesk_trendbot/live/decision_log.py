"""The decision log: for every candle what the bot saw, what it was allowed, and what became of it. JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.permissions import append_to


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
    reader takes the last line of a candle.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever decided."""
        return not self.path.exists() or self.path.stat().st_size == 0

    def append(self, record: DecisionRecord) -> None:
        """Append a decision."""
        line = json.dumps({"at": iso(record.time), **vars(record), "time": record.time.seconds}, allow_nan=False)
        with append_to(self.path) as file:
            file.write((_end_of_torn_line(file) + line + "\n").encode())

    def read(self, *, symbol: str | None = None, since: MarketTime = MarketTime(0)) -> list[DecisionRecord]:
        """Return the decisions at or after a time, in order; of one symbol where it is named."""
        found = {
            (record.time, record.symbol): record
            for record in self._records()
            if record.time >= since and symbol in (None, record.symbol)
        }
        return [found[key] for key in sorted(found)]

    def _records(self) -> Iterator[DecisionRecord]:
        if not self.path.exists():
            return
        names = {field.name for field in fields(DecisionRecord)}
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    content = json.loads(line)
                    known = {name: content[name] for name in names}
                    record = DecisionRecord(**known | {"time": MarketTime(content["time"])})
                except (ValueError, KeyError, TypeError):
                    continue  # cut off by a crash; the decision was written again after it
                yield record


def _end_of_torn_line(file: BinaryIO) -> str:
    """Return the newline that a line which a crash cut off lacks, or nothing."""
    if file.seek(0, os.SEEK_END) == 0:
        return ""
    file.seek(-1, os.SEEK_END)
    return "" if file.read(1) == b"\n" else "\n"


def log_path(state_dir: Path, bot: str) -> Path:
    """Return where a bot's decision log lies: beside its journal."""
    return state_dir / f"{bot}-decisions.jsonl"
