"""The price shocks of a replay, kept on disk: a changed world must not change back when the exchange restarts."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError
from pydantic import BaseModel, ConfigDict, ValidationError

from nightdesk_sandbox.errors import PositionError
from nightdesk_sandbox.position import ReplayPosition

_FILE_NAME = "shocks.json"


class Shock(BaseModel):
    """All prices of candles that open after the market time `at` are multiplied by `factor`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    at: float
    factor: float


class _Document(BaseModel):
    """What the file holds: of which replay, and its shocks in the order in which they came."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candles: str
    start: int
    shocks: list[Shock]


class Shocks:
    """The shocks of the replay that `position` is of. A replay that begins anew begins without any."""

    def __init__(self, position: ReplayPosition) -> None:
        self._path = position.path.with_name(_FILE_NAME)
        self._position = position
        self._shocks: list[Shock] = []

    def load(self) -> list[Shock]:
        """Return the shocks so far. Raises `PositionError` where the file is damaged."""
        self._shocks = []
        if not self._position.path.exists():
            self._path.unlink(missing_ok=True)
        elif self._path.exists():
            document = _read(self._path)
            if (document.candles, document.start) == (self._position.candles, self._position.start):
                self._shocks = document.shocks
        return list(self._shocks)

    def add(self, shock: Shock) -> None:
        """Keep one more. The position must be on disk: without it the shocks count as another replay's."""
        self._shocks.append(shock)
        document = _Document(candles=self._position.candles, start=self._position.start, shocks=self._shocks)
        write_json_atomic(self._path, document.model_dump())


def _read(path: Path) -> _Document:
    try:
        return _Document.model_validate(read_json(path))
    except InputError as error:
        raise PositionError(path, error.reason) from error
    except ValidationError as error:
        raise PositionError(path, f"is damaged ({error.error_count()} problems)") from error
