"""What other alerts rest on."""

from __future__ import annotations

from nightdesk_alerts.catalogue.plumbing import (
    ALERTS_DROPPED,
    COLLECTOR_FAILING,
    DISK_UNWRITABLE,
    SNAPSHOT_STALE,
    STAMP_IN_FUTURE,
    STATUS_FILE_STALE,
)
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Issue

from tests.exporter.conftest import NOW, Clock, late
from tests.exporter.health_cases.case import (
    DEGRADED,
    UNHEALTHY_VERDICT,
    AlertStory,
    Case,
    critical,
    happens,
    says,
    warning,
)
from tests.exporter.story import Bot, Minute, after, without


def status_not_written(exporter: BotExporter, clock: Clock) -> None:
    exporter.snapshot.status_limit_seconds = 600.0
    late(601, "loop", "contact")(exporter, clock)


def trade_ahead(exporter: BotExporter, clock: Clock) -> None:
    exporter.snapshot.last_trade_at = WallTime(clock.now + 3600)


def trades_ahead(bot: Bot, minute: Minute) -> None:
    bot.healthy(without=("trade",) if minute >= 10 else ())
    if minute == 10:
        bot.exporter.snapshot.last_trade_at = WallTime(bot.now + 600)


def disk_full(exporter: BotExporter, _: Clock) -> None:
    exporter.unwritable("journal", "database or disk is full")
    exporter.unwritable("decisions", "No space left on device")
    exporter.unwritable("status file")


def called_wrongly(exporter: BotExporter, _: Clock) -> None:
    exporter.guard("odd")


def heartbeat_unsent(exporter: BotExporter, _: Clock) -> None:
    exporter._heartbeat_failed("HTTP 404")


CASES = (
    Case(
        late(7261, "loop", "contact", "candle", "decision"),
        Issue(
            "snapshot_stale",
            DEGRADED,
            "no equity was reported for 7261 s, the limit is 7260 s",
            7260,
            WallTime(NOW + 7260),
            warning(SNAPSHOT_STALE),
        ),
        AlertStory(plot=without("equity", from_minute=10), known_by=happens("equity_at_wall")),
    ),
    Case(
        status_not_written,
        Issue(
            "status_file_stale",
            DEGRADED,
            "the status file was not written for 601 s, the limit is 600 s",
            600,
            WallTime(NOW + 600),
            warning(STATUS_FILE_STALE),
        ),
        AlertStory(plot=without("status", from_minute=10), waits=1, known_by=happens("status_written_at")),
    ),
    Case(
        disk_full,
        Issue(
            "disk_unwritable",
            UNHEALTHY_VERDICT,
            "the disk does not take what the bot must keep, and nothing is entered until it does: journal (database or"
            " disk is full), decisions (No space left on device)",
            None,
            WallTime(NOW),
            critical(DISK_UNWRITABLE),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.unwritable("journal", "disk I/O error")),
            known_by=says("unwritable", {"journal": None}),
        ),
    ),
    Case(
        lambda exporter, _: exporter._collector_failed("Mine", OSError("gone")),
        Issue(
            "collector_failing",
            DEGRADED,
            "the metrics of Mine cannot be collected: OSError: gone",
            None,
            WallTime(NOW),
            warning(COLLECTOR_FAILING),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter._collector_failed("trading", OSError("gone")), until=21),
            waits=1,
            looks_back=10,
            known_by=None,
        ),
    ),
    Case(
        lambda exporter, _: exporter._alert_counted("alerts_dropped", "expired"),
        Issue(
            "alerts_dropped",
            DEGRADED,
            "an alert of the bot's own reached nobody: expired",
            None,
            WallTime(NOW),
            warning(ALERTS_DROPPED),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter._alert_counted("alerts_dropped", "expired"), until=21),
            waits=1,
            looks_back=10,
            known_by=None,
        ),
    ),
    Case(
        trade_ahead,
        Issue(
            "stamp_in_future",
            DEGRADED,
            "the last trade is 2019-10-17T10:00:00Z, 3600 s ahead of the clock",
            60,
            WallTime(NOW),
            warning(STAMP_IN_FUTURE),
        ),
        AlertStory(plot=trades_ahead, minutes=25, known_by=None),
    ),
    Case(
        called_wrongly,
        Issue(
            "instrumentation_errors",
            DEGRADED,
            "the exporter was called wrongly: guard: state: state is 'odd'; pass one of unknown, normal, reduced,"
            " paused",
            None,
            WallTime(NOW),
        ),
        None,
    ),
    Case(
        heartbeat_unsent,
        Issue(
            "heartbeat_unsent",
            DEGRADED,
            "the heartbeat did not arrive outside: HTTP 404",
            None,
            WallTime(NOW),
        ),
        None,
    ),
)
