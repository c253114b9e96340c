"""The job's metrics, pushed by POST: what a run does not say stays as it was, so a failed run wipes no success."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING

from loguru import logger
from nightdesk_exporter.families import Labels, family, info, state_set
from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nightdesk_retrain.state import JobState

if TYPE_CHECKING:  # the schedule pushes every tick, and must not load numbers for it
    from nightdesk_retrain.metrics import Performance
    from nightdesk_retrain.outcome import Outcome

JOB = "tradebot_retrain"
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Report:
    """What is pushed: the job's state, and the outcome where this run has one."""

    state: JobState
    interval_seconds: float
    trigger: str | None = None
    outcome: Outcome | None = None
    failed: bool = False
    champion: str | None = None
    promoted_at: float | None = None
    rolled_back_at: float | None = None


def push(report: Report, *, gateway: str, bot: str) -> bool:
    """Push `report` under the grouping key `bot` and return whether the gateway took it. A failure is only logged."""
    registry = CollectorRegistry()
    registry.register(_ReportCollector(report))
    try:
        pushadd_to_gateway(gateway, job=JOB, registry=registry, grouping_key={"bot": bot}, timeout=_TIMEOUT_SECONDS)
    except (OSError, HTTPException) as error:
        logger.error("the Pushgateway at {} did not take the metrics: {}", gateway, error)
        return False
    return True


class _ReportCollector(Collector):
    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        yield from (found for found in self._families() if found.samples)

    def _families(self) -> Iterator[Metric]:
        report, state = self._report, self._report.state
        yield family("retrain_interval_seconds", report.interval_seconds)
        yield family("retrain_last_check_timestamp_seconds", state.last_check)
        yield family("retrain_last_start_timestamp_seconds", state.last_start)
        yield family("retrain_last_completion_timestamp_seconds", state.last_completion)
        yield family("retrain_last_success_timestamp_seconds", state.last_success)
        yield family("retrain_consecutive_failures", state.consecutive_failures)
        yield family("promotion_consecutive_rejections", state.consecutive_rejections)
        yield info("promotion_champion", None if report.champion is None else (report.champion,))
        yield family("promotion_last_promoted_timestamp_seconds", report.promoted_at)
        yield family("promotion_last_rollback_timestamp_seconds", report.rolled_back_at)
        if report.trigger is not None:
            yield state_set("retrain_trigger", report.trigger)
        if report.failed:
            yield state_set("promotion_decision", "error")
        if report.outcome is not None:
            yield from _verdict(report.outcome)


def _verdict(outcome: Outcome) -> Iterator[Metric]:
    yield state_set("promotion_decision", outcome.decision)
    yield family("retrain_training_rows", outcome.fitted.training_rows)
    yield family("retrain_last_duration_seconds", sum(outcome.stage_seconds.values()))
    yield family("retrain_stage_duration_seconds", {(name,): value for name, value in outcome.stage_seconds.items()})
    criteria = outcome.ruling.criteria
    yield family("promotion_criterion_passed", {(item.name,): float(item.passed) for item in criteria})
    models = {"candidate": outcome.candidate, "champion": outcome.champion}
    for name, attribute in (
        ("promotion_sharpe_ratio", "sharpe_ratio"),
        ("promotion_profit_factor", "profit_factor"),
        ("promotion_max_drawdown_ratio", "max_drawdown_ratio"),
        ("promotion_trades", "trades"),
        ("promotion_win_ratio", "win_ratio"),
    ):
        yield family(name, _of_models(models, attribute))
    comparison = outcome.comparison
    sharpe = None if comparison is None else comparison.sharpe
    yield family("promotion_sharpe_difference", None if sharpe is None else sharpe.difference)
    yield family("promotion_outperformance_probability", outcome.outperformance_probability)


def _of_models(models: dict[str, Performance | None], attribute: str) -> dict[Labels, float | None]:
    return {(name,): None if model is None else getattr(model, attribute) for name, model in models.items()}
