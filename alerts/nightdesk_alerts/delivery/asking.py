"""Asks a chat service whether it would take a message, and where the chat is today, without sending one."""

from __future__ import annotations

from nightdesk_core.clock import WallClock, system_clock

from nightdesk_alerts.channel import ChatChannel
from nightdesk_alerts.delivery.outcome import DeliveryOutcome, Moved
from nightdesk_alerts.delivery.web import Web, WebError


def ask_chat(
    channel: ChatChannel, *, timeout_seconds: float, clock: WallClock = system_clock
) -> DeliveryOutcome | Moved:
    """Return what would become of a message: `Moved` where the chat has another number."""
    try:
        return channel.ask(Web(timeout_seconds=timeout_seconds), wall=clock().seconds)
    except WebError as error:
        return error.outcome
