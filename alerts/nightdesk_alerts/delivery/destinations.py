"""All the places that one sender delivers to. Importing this loads what delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_alerts.alert import Notification
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.channel import Channel
from nightdesk_alerts.delivery.alertmanager import Alertmanager, place
from nightdesk_alerts.delivery.outcome import DeliveryOutcome
from nightdesk_alerts.delivery.web import Web, WebError


@dataclass(frozen=True)
class Destination:
    """A place, whether it is an Alertmanager, and how to do a job's action there."""

    name: str
    alertmanager: bool
    deliver: Callable[[str, Notification], DeliveryOutcome]


def destinations(alerting: Alerting, timeout_seconds: float) -> list[Destination]:
    """Return the Alertmanagers and the direct channels that are configured."""
    found = [_alertmanager(number, url, timeout_seconds) for number, url in enumerate(alerting.alertmanagers, start=1)]
    return [*found, *(_direct(channel, timeout_seconds) for channel in alerting.channels)]


def _alertmanager(number: int, url: str, timeout_seconds: float) -> Destination:
    server = Alertmanager(url, Web(timeout_seconds=timeout_seconds, near=True))

    def deliver(action: str, notification: Notification) -> DeliveryOutcome:
        try:
            return server.check(notification.alert) if action == "check" else server.post(notification)
        except WebError as error:
            return error.outcome

    return Destination(f"alertmanager {number} ({place(url)})", True, deliver)


def _direct(channel: Channel, timeout_seconds: float) -> Destination:
    web = Web(timeout_seconds=timeout_seconds)

    def deliver(_action: str, notification: Notification) -> DeliveryOutcome:
        try:
            return channel.deliver(notification, web)
        except WebError as error:
            return error.outcome

    return Destination(channel.name, False, deliver)
