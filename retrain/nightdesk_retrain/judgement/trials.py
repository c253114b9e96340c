"""The ledger of trials: every candidate that was evaluated on its hold-out, and how many different ones that makes.

It lies in the state folder, beside the audit log: old bundles go, but what was tried stays tried.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from loguru import logger
from nightdesk_core.files import stored
from nightdesk_core.files.durable import sync_folder
from nightdesk_core.files.reader import MissingInputError, open_to_append, read_bytes
from nightdesk_core.files.stored import StoredError
from nightdesk_core.units import DAYS_A_YEAR
from sklearn.cluster import AgglomerativeClustering

from nightdesk_retrain.judgement.metrics import Floats, judged_sharpe_ratio

_LARGEST_BYTES = 1_000_000_000
_ALIKE = 0.5
"""Trials whose ratios have a higher correlation than this count as one."""
_SMALL = 1e-12
"""A variance below this share of the mean square is rounding."""


@dataclass(frozen=True)
class Trial:
    """One candidate on its hold-out."""

    version: str
    days: tuple[int, ...]
    """Market time of each day's end, Unix seconds, shape (D,)."""
    daily_returns: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raises `ValueError` where the returns are not of as many different days."""
        if len(self.days) != len(self.daily_returns) or len(set(self.days)) != len(self.days):
            raise ValueError(f"{len(self.daily_returns)} returns for {len(set(self.days))} days")

    @property
    def sharpe_ratio(self) -> float:
        """Return it per day, not annualised."""
        return judged_sharpe_ratio(np.array(self.daily_returns)) / float(np.sqrt(DAYS_A_YEAR))


class TrialLedger:
    """JSON lines, appended one by one. One writer at a time: the job, under its lock."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "trials.jsonl"

    def trials(self) -> list[Trial]:
        """Return every trial, oldest first, each version once.

        A torn last line is no trial. A line that cannot be read is left out, and the log names it.
        Raises `InputError` where the file cannot be read.
        """
        found: dict[str, Trial] = {}
        for number, line in enumerate(self._content().split(b"\n")[:-1], start=1):
            try:
                trial = stored.from_json(Trial, line, source=self.path.name)
            except StoredError as error:
                logger.error("{}, line {}: is no trial and is left out ({})", self.path, number, error.reason)
                continue
            found.setdefault(trial.version, trial)
        return list(found.values())

    def add(self, trial: Trial) -> list[Trial]:
        """Append a trial durably, unless its version is there, and return all. Raises `InputError`, `OSError`."""
        known = self.trials()
        if trial.version in {one.version for one in known}:
            return known
        content = self._content()
        line = json.dumps(stored.plain(trial), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with open_to_append(self.path) as file:
            # What a crash has left of a line without its end goes.
            file.truncate(content.rfind(b"\n") + 1)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path.parent)
        return [*known, trial]

    def _content(self) -> bytes:
        try:
            return read_bytes(self.path, largest=_LARGEST_BYTES)
        except MissingInputError:
            return b""


def cluster_sharpe_ratios(trials: Sequence[Trial]) -> tuple[float, ...]:
    """Return the daily Sharpe ratio of each group of trials that are alike, the mean of its members', oldest first.

    As López de Prado and Lewis (2019) do, the effective number of trials is that of clusters by the distance
    √((1 - r) / 2), with r the `correlations`. Theirs are found by silhouettes, which need many trials and know no
    single cluster: here every two members of a cluster (complete linkage) have a correlation above a half.
    """
    if not trials:
        return ()
    labels = np.zeros(len(trials), dtype=np.int64)
    if len(trials) > 1:
        clustering = AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=_distance(_ALIKE)
        )
        labels = clustering.fit(_distance(correlations(trials))).labels_
    ratios = np.array([trial.sharpe_ratio for trial in trials])
    return tuple(float(ratios[labels == label].mean()) for label in dict.fromkeys(labels.tolist()))


def correlations(trials: Sequence[Trial]) -> Floats:
    """Return how the luck of each two trials is correlated, shape (N, N).

    What two Sharpe ratios share, they share through their common days: the correlation of the returns on these, times
    their share of the days, n / √(n₁·n₂). Hold-outs without a common day are independent trials of any two models.
    """
    days = {day: column for column, day in enumerate(sorted({day for trial in trials for day in trial.days}))}
    returns, there = np.zeros((2, len(trials), len(days)))
    for row, trial in enumerate(trials):
        columns = [days[day] for day in trial.days]
        returns[row, columns], there[row, columns] = trial.daily_returns, 1.0
    common = np.maximum(there @ there.T, 1.0)
    mean, square = returns @ there.T / common, returns**2 @ there.T / common
    variance = square - mean**2
    variance[variance <= _SMALL * square] = 0.0
    covariance = returns @ returns.T / common - mean * mean.T
    spread = np.sqrt(variance * variance.T)
    # Two that never traded are the same trial.
    same = np.where((square == 0) & (square.T == 0), 1.0, 0.0)
    found = np.clip(np.divide(covariance, spread, out=same, where=spread > 0), -1.0, 1.0)
    length = np.maximum(there.sum(axis=1), 1.0)
    overlap = there @ there.T / np.sqrt(np.outer(length, length))
    np.fill_diagonal(found, 1.0)
    return np.asarray(found * overlap)


def _distance(correlation: Floats | float) -> Floats:
    return np.sqrt(np.maximum(0.0, (1 - np.asarray(correlation)) / 2))
