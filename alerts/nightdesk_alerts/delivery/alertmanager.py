"""Alertmanager's API, version 2: alerts are posted, and asked for to see whether Prometheus has reported them too.

What came last shows: after a post of ours an alert has no `generatorURL`, after one of Prometheus's it has one. An
alert that is gone was ended by Prometheus, unless Alertmanager has started anew since: then it has forgotten it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit

from nightdesk_core.clock import utc

from nightdesk_alerts.alert import Key, Notification, SentAlert
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Kept, Later, Lost, Reported
from nightdesk_alerts.delivery.web import Web
from nightdesk_alerts.delivery.web_response import judge

_POSTS_REMEMBERED = 1024


def place(url: str) -> str:
    """Return an Alertmanager's host and port: its address may hold a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


class Alertmanager:
    """One Alertmanager. Its calls raise `WebError` where there is no answer."""

    def __init__(self, url: str, web: Web) -> None:
        self._url = f"{url.rstrip('/')}/api/v2"
        self._web = web
        self._posted: OrderedDict[Key, str] = OrderedDict()
        """Since when the Alertmanager ran that took each alert, as it said itself."""

    def post(self, notification: Notification) -> DeliveryOutcome:
        """Post an alert, or its end."""
        alert = notification.alert
        body = {
            "labels": dict(alert.labels),
            "annotations": alert.annotations,
            "startsAt": utc(alert.starts_at).isoformat(),
            "endsAt": utc(notification.at if notification.status == "resolved" else alert.ends_at).isoformat(),
        }
        # Asked for first: one that is killed between the two calls has forgotten the alert, and shows it.
        started = self._when_started()
        outcome = judge(self._web.post(f"{self._url}/alerts", [body]), wall=notification.at)
        if isinstance(outcome, Delivered):
            self._posted[alert.key] = started
            self._posted.move_to_end(alert.key)
            if len(self._posted) > _POSTS_REMEMBERED:
                self._posted.popitem(last=False)
        return outcome

    def check(self, alert: SentAlert) -> DeliveryOutcome:
        """Return whether Alertmanager has an alert, and from whom."""
        filters = [("filter", f"{name}={_quoted(text)}") for name, text in alert.labels.items()]
        answer = self._web.get(f"{self._url}/alerts", filters)
        outcome = judge(answer, wall=alert.starts_at)
        if not isinstance(outcome, Delivered):
            return outcome
        found = answer.json()
        if not isinstance(found, list):
            return Later("its answer is not a list of alerts")
        # The filters leave in an alert that has more labels than ours.
        same = [each for each in found if isinstance(each, dict) and each.get("labels") == dict(alert.labels)]
        if same:
            return Reported() if same[0].get("generatorURL") else Kept()
        started = self._posted.get(alert.key)
        return Reported() if started and started == self._when_started() else Lost()

    def _when_started(self) -> str:
        """Return since when it runs, as it says itself; empty where it does not."""
        status: Any = self._web.get(f"{self._url}/status", []).json()
        return str(status.get("uptime", "")) if isinstance(status, dict) else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
