"""What other alerts rest on: reports, the status file, the disk, the exporter's own parts. None of it ends the bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nightdesk_core.age import TOLERANCE_SECONDS, age_seconds, is_ahead, newest
from nightdesk_core.clock import iso

from nightdesk_alerts.catalogue.candles import CANDLE_STALE
from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    Due,
    Route,
    SilentCondition,
    Subject,
    Symptom,
    inhibited_by,
)
from nightdesk_alerts.catalogue.exchange import EXCHANGE_DISCONNECTED
from nightdesk_alerts.catalogue.late import due, last_of, late
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_alerts.catalogue.view import EPOCH, BotView, LimitsView, Situation


def snapshot_limit_seconds(bot: BotView, limits: LimitsView) -> float | None:
    """Return how old a reported equity may get; `None` while no candle is expected."""
    intervals = [expected.interval_seconds for expected in tuple(bot.candles_expected.values())]
    if bot.trading_expected is False or not intervals:
        return None
    return 2 * max(intervals) + limits.candle_grace_seconds


def _snapshot_stale(seen: Situation) -> Iterator[Symptom | Due]:
    bot, limit = seen.bot, snapshot_limit_seconds(seen.bot, seen.limits)
    if limit is not None:
        # What lies before the market opened again is not held against the bot.
        reported = last_of([bot.equity_at], otherwise=bot.started_at, now=seen.now)
        last = newest([reported, bot.trading_expected_since or EPOCH], now=seen.now)
        yield from late(seen, "warning", "no equity was reported", last=last, limit=limit)


# Equity and positions are reported with each candle.
SNAPSHOT_STALE = AlertDeclaration(
    name="TradebotSnapshotStale",
    summaries={"warning": "The bot no longer reports equity and positions."},
    when="Neither was reported for longer than the bot's own limit: two intervals of its candles and a minute. Silent"
    " while no trading is expected.",
    condition=AlertCondition(
        issue="snapshot_stale", find=_snapshot_stale, is_known=lambda seen: seen.bot.equity_at is not None
    ),
    muted_by=inhibited_by(LOOP_STALLED, EXCHANGE_DISCONNECTED, CANDLE_STALE),
)


def _status_file_stale(seen: Situation) -> Iterator[Symptom | Due]:
    limit, started = seen.bot.status_limit_seconds, seen.bot.started_at
    if limit is not None:
        last = newest([seen.bot.status_written_at or started, started], now=seen.now)
        yield from late(seen, "warning", "the status file was not written", last=last, limit=limit)


STATUS_FILE_STALE = AlertDeclaration(
    name="TradebotStatusFileStale",
    summaries={"warning": "The status file is out of date."},
    when="For 1m it has been older than the bot's own limit (two health checks), or writes have failed and none has"
    " succeeded within 15m.",
    condition=AlertCondition(
        issue="status_file_stale",
        find=_status_file_stale,
        is_known=lambda seen: seen.bot.status_written_at is not None,
    ),
)


def _unwritable(seen: Situation) -> Iterator[Symptom]:
    failing = {what: why for what, why in dict(seen.bot.unwritable).items() if why is not None}
    if failing:
        said = ", ".join(f"{what} ({why.text})" for what, why in failing.items())
        cause = f"the disk does not take what the bot must keep, and nothing is entered until it does: {said}"
        yield Symptom("critical", cause, since=min(why.at for why in failing.values()))


# The bot sends it itself, too: where the disk is full, what scrapes may well lie on the same.
DISK_UNWRITABLE = AlertDeclaration(
    name="TradebotDiskUnwritable",
    summaries={"critical": "The bot cannot write what it must keep."},
    when="Journal, decisions, audit log, kill switch, status file or spool cannot be written: the disk is full,"
    " read-only or failing, or another process holds the file.",
    condition=AlertCondition(
        issue="disk_unwritable",
        find=_unwritable,
        is_known=lambda seen: bool(seen.bot.unwritable),
        unhealthy=("critical",),
    ),
    route=Route.INSTANT,
)


def _trouble(issue: str) -> Callable[[Situation], Iterator[Symptom | Due]]:
    """Return the condition that something of the exporter's own failed not long ago."""

    def find(seen: Situation) -> Iterator[Symptom | Due]:
        failure = seen.bot.troubles.get(issue)
        # Not by its age: one in the future, where the clock was set back, has failed all the same.
        if failure is not None and seen.now - failure.at < seen.limits.trouble_seconds:
            yield Symptom("warning", failure.text, since=failure.at)
            yield from due(seen, failure.at + seen.limits.trouble_seconds)

    return find


