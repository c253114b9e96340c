"""A verdict once more, from what was recorded: nothing is fitted, and no market data is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.settings import validate

from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from nightdesk_retrain.judgement.evidence import read_common, read_holdout, read_record
from nightdesk_retrain.judgement.gate import Comparison, Criterion, Ruling, judge
from nightdesk_retrain.judgement.metrics import measure
from nightdesk_retrain.judgement.outperformance import sharpe_difference
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings


@dataclass(frozen=True)
class VerdictReplay:
    """The ruling as it comes out now, and in what it differs from the one that was recorded."""

    ruling: Ruling
    differences: tuple[str, ...]


def replay_verdict(folder: Path, recorded: Mapping[str, Any]) -> VerdictReplay:
    """Judge the candidate of a verified bundle again, by its recorded returns, trades and settings.

    `recorded` is the verdict as the audit log has it. Raises `BundleError` where the bundle lacks something, and
    `SettingsError` where this release does not know its settings.
    """
    settings = read_record(folder, "settings.json")
    retrain = validate(RetrainSettings, settings.get("retrain", {}), source="retrain")
    holdout = read_holdout(folder)
    deflated = _deflated(holdout, recorded.get("deflated_sharpe"))
    ruling = judge(
        measure(holdout),
        _comparison(folder, recorded.get("comparison"), retrain),
        rotation=validate(ModelRotationSettings, settings.get("model_rotation", {}), source="model_rotation"),
        retrain=retrain,
        deflated=deflated,
    )
    return VerdictReplay(ruling, tuple(_differences(ruling, deflated, recorded)))


def _deflated(holdout: Backtest, recorded: Mapping[str, Any] | None) -> float | None:
    # Older verdicts have none.
    if recorded is None:
        return None
    return DeflatedSharpe.of(
        np.array(holdout.daily_returns),
        trials=recorded["trials"],
        cluster_sharpe_ratios=recorded["cluster_sharpe_ratios"],
    ).probability


def _comparison(folder: Path, recorded: Mapping[str, Any] | None, retrain: RetrainSettings) -> Comparison | None:
    if recorded is None:
        return None
    common = read_common(folder)
    # Older verdicts do not say how old the champion was: it made no difference then.
    past_age = bool(recorded.get("past_age", False))
    confidence = retrain.confidence(past_age=past_age)
    sharpe = None
    if common is not None:
        sharpe = sharpe_difference(np.array(common[0]), np.array(common[1]), confidence=confidence)
    return Comparison(recorded["version"], recorded["standing"], recorded["common_days"], sharpe, past_age)


def _differences(ruling: Ruling, deflated: float | None, recorded: Mapping[str, Any]) -> list[str]:
    found = []
    before_deflated = (recorded.get("deflated_sharpe") or {}).get("probability")
    if deflated != before_deflated:
        found.append(f"deflated_sharpe is {deflated}, recorded is {before_deflated}")
    if ruling.verdict.value != recorded["verdict"]:
        found.append(f"the verdict is {ruling.verdict}, recorded is {recorded['verdict']}")
    before = {criterion["name"]: criterion for criterion in recorded["criteria"]}
    now = {criterion.name: criterion for criterion in ruling.criteria}
    for name in [*before, *(name for name in now if name not in before)]:
        ours, theirs = _told(now.get(name)), before.get(name)
        if ours != (None if theirs is None else (theirs["value"], theirs["threshold"], theirs["passed"])):
            found.append(f"{name} is {ours}, recorded is {theirs}")
    return found


def _told(criterion: Criterion | None) -> tuple[float | None, float, bool] | None:
    if criterion is None:
        return None
    # What JSON cannot hold, an infinite bound, is recorded as null.
    value = criterion.value if criterion.value is None or np.isfinite(criterion.value) else None
    return value, criterion.threshold, criterion.passed
