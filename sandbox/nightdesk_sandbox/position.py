"""Where the replay stands, kept on disk so that a restarted exchange goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, MissingInputError
from pydantic import BaseModel, ConfigDict, ValidationError

from nightdesk_sandbox.errors import PositionError
from nightdesk_sandbox.recordings.candles import RecordedCandles

_FILE_NAME = "replay.json"


class _Document(BaseModel):
    """What the file holds. The market's time counts; `market_time` says it for people."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    candles: str
    start: int
    position: float
    market_time: str


@dataclass(frozen=True)
class ReplayPosition:
    """The file that keeps the position of one replay: these candles from this start."""

    path: Path
    candles: str
    start: int

    @classmethod
    def of(cls, candles: RecordedCandles, *, start: int, folder: Path) -> ReplayPosition:
        """Return the position of a replay of `candles` from `start`, kept in `folder`."""
        return cls(folder / _FILE_NAME, candles.fingerprint, start)

    def load(self) -> float:
        """Return the market time to go on from: the start where nothing is kept, or what is kept is of another replay.

        Raises `PositionError` where the file is damaged: starting over would take the market's time back unasked.
        """
        document = self._read()
        if document is None:
            return float(self.start)
        if self._is_other(document):
            logger.warning("{} is of other candles or of another start; the replay begins anew", self.path)
            return float(self.start)
        return max(document.position, float(self.start))

    @property
    def is_another_s(self) -> bool:
        """Whether what is kept is of another replay. Raises as `load` does."""
        document = self._read()
        return document is not None and self._is_other(document)

    def _is_other(self, document: _Document) -> bool:
        return (document.candles, document.start) != (self.candles, self.start)

    def _read(self) -> _Document | None:
        try:
            return _Document.model_validate(read_json(self.path))
        except MissingInputError:
            return None
        except InputError as error:
            raise PositionError(self.path, error.reason) from error
        except ValidationError as error:
            raise PositionError(self.path, f"is damaged ({error.error_count()} problems)") from error

    def save(self, position: float) -> None:
        """Keep the market time `position`."""
        document = _Document(candles=self.candles, start=self.start, position=position, market_time=iso(position))
        write_json_atomic(self.path, document.model_dump())
