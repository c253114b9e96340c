"""The bot's process put together from the settings, at its start and, what may change while it runs, at each reload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from nightdesk_alerts import Heartbeat
from nightdesk_alerts.catalogue import MODEL_ROLLED_BACK
from nightdesk_core.audit import AuditError
from nightdesk_core.models.champion import Champion
from nightdesk_core.settings import read_secret
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import BotExporter
from nightdesk_guard import KillLimits, PerformanceGuard
from nightdesk_trendbot.engine import Rules, break_even_win_rate
from nightdesk_trendbot.live import DecisionLog, LiveBot, LiveParts, Probation, Rotation, Tuning, log_path
from nightdesk_trendbot.market import REQUEST_FAILURES
from nightdesk_trendbot.model import ChampionWatch
from nightdesk_trendbot.signals import TIMEFRAME_SECONDS, Outcome

from nightdesk import home
from nightdesk.bot.certificate_watch import certificate_watch
from nightdesk.bot.journal import open_journal
from nightdesk.channels import channels
from nightdesk.logbook import secrets
from nightdesk.settings import Settings


def tuning(settings: Settings) -> Tuning:
    """Return what the bot goes by of the settings, at the market's speed; a running bot may take it over anew."""
    bot, scale = settings.trendbot, settings.scale
    limits = settings.operations.limits
    interval = TIMEFRAME_SECONDS[bot.timeframe]
    kill_limits = KillLimits.of(settings.guard.kill_switch)
    return Tuning(
        trendbot=bot,
        performance=PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(bot))),
        # Daily loss and leverage are the limits that also alert.
        kill_limits=replace(
            kill_limits,
            daily_loss=limits.daily_loss_ratio,
            leverage=limits.leverage_ratio,
            stale_seconds=scale.limit(kill_limits.stale_seconds),
        ),
        limits=replace(limits.in_force(), first_candle_seconds=2 * interval + 60.0).scaled(scale),
    )


def probation(settings: Settings) -> Probation:
    """Return what judges a champion on probation."""
    rotation, rules = settings.operations.model_rotation, settings.guard.probation
    return Probation(
        home.registry(settings),
        oldest_seconds=settings.scale.limit(rotation.max_model_age_days * DAY_SECONDS),
        between_rollbacks_seconds=settings.scale.limit(rules.days_between_rollbacks * DAY_SECONDS),
    )


@contextmanager
def live_bot(settings: Settings) -> Iterator[LiveBot]:
    """Yield the bot with its exporter serving and its journal open."""
    chosen, folder = tuning(settings), home.state_dir(settings)
    home.tidy(settings)
    journal = open_journal(settings)
    exporter = _exporter(settings, chosen)
    try:
        with exporter, certificate_watch(settings, exporter):
            yield LiveBot(
                LiveParts(
                    tuning=chosen,
                    state_dir=folder,
                    journal=journal,
                    decisions=DecisionLog(
                        log_path(folder, settings.bot.name),
                        keep_bytes=round(settings.retention.decisions_megabytes * 1_000_000),
                    ),
                    watch=ChampionWatch(home.registry(settings), settings.trendbot),
                    requests=home.retrain_requests(settings),
                    audit=home.audit_log(settings),
                    probation=probation(settings),
                    rotation=Rotation(
                        home.registry(settings),
                        home.audit_log(settings),
                        rolled_back=partial(_tell_of_rollback, exporter),
                    ),
                    exporter=exporter,
                    scale=settings.scale,
                    keep_equity_seconds=settings.retention.equity_days * DAY_SECONDS,
                )
            )
    finally:
        journal.close()


def _exporter(settings: Settings, chosen: Tuning) -> BotExporter:
    bot = settings.trendbot
    return BotExporter(
        settings.bot.name,
        symbols=[(symbol, bot.timeframe) for symbol in bot.symbols],
        outcomes=[outcome.value for outcome in Outcome],
        host=settings.listen_host,
        port=settings.port("bot"),
        web_config_file=settings.bot.web_config_file,
        allowed_hosts=settings.bot.allowed_hosts,
        limits=chosen.limits,
        status_file=home.status_file(settings),
        health_check_interval_seconds=settings.scale.limit(settings.operations.health_check_interval_seconds),
        currency=bot.currency,
        failures=REQUEST_FAILURES,
        alerting=channels(settings).alerting,
        alert_spool=home.state_dir(settings) / "alerts.json",
        before_check=partial(_report_audit, settings),
        secrets=secrets(settings),
        exit_when_hung=settings.bot.exit_when_hung and settings.scale.speed == 1.0,
        heartbeat_url=_heartbeat(settings),
    )


def _heartbeat(settings: Settings) -> Heartbeat | None:
    """Return the heartbeat that the settings name. Raises `SettingsError` where its file cannot be read."""
    bot = settings.bot
    url = read_secret(bot.heartbeat_url, bot.heartbeat_url_file, key="bot.heartbeat_url_file")
    return Heartbeat(url, bot.heartbeat_kind, bot.heartbeat_seconds) if url else None


def _tell_of_rollback(exporter: BotExporter, champion: Champion) -> None:
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


def _report_audit(settings: Settings, exporter: BotExporter) -> None:
    """Anchor the audit log in metrics and status file: a tail that is cut off later shows against them."""
    try:
        head = home.audit_log(settings).refuse_loss(home.audit_anchors(settings))
    except AuditError as error:
        exporter.audit_missing(str(error))
    else:
        exporter.audit(entries=head.length, head=head.digest)
