"""The retrain job put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nightdesk_alerts import AlertSender
from nightdesk_core.models.pipeline import Backtest, Progress
from nightdesk_core.secrets.redaction import Redaction
from nightdesk_guard import GuardLimits, GuardProfile, documented_limits
from nightdesk_guard.calibration import calibrate
from nightdesk_guard.profile import FILE_NAME
from nightdesk_retrain import JobParts, load_pipeline
from nightdesk_trendbot.engine import Rules, break_even_win_rate

from nightdesk import home
from nightdesk.channels import channels
from nightdesk.logbook import secrets, without_secrets
from nightdesk.passwords import login
from nightdesk.settings import Settings

_JOB_CLOSE_SECONDS = 15.0
"""Half for an Alertmanager that hangs, half for the direct channels: either lets go after 5 s. Nobody waits for the
job, and what it leaves in its spool would wait for the next one."""


def written_limits(settings: Settings) -> GuardLimits:
    """Return the guard's limits as the settings write them down."""
    return documented_limits(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot)))


def guard_profile(settings: Settings, holdout: Backtest, progress: Progress) -> GuardProfile:
    """Return what a hold-out says of its model, for the guard."""
    return calibrate(holdout, settings.guard, documented=written_limits(settings), progress=progress)


@contextmanager
def job_parts(settings: Settings, progress: Progress) -> Iterator[JobParts]:
    """Yield what a retrain is made of; at the end its alerts have a moment to go out."""
    home.tidy(settings)
    document, shown = settings.model_dump(mode="json"), without_secrets(settings)
    alerting = channels(settings).alerting
    with AlertSender(
        settings.bot.name,
        alerting=alerting,
        spool=home.state_dir(settings) / "alerts-retrain.json",
        close_seconds=_JOB_CLOSE_SECONDS,
    ) as alerts:
        yield JobParts(
            bot=settings.bot.name,
            rotation=settings.operations.model_rotation,
            retrain=settings.retrain,
            pipeline=load_pipeline(settings.retrain.pipeline, document),
            document=document,
            registry=home.registry(settings),
            requests=home.retrain_requests(settings),
            audit=home.audit_log(settings),
            status_file=home.status_file(settings),
            state_dir=home.state_dir(settings),
            gateway=settings.address("pushgateway"),
            gateway_login=login(settings, "pushgateway"),
            textfile_dir=settings.path(settings.retrain.textfile_dir),
            alerts=alerts,
            scale=settings.scale,
            progress=progress,
            redact=Redaction(secrets(settings)).text,
            settings_record={
                "trendbot": shown["trendbot"],
                "model_rotation": shown["operations"]["model_rotation"],
                "retrain": shown["retrain"],
            },
            annotate=lambda holdout: {FILE_NAME: guard_profile(settings, holdout, progress).to_json()},
        )
