"""All the places that one sender delivers to. Importing this loads what delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from nightdesk_alerts.alert import Notification
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.channel import Channel, ChatChannel
from nightdesk_alerts.delivery.alertmanager import Alertmanager, place
from nightdesk_alerts.delivery.outcome import DeliveryOutcome, Later, Moved
from nightdesk_alerts.delivery.web import Web, WebError
from nightdesk_alerts.moved_chats import MovedChats


@dataclass(frozen=True)
class Destination:
    """A place, whether it is an Alertmanager, and how to do a job's action there."""

    name: str
    alertmanager: bool
    deliver: Callable[[str, Notification], DeliveryOutcome]


def destinations(alerting: Alerting, timeout_seconds: float, moved: MovedChats) -> list[Destination]:
    """Return the Alertmanagers and the direct channels that are configured, at the numbers that they have today."""
    found = [_alertmanager(number, url, timeout_seconds) for number, url in enumerate(alerting.alertmanagers, start=1)]
    return [*found, *(_direct(channel, timeout_seconds, moved) for channel in alerting.channels)]


def _alertmanager(number: int, url: str, timeout_seconds: float) -> Destination:
    server = Alertmanager(url, Web(timeout_seconds=timeout_seconds, near=True))

    def deliver(action: str, notification: Notification) -> DeliveryOutcome:
        try:
            return server.check(notification.alert) if action == "check" else server.post(notification)
        except WebError as error:
            return error.outcome

    return Destination(f"alertmanager {number} ({place(url)})", True, deliver)


def _direct(channel: Channel, timeout_seconds: float, moved: MovedChats) -> Destination:
    web = Web(timeout_seconds=timeout_seconds)

    def deliver(_action: str, notification: Notification) -> DeliveryOutcome:
        try:
            if isinstance(channel, ChatChannel):
                return _to_chat(moved.follow(channel), notification, web, moved)
            return _outcome(channel.deliver(notification, web))
        except WebError as error:
            return error.outcome

    return Destination(channel.name, False, deliver)


def _to_chat(channel: ChatChannel, notification: Notification, web: Web, moved: MovedChats) -> DeliveryOutcome:
    """Deliver; where the chat has moved, remember and log that, and deliver there. Raises `WebError`."""
    outcome = channel.deliver(notification, web)
    if not isinstance(outcome, Moved):
        return outcome
    moved.remember(channel.place, outcome.place)
    logger.error(
        "alerts: the {} chat {} has become {}: set {}_chat_id to that. The bot writes there from now on; Alertmanager"
        " does so once its configuration is rendered anew, which the page server sees to",
        channel.title,
        channel.place,
        outcome.place,
        channel.name,
    )
    return _outcome(channel.at(outcome.place).deliver(notification, web))


def _outcome(outcome: DeliveryOutcome | Moved) -> DeliveryOutcome:
    """Return an outcome after which nothing is followed any more."""
    return Later("the chat has moved again") if isinstance(outcome, Moved) else outcome
