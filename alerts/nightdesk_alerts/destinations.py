"""All the places that one sender delivers to. Importing this loads what delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.alertmanager import Alertmanager, place
from nightdesk_alerts.channels import discord, mail, slack, telegram, webhook
from nightdesk_alerts.delivery_outcome import DeliveryOutcome
from nightdesk_alerts.web import Web, WebError

_CHANNELS: dict[str, Callable[[Notice, Alerting, Web], DeliveryOutcome]] = {
    "discord": discord.deliver,
    "slack": slack.deliver,
    "telegram": telegram.deliver,
    "webhook": webhook.deliver,
}


@dataclass(frozen=True)
class Destination:
    """A place, whether it is an Alertmanager, and how to do a job's action there."""

    name: str
    alertmanager: bool
    deliver: Callable[[str, Notice], DeliveryOutcome]


def destinations(alerting: Alerting, timeout_seconds: float) -> list[Destination]:
    """Return the Alertmanagers and the direct channels that are configured."""
    found = [_alertmanager(number, url, timeout_seconds) for number, url in enumerate(alerting.alertmanagers, start=1)]
    return [*found, *(_direct(name, alerting, timeout_seconds) for name in alerting.direct)]


def _alertmanager(number: int, url: str, timeout_seconds: float) -> Destination:
    server = Alertmanager(url, Web(timeout_seconds=timeout_seconds, near=True))

    def deliver(action: str, notice: Notice) -> DeliveryOutcome:
        try:
            return server.check(notice.alert) if action == "check" else server.post(notice)
        except WebError as error:
            return error.outcome

    return Destination(f"alertmanager {number} ({place(url)})", True, deliver)


def _direct(name: str, alerting: Alerting, timeout_seconds: float) -> Destination:
    if name == "mail" and alerting.mail is not None:
        settings = alerting.mail
        return Destination(
            name, False, lambda _action, notice: mail.deliver(notice, settings, timeout_seconds=timeout_seconds)
        )
    web, channel = Web(timeout_seconds=timeout_seconds), _CHANNELS[name]

    def deliver(_action: str, notice: Notice) -> DeliveryOutcome:
        try:
            return channel(notice, alerting, web)
        except WebError as error:
            return error.outcome

    return Destination(name, False, deliver)
