"""Puts the rooms' parts together from the settings: the one place where they all meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger
from nightdesk_alerts import AlertSender
from nightdesk_alerts.catalogue.retrain import MODEL_ROLLED_BACK
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import TimeScale, system_clock
from nightdesk_core.journal import DamagedJournalError, Journal, JournalError, journal_path, set_aside
from nightdesk_core.pipeline import Progress
from nightdesk_core.redaction import Redaction
from nightdesk_core.registry import Champion, ModelRegistry
from nightdesk_core.requests import MERGE_SECONDS, RetrainRequests
from nightdesk_exporter import BotExporter, Limits, StatusFile
from nightdesk_exporter.settings import LimitSettings
from nightdesk_guard import KillLimits, KillSwitch, PerformanceGuard, ResumeFile
from nightdesk_guard.limits import GuardLimits, documented

from nightdesk.channels import channels
from nightdesk.logbook import secrets
from nightdesk.settings import Settings

if TYPE_CHECKING:
    from nightdesk_core.pipeline import Backtest
    from nightdesk_guard.profile import GuardProfile
    from nightdesk_retrain.parts import JobParts
    from nightdesk_retrain.schedule import Schedule
    from nightdesk_trendbot.live.bot import LiveBot
    from nightdesk_trendbot.live.probation import Probation

_DAY_SECONDS = 86_400

_JOB_CLOSE_SECONDS = 15.0
"""Half for an Alertmanager that hangs, half for the direct channels: either lets go after 5 s. Nobody waits for the
job, and what it leaves in its spool would wait for the next one."""


def state_dir(settings: Settings) -> Path:
    """Return where journal, kill switch, audit log and the job's memory lie."""
    return settings.path(settings.bot.state_dir)


def registry(settings: Settings) -> ModelRegistry:
    """Return the model registry."""
    return ModelRegistry(settings.path(settings.bot.models_dir))


def audit_log(settings: Settings) -> AuditLog:
    """Return the audit log."""
    return AuditLog(state_dir(settings) / "audit.jsonl")


def retrain_requests(settings: Settings) -> RetrainRequests:
    """Return what asks for a retrain."""
    return RetrainRequests(state_dir(settings), audit_log(settings), merge_seconds=settings.scale.limit(MERGE_SECONDS))


def schedule(settings: Settings) -> Schedule:
    """Return what looks whether a retrain is due."""
    from nightdesk_retrain.schedule import Schedule

    operations, scale = settings.operations, settings.scale
    return Schedule(
        state_dir=state_dir(settings),
        requests=retrain_requests(settings),
        registry=registry(settings),
        bot=settings.bot.name,
        gateway=settings.address("pushgateway"),
        textfile_dir=settings.path(settings.retrain.textfile_dir),
        interval_seconds=scale.limit(operations.model_rotation.retrain_frequency_days * _DAY_SECONDS),
        model_age_seconds=scale.limit(operations.limits.model_age_days * _DAY_SECONDS),
    )


def status_file(settings: Settings) -> StatusFile:
    """Return the status file."""
    return StatusFile(settings.path(settings.operations.status_file_path))


def kill_switch(settings: Settings) -> KillSwitch:
    """Return the bot's kill switch."""
    return KillSwitch(state_dir(settings))


def limits(limits: LimitSettings, scale: TimeScale, *, interval_seconds: float) -> Limits:
    """Return the limits as they hold at the market's speed; `interval_seconds` lie between two candles of it."""
    return Limits(
        heartbeat_seconds=scale.limit(limits.heartbeat_seconds),
        exchange_contact_seconds=scale.limit(limits.exchange_contact_seconds),
        model_age_seconds=scale.limit(limits.model_age_days * _DAY_SECONDS),
        no_trade_seconds=scale.limit(limits.no_trade_days * _DAY_SECONDS),
        drawdown_warning_ratio=limits.drawdown_warning_ratio,
        drawdown_critical_ratio=limits.drawdown_critical_ratio,
        daily_loss_ratio=limits.daily_loss_ratio,
        leverage_ratio=limits.leverage_ratio,
        candle_grace_seconds=scale.limit(60),
        trouble_seconds=scale.limit(600),
        first_model_seconds=scale.limit(120),
        first_report_seconds=scale.limit(600),
        first_candle_seconds=scale.limit(2 * interval_seconds + 60),
    )


