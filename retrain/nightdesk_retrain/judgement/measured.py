"""What the simulation of the gate's power goes by, as the models and trials that there are show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from loguru import logger
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.registry import ModelRegistry

from nightdesk_retrain.judgement.deflated import benchmark
from nightdesk_retrain.judgement.evidence import read_common, read_holdout
from nightdesk_retrain.judgement.metrics import correlation
from nightdesk_retrain.judgement.power import TradePace
from nightdesk_retrain.judgement.trials import TrialLedger, cluster_sharpe_ratios

T = TypeVar("T")


def measured_correlation(registry: ModelRegistry) -> tuple[float, str] | None:
    """Return how alike candidate and champion were when they were last compared, and where that stands."""
    for version, common in _newest_first(registry, read_common):
        found = None if common is None else correlation(*map(np.array, common))
        if common is not None and found is not None:
            return found, f"{version} and the champion of its day, over {len(common[0])} days"
    return None


def measured_pace(registry: ModelRegistry) -> tuple[TradePace, str] | None:
    """Return how the newest model that traded did so on its hold-out, and which one it is."""
    for version, holdout in _newest_first(registry, read_holdout):
        found = TradePace.of(holdout)
        if found is not None:
            return found, f"the hold-out of {version}"
    return None


def luck_of_trials(state_dir: Path) -> float:
    """Return the daily Sharpe ratio that the best of all trials so far owes to luck."""
    return benchmark(cluster_sharpe_ratios(TrialLedger(state_dir).trials()))


def _newest_first(registry: ModelRegistry, read: Callable[[Path], T]) -> Iterator[tuple[str, T]]:
    """Yield what each bundle holds; one that cannot be read is named in the log and left out."""
    for version in reversed(registry.versions()):
        try:
            yield version, read(registry.bundle(version))
        except BundleError as error:
            logger.warning("left out: {}", error)