def _would_have_failed(seen: Situation) -> bool:
    """That nothing of the exporter's own has failed shows once a failure would no longer count."""
    return age_seconds(seen.bot.started_at, now=seen.now) >= seen.limits.trouble_seconds


COLLECTOR_FAILING = AlertDeclaration(
    name="TradebotCollectorFailing",
    summaries={"warning": "A part of the bot's metrics cannot be collected."},
    when="A collector failed within the last 10m.",
    condition=AlertCondition(
        issue="collector_failing", find=_trouble("collector_failing"), is_known=_would_have_failed
    ),
)

ALERTS_DROPPED = AlertDeclaration(
    name="TradebotAlertsDropped",
    summaries={"warning": "The bot has dropped alerts of its own."},
    when="The bot dropped one within the last 10m.",
    condition=AlertCondition(issue="alerts_dropped", find=_trouble("alerts_dropped"), is_known=_would_have_failed),
)


def _called_wrongly(seen: Situation) -> Iterator[Symptom | Due]:
    calls = dict(seen.bot.wrong_calls)
    wrong = {cause: call for cause, call in calls.items() if seen.now - call.at < seen.limits.trouble_seconds}
    if wrong:
        said = "; ".join(f"{cause}: {call.text}" for cause, call in wrong.items())
        yield Symptom("none", f"the exporter was called wrongly: {said}")
        yield from due(seen, min(call.at for call in wrong.values()) + seen.limits.trouble_seconds)


def _stamp_in_future(seen: Situation) -> Iterator[Symptom | Due]:
    ahead = {what: at for what, at in seen.bot.stamps().items() if is_ahead(at, now=seen.now)}
    if ahead:
        what, farthest = max(ahead.items(), key=lambda stamp: stamp[1].seconds)
        more = f", and {len(ahead) - 1} more" if len(ahead) > 1 else ""
        cause = f"{what} is {iso(farthest)}, {farthest - seen.now:.0f} s ahead of the clock{more}"
        yield Symptom("warning", cause, TOLERANCE_SECONDS)
        yield from due(seen, min(ahead.values()) - TOLERANCE_SECONDS)


# What lies in the future has no age: the other conditions take it for old, and cannot say when it will be.
STAMP_IN_FUTURE = AlertDeclaration(
    name="TradebotStampInFuture",
    summaries={"warning": "A time of the bot or of its retraining lies in the future."},
    when="Any time of the wall's clock that bot or job export is more than a minute ahead: a clock is or was wrong, or"
    " was set back.",
    condition=AlertCondition(issue="stamp_in_future", find=_stamp_in_future, is_known=_would_have_failed),
)

INSTRUMENTATION_ERRORS = SilentCondition(
    issue="instrumentation_errors",
    find=_called_wrongly,
    reason="a mistake in the bot's code, which shows at the first try, and is logged",
)

HEARTBEAT_UNSENT = SilentCondition(
    issue="heartbeat_unsent",
    find=_trouble("heartbeat_unsent"),
    reason="whoever waits for the heartbeat outside tells people that it stays away",
)

ALERTS_SILENCED = AlertDeclaration(
    name="TradebotAlertsSilenced",
    summaries={"warning": "Critical alerts of the bot are silenced for long, or all of them are."},
    when="A critical alert is silenced for longer than a day, silences that follow each other taken together, or every"
    " critical alert of the bot is. Where a silence mutes this very alert, the page server sends it straight to the"
    " channels.",
)

PLUMBING = Subject(
    "What other alerts rest on",
    "plumbing",
    (
        SNAPSHOT_STALE,
        STATUS_FILE_STALE,
        DISK_UNWRITABLE,
        COLLECTOR_FAILING,
        ALERTS_DROPPED,
        STAMP_IN_FUTURE,
        ALERTS_SILENCED,
        INSTRUMENTATION_ERRORS,
        HEARTBEAT_UNSENT,
    ),
)