def kill_limits(settings: Settings) -> KillLimits:
    """Return where the kill switch trips by itself; daily loss and leverage are the limits that also alert."""
    written = KillLimits.of(settings.guard.kill_switch)
    return replace(
        written,
        daily_loss=settings.operations.limits.daily_loss_ratio,
        leverage=settings.operations.limits.leverage_ratio,
        stale_seconds=settings.scale.limit(written.stale_seconds),
    )


def open_journal(settings: Settings) -> Journal:
    """Return the bot's journal. One that is damaged is set aside, and the kill switch keeps the bot out of the market.

    Raises `JournalError` where it cannot be used for another reason.
    """
    from nightdesk_trendbot.live.decision_log import DecisionLog, log_path
    from nightdesk_trendbot.live.stored_market import restored

    path = journal_path(state_dir(settings), settings.bot.name)
    log = DecisionLog(log_path(state_dir(settings), settings.bot.name))
    try:
        journal = Journal(path)
        try:
            if restored(journal, settings.trendbot) is None and not log.is_empty:
                raise DamagedJournalError(path, "is empty, though its bot has decided on candles")
        except JournalError:
            journal.close()
            raise
    except DamagedJournalError as error:
        # The switch first: killed between the two, the bot must not come back with an empty journal and trade.
        reason = f"the journal was damaged ({error.reason}): what the bot held and earned is not known to it"
        kill_switch(settings).activate(reason, actor="bot")
        aside = set_aside(path, now=system_clock())
        if not log.is_empty:
            log.path.rename(log.path.with_name(log.path.name + aside.name.removeprefix(path.name)))
        logger.critical(
            "{}; it is set aside as {}. The bot stays out of the market until `nightdesk resume --reason ...`",
            error,
            aside,
        )
        return Journal(path)
    return journal


def probation(settings: Settings) -> Probation:
    """Return what judges a champion on probation."""
    from nightdesk_trendbot.live.probation import Probation

    rotation, rules = settings.operations.model_rotation, settings.guard.probation
    return Probation(
        registry(settings),
        oldest_seconds=settings.scale.limit(rotation.max_model_age_days * _DAY_SECONDS),
        between_rollbacks_seconds=settings.scale.limit(rules.days_between_rollbacks * _DAY_SECONDS),
    )


def tell_of_rollback(exporter: BotExporter, champion: Champion) -> None:
    """Tell people at once that a champion was taken back; the rule of the same name follows."""
    taken = champion.rollback
    if taken is not None:
        (rule,) = MODEL_ROLLED_BACK.rules
        exporter.send_alert(
            rule.name,
            severity=rule.severity,
            summary=rule.summary,
            description=f"{taken.version}: {taken.reason}. {champion.version} is the champion again.",
            lasting=False,
        )


def report_audit(log: AuditLog, exporter: BotExporter) -> None:
    """Anchor the audit log in the bot's metrics: a tail that is cut off later shows against them."""
    head = log.head()
    exporter.audit(entries=head.length, head=head.digest)


