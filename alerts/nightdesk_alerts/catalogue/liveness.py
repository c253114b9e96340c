"""Whether the bot is there, is watched under its own name, and whether its loop turns."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    Due,
    MutedIn,
    Route,
    Subject,
    Symptom,
)
from nightdesk_alerts.catalogue.late import last_of, late
from nightdesk_alerts.catalogue.view import BotView, LimitsView, Situation

DOWN = AlertDeclaration(
    name="TradebotDown",
    summaries={"critical": "The bot does not answer."},
    when="The bot has not answered Prometheus for 2m, or one that pushes its metrics has not pushed for three.",
    mutes_its_bot=MutedIn.INHIBITION,
    never_muted=True,
    route=Route.FLEET,
)

TARGET_MISSING = AlertDeclaration(
    name="TradebotTargetMissing",
    summaries={"critical": "The bot is not being watched."},
    when="The bot is in the settings, but for 5m Prometheus has had no target of that name to scrape.",
    mutes_its_bot=MutedIn.INHIBITION,
    never_muted=True,
)

CRASH_LOOPING = AlertDeclaration(
    name="TradebotCrashLooping",
    summaries={"critical": "The bot is started again and again."},
    when="The bot was started more than twice within 30m.",
)

NAME_MISMATCH = AlertDeclaration(
    name="TradebotNameMismatch",
    summaries={"warning": "What answers for the bot has another name, or none."},
    when="For 5m the exporter's own name has not been that of its target, or it has not said its name since its start.",
)

LIMIT_MISSING = AlertDeclaration(
    name="TradebotLimitMissing",
    summaries={"warning": "The bot does not export a limit that an alert needs."},
    when="The bot has been up for two minutes and lacks a limit of its own, without which an alert cannot fire.",
)


def heartbeat_limit_seconds(bot: BotView, limits: LimitsView) -> float:
    """Return how long the loop may be silent since it last turned: longer while it waits as it has announced."""
    until, last = bot.waiting_until, bot.heartbeat_at or bot.started_at
    return limits.heartbeat_seconds + (0.0 if until is None else max(0.0, until - last))


def _loop_stalled(seen: Situation) -> Iterator[Symptom | Due]:
    bot, limit = seen.bot, heartbeat_limit_seconds(seen.bot, seen.limits)
    # A stamp in the future, where a clock was set back, is none: the wait began with the bot then.
    last = last_of([bot.heartbeat_at], otherwise=bot.started_at, now=seen.now)
    return late(seen, "critical", "no turn of the loop", last=last, limit=limit)


LOOP_STALLED = AlertDeclaration(
    name="TradebotLoopStalled",
    summaries={"critical": "The bot answers, but its trading loop stands still."},
    when="The loop last turned, or the bot was started, longer ago than the bot's own limit (120 s, and as"
    " long as it has announced to wait).",
    condition=AlertCondition(
        issue="loop_stalled",
        find=_loop_stalled,
        is_known=lambda seen: seen.bot.heartbeat_at is not None,
        unhealthy=("critical",),
    ),
)

LIVENESS = Subject(
    "The bot and its loop",
    "liveness",
    (DOWN, TARGET_MISSING, CRASH_LOOPING, NAME_MISMATCH, LIMIT_MISSING, LOOP_STALLED),
)
