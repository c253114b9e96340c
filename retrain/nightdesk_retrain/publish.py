"""The job's metrics, pushed by POST: what a run does not say stays as it was, so a failed run wipes no success."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import write_atomic
from nightdesk_exporter.metrics.families import Labels, family, info, state_set
from prometheus_client import CollectorRegistry, delete_from_gateway, generate_latest, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nightdesk_retrain.state import JobState

if TYPE_CHECKING:  # the schedule pushes every tick, and must not load numbers for it
    from nightdesk_retrain.judgement.metrics import Performance
    from nightdesk_retrain.outcome import RetrainOutcome

JOB = "tradebot_retrain"
_TIMEOUT_SECONDS = 5.0

Login = tuple[str, str]
"""A user of the Pushgateway, and the password."""


@dataclass(frozen=True)
class JobReport:
    """What is pushed: the job's state, and the outcome where this run has one."""

    state: JobState
    interval_seconds: float
    trigger: str | None = None
    outcome: RetrainOutcome | None = None
    failed: bool = False
    champion: str | None = None
    promoted_at: WallTime | None = None
    rolled_back_at: WallTime | None = None


def publish(report: JobReport, *, gateway: str, bot: str, textfile_dir: Path, login: Login | None = None) -> None:
    """Push `report` to the gateway (its host:port, empty for none); where it does not take it, write it to a file.

    The file, `nightdesk_retrain_<bot>.prom`, is one for the textfile collector of Prometheus' node exporter. It goes
    once the gateway takes the metrics again. Nothing of this fails the retrain.
    """
    path = textfile_dir / f"nightdesk_retrain_{bot}.prom"
    try:
        if gateway and push(report, gateway=gateway, bot=bot, login=login):
            path.unlink(missing_ok=True)
        else:
            # Read by a node exporter, which is another user.
            write_atomic(path, _as_text(report, bot), readers="all")
    except OSError as error:
        logger.error("the metrics could not be written to {}: {}", path, error)


def _as_text(report: JobReport, bot: str) -> bytes:
    registry = CollectorRegistry()
    registry.register(_ReportCollector(report, {"bot": bot}))
    return generate_latest(registry)


def retire(*, gateway: str, bot: str, login: Login | None = None) -> None:
    """Have the gateway forget a bot that is no more. Raises `OSError` where it does not answer, or refuses."""
    delete_from_gateway(
        gateway, job=JOB, grouping_key={"bot": bot}, timeout=_TIMEOUT_SECONDS, handler=_handler_for(login)
    )


def push(report: JobReport, *, gateway: str, bot: str, login: Login | None = None) -> bool:
    """Push `report` under the grouping key `bot` and return whether the gateway took it. A failure is only logged."""
    registry = CollectorRegistry()
    registry.register(_ReportCollector(report))
    try:
        pushadd_to_gateway(
            gateway,
            job=JOB,
            registry=registry,
            grouping_key={"bot": bot},
            timeout=_TIMEOUT_SECONDS,
            handler=_handler_for(login),
        )
    except (OSError, HTTPException) as error:
        logger.error("the Pushgateway at {} did not take the metrics: {}", gateway, error)
        return False
    return True


def _handler_for(login: Login | None) -> Callable[..., Callable[[], None]]:
    """Return what sends requests to the gateway, with the password where it asks for one."""
    if login is None:
        return default_handler
    username, password = login
    handler: Any = basic_auth_handler
    return partial(handler, username=username, password=password)


class _ReportCollector(Collector):
    def __init__(self, report: JobReport, labels: Mapping[str, str] | None = None) -> None:
        """`labels` are added to every sample: a gateway adds its grouping key by itself, a file does not."""
        self._report = report
        self._labels = {} if labels is None else labels

    def collect(self) -> Iterator[Metric]:
        for found in self._families():
            found.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in found.samples]
            if found.samples:
                yield found

    def _families(self) -> Iterator[Metric]:
        report, state = self._report, self._report.state
        yield family("retrain_interval_seconds", report.interval_seconds)
        yield family("retrain_last_check_timestamp_seconds", _seconds(state.last_check))
        yield family("retrain_last_start_timestamp_seconds", _seconds(state.last_start))
        yield family("retrain_last_completion_timestamp_seconds", _seconds(state.last_completion))
        yield family("retrain_last_success_timestamp_seconds", _seconds(state.last_success))
        yield family("retrain_consecutive_failures", state.consecutive_failures)
        yield family("promotion_consecutive_rejections", state.consecutive_rejections)
        yield info("promotion_champion", None if report.champion is None else (report.champion,))
        yield family("promotion_last_promoted_timestamp_seconds", _seconds(report.promoted_at))
        yield family("promotion_last_rollback_timestamp_seconds", _seconds(report.rolled_back_at))
        if report.trigger is not None:
            yield state_set("retrain_trigger", report.trigger)
        if report.failed:
            yield state_set("promotion_decision", "error")
        if report.outcome is not None:
            yield from _verdict(report.outcome)


def _verdict(outcome: RetrainOutcome) -> Iterator[Metric]:
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
    yield family("promotion_deflated_sharpe_probability", outcome.deflated.probability)
    yield family("promotion_trials", outcome.deflated.trials)


def _of_models(models: dict[str, Performance | None], attribute: str) -> dict[Labels, float | None]:
    return {(name,): None if model is None else getattr(model, attribute) for name, model in models.items()}


def _seconds(moment: WallTime | None) -> float | None:
    return None if moment is None else moment.seconds