@contextmanager
def live_bot(settings: Settings) -> Iterator[LiveBot]:
    """Yield the bot with its exporter serving and its journal open."""
    # The numbers are loaded here, not above: most commands need none of them.
    from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
    from nightdesk_trendbot.live.bot import LiveBot, LiveParts
    from nightdesk_trendbot.live.decision_log import DecisionLog, log_path
    from nightdesk_trendbot.live.outbox import Outbox
    from nightdesk_trendbot.market.exchange import REQUEST_FAILURES
    from nightdesk_trendbot.model.champion import ChampionWatch
    from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS
    from nightdesk_trendbot.signals.signal import Outcome

    bot, scale = settings.trendbot, settings.scale
    interval = TIMEFRAME_SECONDS[bot.timeframe]
    in_force = limits(settings.operations.limits, scale, interval_seconds=interval)
    journal = open_journal(settings)
    exporter = BotExporter(
        settings.bot.name,
        symbols=[(symbol, bot.timeframe) for symbol in bot.symbols],
        outcomes=[outcome.value for outcome in Outcome],
        host=settings.listen_host,
        port=settings.port("bot"),
        web_config_file=settings.bot.web_config_file,
        limits=in_force,
        status_file=status_file(settings),
        health_check_interval_seconds=scale.limit(settings.operations.health_check_interval_seconds),
        currency=bot.currency,
        failures=REQUEST_FAILURES,
        alerting=channels(settings).alerting,
        alert_spool=state_dir(settings) / "alerts.json",
        before_check=partial(report_audit, audit_log(settings)),
        secrets=secrets(settings),
    )
    try:
        with exporter:
            yield LiveBot(
                LiveParts(
                    settings=bot,
                    journal=journal,
                    decisions=DecisionLog(log_path(state_dir(settings), settings.bot.name)),
                    watch=ChampionWatch(registry(settings), bot),
                    kill_switch=kill_switch(settings),
                    kill_limits=kill_limits(settings),
                    resumes=ResumeFile(state_dir(settings)),
                    probation=probation(settings),
                    outbox=Outbox(
                        journal,
                        audit_log(settings),
                        retrain_requests(settings),
                        registry(settings),
                        rolled_back=partial(tell_of_rollback, exporter),
                    ),
                    guard=PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(bot))),
                    exporter=exporter,
                    scale=scale,
                    contact_limit_seconds=in_force.exchange_contact_seconds,
                )
            )
    finally:
        journal.close()


def adopt(live: LiveBot, settings: Settings) -> None:
    """Have a running bot take over settings that differ only in what is safe to change."""
    from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
    from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS

    guard = PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot)))
    interval = TIMEFRAME_SECONDS[settings.trendbot.timeframe]
    in_force = limits(settings.operations.limits, settings.scale, interval_seconds=interval)
    live.adopt(settings.trendbot, guard, in_force, kill_limits(settings))


def documented_limits(settings: Settings) -> GuardLimits:
    """Return the guard's limits as the settings write them down."""
    from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate

    return documented(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot)))


def guard_profile(settings: Settings, holdout: Backtest, progress: Progress) -> GuardProfile:
    """Return what a hold-out says of its model, for the guard."""
    from nightdesk_guard.calibration import calibrate

    return calibrate(holdout, settings.guard, documented=documented_limits(settings), progress=progress)


@contextmanager
def job_parts(settings: Settings, progress: Progress) -> Iterator[JobParts]:
    """Yield what a retrain is made of; at the end its alerts have a moment to go out."""
    from nightdesk_guard.profile import FILE_NAME
    from nightdesk_retrain.parts import JobParts
    from nightdesk_retrain.strategy import load_pipeline

    document = settings.model_dump(mode="json")
    alerting = channels(settings).alerting
    with AlertSender(
        settings.bot.name,
        alerting=alerting,
        spool=state_dir(settings) / "alerts-retrain.json",
        close_seconds=_JOB_CLOSE_SECONDS,
    ) as alerts:
        yield JobParts(
            bot=settings.bot.name,
            rotation=settings.operations.model_rotation,
            retrain=settings.retrain,
            pipeline=load_pipeline(settings.retrain.pipeline, document),
            document=document,
            registry=registry(settings),
            requests=retrain_requests(settings),
            audit=audit_log(settings),
            status_file=status_file(settings),
            state_dir=state_dir(settings),
            gateway=settings.address("pushgateway"),
            textfile_dir=settings.path(settings.retrain.textfile_dir),
            alerts=alerts,
            scale=settings.scale,
            progress=progress,
            redact=Redaction(secrets(settings)).text,
            settings_record={
                "trendbot": document["trendbot"],
                "model_rotation": document["operations"]["model_rotation"],
                "retrain": document["retrain"],
            },
            annotate=lambda holdout: {FILE_NAME: guard_profile(settings, holdout, progress).to_json()},
        )
