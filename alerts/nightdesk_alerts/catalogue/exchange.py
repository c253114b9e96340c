"""What lies between bot and exchange: contact, requests, the stream, the clocks."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    Due,
    SilentCondition,
    Subject,
    Symptom,
    inhibited_by,
)
from nightdesk_alerts.catalogue.late import last_of, late
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_alerts.catalogue.view import BotView, LimitsView, Situation


def exchange_contact_limit_seconds(bot: BotView, limits: LimitsView) -> float:
    """Return how long the exchange may be silent.

    Longer where nobody asks it: until the end of a wait that was announced, and between the candles of a bot that has
    no stream. A stream that is broken, or a request that has failed since, brings the bot's own limit back.
    """
    limit, contacts = limits.exchange_contact_seconds, dict(bot.contact_at)
    last = max(contacts.values(), default=bot.started_at)
    if bot.connected is False or (bot.request_failed_at is not None and bot.request_failed_at > last):
        return limit
    unasked = 0.0 if bot.waiting_until is None else max(0.0, bot.waiting_until - last) + limit
    intervals = [each.interval_seconds for each in tuple(bot.candles_expected.values())]
    if intervals and contacts.keys() == {"rest"} and bot.connected is None:
        unasked = max(unasked, min(intervals) + limits.candle_grace_seconds)
    return max(limit, unasked)


def _disconnected(seen: Situation) -> Iterator[Symptom | Due]:
    last = last_of(seen.bot.contact_at.values(), otherwise=seen.bot.started_at, now=seen.now)
    limit = exchange_contact_limit_seconds(seen.bot, seen.limits)
    return late(seen, "critical", "no contact with the exchange", last=last, limit=limit)


# A loop that stands still asks the exchange for nothing.
EXCHANGE_DISCONNECTED = AlertDeclaration(
    name="TradebotExchangeDisconnected",
    summaries={"critical": "The bot has lost the exchange."},
    when="The last success on any channel, or the bot's start, is longer ago than the bot's own limit: 5m; until 5m"
    " after the end of a wait that was announced; an interval of the candles and a minute where nothing but requests"
    " fetches them, and none has failed since.",
    condition=AlertCondition(
        issue="exchange_disconnected",
        find=_disconnected,
        is_known=lambda seen: bool(seen.bot.contact_at),
        unhealthy=("critical",),
    ),
    muted_by=inhibited_by(LOOP_STALLED),
)


def _stream_broken(seen: Situation) -> Iterator[Symptom | Due]:
    broken_at, limit = seen.bot.connection_changed_at, seen.limits.exchange_contact_seconds
    if seen.bot.connected is False and broken_at is not None:
        yield from late(seen, "none", "the candle stream has been broken", last=broken_at, limit=limit)


WEBSOCKET_DISCONNECTED = SilentCondition(
    issue="websocket_disconnected",
    find=_stream_broken,
    reason="REST confirms every candle; what fails without the stream is TradebotCandleStale's",
)


def _clock_skewed(seen: Situation) -> Iterator[Symptom]:
    offset, most = seen.bot.clock_offset, seen.limits.clock_offset_seconds
    if offset is not None and abs(offset) > most:
        yield Symptom("warning", f"the exchange's clock is {offset:+.1f} s from ours, the limit is {most:g} s", most)


CLOCK_SKEWED = AlertDeclaration(
    name="TradebotClockSkewed",
    summaries={"warning": "The clocks of bot and exchange differ."},
    when="For 5m the clocks have differed by more than two seconds. A bot that does not measure it is silent.",
    condition=AlertCondition(
        issue="clock_skewed", find=_clock_skewed, is_known=lambda seen: seen.bot.clock_offset is not None
    ),
)

# Requests fail and streams break until the exchange is lost.
EXCHANGE_ERROR_RATIO_HIGH = AlertDeclaration(
    name="TradebotExchangeErrorRatioHigh",
    summaries={"warning": "Too many requests to the exchange fail."},
    when="More than 5% of the requests of 30m failed, of at least 20.",
    muted_by=inhibited_by(EXCHANGE_DISCONNECTED),
)

WEBSOCKET_FLAPPING = AlertDeclaration(
    name="TradebotWebsocketFlapping",
    summaries={"warning": "The candle stream breaks again and again."},
    when="The stream was connected anew more than five times within 30m.",
    muted_by=inhibited_by(EXCHANGE_DISCONNECTED),
)

EXCHANGE = Subject(
    "The exchange",
    "exchange",
    (EXCHANGE_DISCONNECTED, WEBSOCKET_DISCONNECTED, CLOCK_SKEWED, EXCHANGE_ERROR_RATIO_HIGH, WEBSOCKET_FLAPPING),
)
