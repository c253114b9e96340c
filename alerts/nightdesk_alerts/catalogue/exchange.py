"""What lies between bot and exchange: contact, requests, the stream, the clocks."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_core.age import newest

from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    SilentCondition,
    Subject,
    Symptom,
    inhibited_by,
)
from nightdesk_alerts.catalogue.late import late
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_alerts.catalogue.view import Situation


def _disconnected(seen: Situation) -> Iterator[Symptom]:
    last = newest([*dict(seen.bot.contact_at).values(), seen.bot.started_at], now=seen.now)
    limit = seen.limits.exchange_contact_seconds
    return late(seen, "critical", "no contact with the exchange", last=last, limit=limit)


# A loop that stands still asks the exchange for nothing.
EXCHANGE_DISCONNECTED = AlertDeclaration(
    name="TradebotExchangeDisconnected",
    summaries={"critical": "The bot has lost the exchange."},
    when="The last success on any channel, or the bot's start, is longer ago than the bot's own limit (5m).",
    condition=AlertCondition(
        issue="exchange_disconnected",
        find=_disconnected,
        is_known=lambda seen: bool(seen.bot.contact_at),
        unhealthy=("critical",),
    ),
    muted_by=inhibited_by(LOOP_STALLED),
)


def _stream_broken(seen: Situation) -> Iterator[Symptom]:
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
