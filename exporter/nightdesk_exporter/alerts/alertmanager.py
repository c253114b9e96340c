"""Alertmanager's API, version 2: alerts are posted, and asked for to see whether Prometheus has reported them too.

What came last shows: after a post of ours an alert has no `generatorURL`, after one of Prometheus's it has one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from nightdesk_core.clock import utc

from nightdesk_exporter.alerts.alert import Alert, Notice
from nightdesk_exporter.alerts.answers import judge
from nightdesk_exporter.alerts.outcome import Delivered, Kept, Later, Lost, Outcome, Reported
from nightdesk_exporter.alerts.web import Web


def place(url: str) -> str:
    """Return an Alertmanager's host and port: its address may hold a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def post(notice: Notice, url: str, web: Web) -> Outcome:
    """Post an alert, or its end. Raises `WebError` where there is no answer."""
    alert = notice.alert
    body = {
        "labels": dict(alert.labels),
        "annotations": alert.annotations,
        "startsAt": utc(alert.starts_at).isoformat(),
        "endsAt": utc(notice.at if notice.status == "resolved" else alert.ends_at).isoformat(),
    }
    return judge(web.post(f"{url.rstrip('/')}/api/v2/alerts", [body]), wall=notice.at)


def check(alert: Alert, url: str, web: Web) -> Outcome:
    """Return whether Alertmanager has an alert, and from whom. Raises `WebError` where there is no answer."""
    filters = [("filter", f"{name}={_quoted(text)}") for name, text in alert.labels.items()]
    answer = web.get(f"{url.rstrip('/')}/api/v2/alerts", filters)
    outcome = judge(answer, wall=alert.starts_at)
    if not isinstance(outcome, Delivered):
        return outcome
    found = answer.json()
    if not isinstance(found, list):
        return Later("its answer is not a list of alerts")
    # The filters leave in an alert that has more labels than ours.
    same = [each for each in found if isinstance(each, dict) and each.get("labels") == dict(alert.labels)]
    if not same:
        return Lost()
    return Reported() if same[0].get("generatorURL") else Kept()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
