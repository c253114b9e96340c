"""What the retrain job needs from a strategy. Schedule, gate, registry, rotation and audit are generic around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from nightdesk_core.errors import NightdeskError
from nightdesk_core.trades import ClosedTrade

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


class PipelineError(NightdeskError):
    """The strategy could not do its part."""


class DataError(PipelineError):
    """The market data cannot be had or must not be trained on."""

    exit_code = 3


class TrainingError(PipelineError):
    """No model could be fitted."""

    exit_code = 4


@dataclass(frozen=True)
class WindowInfo:
    """A stretch of market data. Times are market time in Unix seconds, the candles' opens and closes."""

    start: float
    end: float
    rows: int
    fingerprint: str
    """SHA-256 over the data: the same data, the same fingerprint."""
    warnings: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth knowing of the data, as JSON has it: the bundle's `data.json`, where it is not empty.

    What stands in its `summary`, texts or numbers by name, `nightdesk models show` prints.
    """


@dataclass(frozen=True)
class Fitted:
    """What a bundle will hold, and the stretch that it was learnt from."""

    files: Mapping[str, bytes]
    train_start: float
    train_end: float
    last_label_end: float
    training_rows: int
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Backtest:
    """What a frozen model did on a window: guard off, full size, flat at both ends."""

    start: float
    end: float
    days: tuple[int, ...]
    """Market time of each day's end, Unix seconds, shape (D,)."""
    daily_returns: tuple[float, ...]
    """Of the equity marked to market at each day's end, as ratios, shape (D,)."""
    trades: tuple[ClosedTrade, ...]


class Window(Protocol):
    """Market data that a pipeline collected; only the pipeline looks inside.

    It can be pickled: the job has the bundle judged again in a fresh process, which is handed the same window.
    """

    @property
    def info(self) -> WindowInfo:
        """What the job needs to know of it."""
        ...


W = TypeVar("W", bound=Window)
M = TypeVar("M")


class Pipeline(Protocol[W, M]):
    """A strategy as the retrain job sees it: W is its window type, M its frozen model type."""

    @classmethod
    def from_settings(cls, document: Mapping[str, Any]) -> Self:
        """Return the pipeline for the settings' document. Raises `SettingsError`."""
        ...

    def collect(self, *, days: float, progress: Progress) -> W:
        """Return the last `days` of market data up to the exchange's now. Raises `DataError`."""
        ...

    def fit(self, window: W, *, until: float, progress: Progress) -> Fitted:
        """Train on the bars before `until` (market time), labels included. Raises `TrainingError`."""
        ...

    def load(self, folder: Path) -> M:
        """Return the model of a verified bundle. Raises `BundleError`."""
        ...

    def backtest(self, model: M, window: W, *, start: float, end: float) -> Backtest:
        """Return what `model` does on the bars in [start, end), never fitting anything."""
        ...
