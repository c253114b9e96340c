"""The model."""

from __future__ import annotations

from nightdesk_alerts.catalogue.model import MODEL_MISSING, MODEL_NOT_LOADED, MODEL_STALE, MODEL_UNDERPERFORMING
from nightdesk_core.clock import WallTime
from nightdesk_exporter.health.issues import Issue
from nightdesk_exporter.snapshot import ReportedModel, Snapshot

from tests.exporter.conftest import NOW
from tests.exporter.health_cases.case import DAY, DEGRADED, UNHEALTHY_VERDICT, AlertStory, Case, critical, says, warning
from tests.exporter.story import START, Bot, Minute, after


def says_model(snapshot: Snapshot) -> None:
    at = snapshot.started_at
    snapshot.model, snapshot.model_known = ReportedModel("v1", "champion", at, None, at), True


def model_of_before(bot: Bot, minute: Minute) -> None:
    bot.healthy()
    if minute == 10:
        bot.exporter.model("v0", trained_at=START - 3000.0)


CASES = (
    Case(
        lambda exporter, _: exporter.no_model(),
        Issue(
            "model_missing",
            UNHEALTHY_VERDICT,
            "no valid model is loaded: the bot does not trade",
            None,
            WallTime(NOW),
            critical(MODEL_MISSING),
        ),
        AlertStory(plot=after(lambda exporter: exporter.no_model()), waits=1, known_by=says_model),
    ),
    Case(
        lambda exporter, _: exporter.model_load_failed("v2 is damaged"),
        Issue(
            "model_not_loaded",
            DEGRADED,
            "a model could not be loaded: v2 is damaged",
            None,
            WallTime(NOW),
            critical(MODEL_NOT_LOADED),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.model_load_failed("x"), until=21),
            waits=1,
            looks_back=30,
            known_by=says_model,
        ),
    ),
    Case(
        lambda exporter, _: exporter.model("v0", trained_at=NOW - 91 * DAY),
        Issue(
            "model_stale",
            DEGRADED,
            "the model is 91 days old, the limit is 90",
            90 * DAY,
            WallTime(NOW - DAY),
            warning(MODEL_STALE),
        ),
        AlertStory(plot=model_of_before, minutes=75, known_by=says_model),
    ),
    Case(
        lambda exporter, _: exporter.delivered(trades=40, evalue=21.0, breached=True),
        Issue(
            "model_underperforming",
            DEGRADED,
            "the model does worse than its backtest promised",
            None,
            WallTime(NOW),
            warning(MODEL_UNDERPERFORMING),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.delivered(trades=9, evalue=30.0, breached=True)),
            known_by=says("expectation_breached", False),
        ),
    ),
)
