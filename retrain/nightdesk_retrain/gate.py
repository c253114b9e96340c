"""The promotion gate: a pure function of measured performance and the settings. It touches no file and no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nightdesk_core.registry import Standing

from nightdesk_retrain.metrics import Performance, SharpeDifference
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings


class Verdict(StrEnum):
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


@dataclass(frozen=True)
class Ruling:
    """The verdict and every criterion that led to it."""

    verdict: Verdict
    criteria: tuple[Criterion, ...]
    reason: str


def judge(
    candidate: Performance,
    champion: Comparison | None,
    *,
    rotation: ModelRotationSettings,
    retrain: RetrainSettings,
) -> Ruling:
    """Return whether the candidate may replace the champion (`None`: there is none yet)."""
    absolute = _absolute(candidate, rotation)
    failed = [criterion for criterion in absolute if not criterion.passed]
    relative: tuple[Criterion, ...] = ()
    if champion is not None and rotation.require_outperformance:
        relative = _relative(champion, retrain)
        failed += [criterion for criterion in relative if not criterion.passed]
    criteria = (*absolute, *relative)
    if not failed:
        return Ruling(Verdict.PROMOTED, criteria, "every criterion is met")
    reason = "; ".join(
        f"{criterion.name} {_number(criterion.value)} is not {criterion.wording}" for criterion in failed
    )
    if any(criterion.name == "common_days" for criterion in failed):
        return Ruling(Verdict.INSUFFICIENT_EVIDENCE, criteria, reason)
    return Ruling(Verdict.KEPT, criteria, reason)


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


def _relative(champion: Comparison, retrain: RetrainSettings) -> tuple[Criterion, ...]:
    """A provisional champion was never judged, so being better on the point estimate is enough against it."""
    difference = None if champion.sharpe is None else champion.sharpe.difference
    bound = None if champion.sharpe is None else champion.sharpe.lower_bound
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
    return (days, better, _above("sharpe_difference_lower_bound", bound, retrain.outperformance_lower_bound))


def _above(name: str, value: float | None, threshold: float) -> Criterion:
    return Criterion(name, value, threshold, value is not None and value > threshold, f"above {threshold:g}")


def _number(value: float | None) -> str:
    return "(not measured)" if value is None else f"{value:.4g}"
