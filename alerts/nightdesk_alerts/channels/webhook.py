"""A webhook of your own: it is given what Alertmanager would post, version 4, so that one receiver understands both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightdesk_core.clock import iso

from nightdesk_alerts.addresses import url_problems
from nightdesk_alerts.channel import Channel, Role, Secret, setting
from nightdesk_alerts.delivery.web_response import judge

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome
    from nightdesk_alerts.delivery.web import Web

_OFFSET, _PRIME = 14695981039346656037, 1099511628211


@dataclass(frozen=True, kw_only=True)
class WebhookChannel(Channel):
    """A program of the person's own that takes POST with JSON."""

    name = "webhook"
    title = "a webhook of your own"
    how = (
        "anything that takes POST with JSON: Alertmanager's payload, version 4, whoever sends it "
        "(`receiver` is `nightdesk-direct` from the bot)"
    )
    role = Role.PROGRAM
    receiver_kind = "webhook_configs"
    receiver = """\
url_file: secrets/webhook_url
send_resolved: true
"""

    url: str = field(
        repr=False,
        metadata=setting(
            "webhook_url",
            "A webhook of your own, which is given Alertmanager's payload; empty means none.",
            secret=Secret("webhook_url", "the URL of your own webhook"),
        ),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome:
        """Post to it. Raises `WebError` where there is no answer."""
        return judge(web.post(self.url, payload(notification)), wall=notification.at)

    def problems(self) -> Iterator[str]:
        """Yield whether it is no address."""
        return url_problems("webhook_url", self.url)


def payload(notification: Notification) -> dict[str, object]:
    """Return Alertmanager's payload with one alert."""
    alert = notification.alert
    labels, annotations = dict(alert.labels), alert.annotations
    group = {"alertname": alert.name, "bot": alert.bot}
    one = {
        "status": notification.status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": iso(alert.starts_at),
        "endsAt": notification.ends_at,
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }
    return {
        "version": "4",
        "receiver": "nightdesk-direct",
        "status": notification.status,
        "alerts": [one],
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "groupKey": "{}:{" + ", ".join(f'{name}="{text}"' for name, text in group.items()) + "}",
        "truncatedAlerts": 0,
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the number by which Alertmanager knows an alert: FNV-1a, 64 bits, over its labels by name."""
    value = _OFFSET
    for name, text in sorted(labels.items()):
        for byte in (*name.encode(), 255, *text.encode(), 255):
            value = ((value ^ byte) * _PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


CHANNEL = WebhookChannel
