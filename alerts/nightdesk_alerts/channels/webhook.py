"""A webhook of your own: it is given what Alertmanager would post, version 4, so that one receiver understands both."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core.clock import iso

from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery_outcome import DeliveryOutcome
from nightdesk_alerts.http_response import judge
from nightdesk_alerts.web import Web

_OFFSET, _PRIME = 14695981039346656037, 1099511628211


def deliver(notice: Notice, alerting: Alerting, web: Web) -> DeliveryOutcome:
    """Tell a webhook. Raises `WebError` where there is no answer."""
    return judge(web.post(alerting.webhook_url, payload(notice)), wall=notice.at)


def payload(notice: Notice) -> dict[str, object]:
    """Return Alertmanager's payload with one alert."""
    alert = notice.alert
    labels, annotations = dict(alert.labels), alert.annotations
    group = {"alertname": alert.name, "bot": alert.bot}
    one = {
        "status": notice.status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": iso(alert.starts_at),
        "endsAt": notice.ends_at,
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }
    return {
        "version": "4",
        "receiver": "nightdesk-direct",
        "status": notice.status,
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
