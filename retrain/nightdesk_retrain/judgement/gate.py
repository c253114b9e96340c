"""The promotion gate: a pure function of measured performance and the settings. It touches no file and no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from nightdesk_core.models.champion import Standing

from nightdesk_retrain.judgement.metrics import Performance
from nightdesk_retrain.judgement.outperformance import SharpeDifference
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings


class GateVerdict(StrEnum):
    """What becomes of a candidate."""

    PROMOTED = "promoted"
    KEPT = "kept"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


@dataclass(frozen=True)
class Criterion:
    """One demand on the candidate; `value` is `None` where it could not be measured."""

    name: str
    value: float | None
    threshold: float
    passed: bool
    wording: str
    """How value and threshold read, such as `at least`."""


@dataclass(frozen=True)
class Comparison:
    """The champion beside the candidate on days that neither has seen; `sharpe` is `None` where there are none."""

    version: str
    standing: Standing
    common_days: float
    sharpe: SharpeDifference | None
    past_age: bool = False
    """Whether the champion is past its full age limit: then less confidence is asked for."""

    @property
    def is_too_thin(self) -> bool:
        """Whether the days bear no lower bound at all, so that no candidate could pass."""
        return self.sharpe is not None and self.sharpe.lower_bound == -math.inf


@dataclass(frozen=True)
class Ruling:
    """The verdict and every criterion that led to it."""

    verdict: GateVerdict
    criteria: tuple[Criterion, ...]
    reason: str


def judge(
    candidate: Performance,
    champion: Comparison | None,
    *,
    rotation: ModelRotationSettings,
    retrain: RetrainSettings,
    deflated: float | None = None,
) -> Ruling:
    """Return whether the candidate may replace the champion (`None`: there is none yet).

    `deflated` is the candidate's deflated Sharpe ratio, a probability. It counts where a minimum is set.
    """
    absolute = (*_absolute(candidate, rotation), *_deflated(deflated, retrain))
    failed = [criterion for criterion in absolute if not criterion.passed]
    compared: tuple[Criterion, ...] = ()
    if champion is not None and rotation.require_outperformance:
        compared = relative(champion, retrain)
        failed += [criterion for criterion in compared if not criterion.passed]
    criteria = (*absolute, *compared)
    if not failed:
        return Ruling(GateVerdict.PROMOTED, criteria, "every criterion is met")
    reason = "; ".join(
        f"{criterion.name} {_number(criterion.value)} is not {criterion.wording}" for criterion in failed
    )
    if any(_is_about_evidence(criterion, champion) for criterion in failed):
        return Ruling(GateVerdict.INSUFFICIENT_EVIDENCE, criteria, reason)
    return Ruling(GateVerdict.KEPT, criteria, reason)


def _is_about_evidence(failed: Criterion, champion: Comparison | None) -> bool:
    """Return whether what failed says nothing about the candidate, because there is too little to compare by."""
    unbounded = failed.name == "sharpe_difference_lower_bound" and champion is not None and champion.is_too_thin
    return failed.name == "common_days" or unbounded


def _absolute(candidate: Performance, rotation: ModelRotationSettings) -> tuple[Criterion, ...]:
    # Without a single losing trade the profit factor has no bound; without any trade it proves nothing.
    factor = candidate.profit_factor
    unbounded = factor is None and candidate.trades > 0
    return (
        _above("sharpe_ratio", candidate.sharpe_ratio, rotation.min_sharpe_ratio),
        Criterion(
            "profit_factor",
            factor,
            rotation.min_profit_factor,
            unbounded or (factor is not None and factor > rotation.min_profit_factor),
            f"above {rotation.min_profit_factor:g}",
        ),
        Criterion(
            "max_drawdown",
            candidate.max_drawdown_ratio,
            rotation.max_drawdown_threshold,
            candidate.max_drawdown_ratio < rotation.max_drawdown_threshold,
            f"below {rotation.max_drawdown_threshold:g}",
        ),
        Criterion(
            "trades",
            candidate.trades,
            rotation.min_trades,
            candidate.trades >= rotation.min_trades,
            f"at least {rotation.min_trades}",
        ),
    )


def _deflated(probability: float | None, retrain: RetrainSettings) -> tuple[Criterion, ...]:
    least = retrain.min_deflated_sharpe
    if least is None:
        return ()
    passed = probability is not None and probability >= least
    return (Criterion("deflated_sharpe", probability, least, passed, f"at least {least:g}"),)


def relative(champion: Comparison, retrain: RetrainSettings) -> tuple[Criterion, ...]:
    """Return what the comparison with the champion demands.

    A provisional champion was never judged, so being better on the point estimate is enough against it.
    """
    difference = None if champion.sharpe is None else champion.sharpe.difference
    days = Criterion(
        "common_days",
        champion.common_days,
        retrain.min_common_days,
        champion.common_days >= retrain.min_common_days,
        f"at least {retrain.min_common_days:g} days that neither model has seen",
    )
    better = _above("sharpe_difference", difference, 0.0)
    if champion.standing == "provisional":
        return (days, better)
    return (days, better, _bound(champion, retrain))


def _bound(champion: Comparison, retrain: RetrainSettings) -> Criterion:
    threshold, confidence = retrain.outperformance_lower_bound, retrain.confidence(past_age=champion.past_age)
    bound = None if champion.sharpe is None else champion.sharpe.lower_bound
    found = _above("sharpe_difference_lower_bound", bound, threshold)
    wording = f"{found.wording} with {confidence:.0%} confidence"
    if champion.past_age:
        wording += (
            f" (less than the usual {retrain.confidence(past_age=False):.0%}, as the champion is past its age limit: "
            f"of candidates with a true difference of {threshold:g}, {1 - confidence:.0%} pass)"
        )
    return replace(found, wording=wording)


def _above(name: str, value: float | None, threshold: float) -> Criterion:
    return Criterion(name, value, threshold, value is not None and value > threshold, f"above {threshold:g}")


def _number(value: float | None) -> str:
    return "(not measured)" if value is None else f"{value:.4g}"
