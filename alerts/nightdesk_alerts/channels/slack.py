"""Slack: an incoming webhook's message with one attachment, as Alertmanager sends it."""

from __future__ import annotations

from nightdesk_alerts import wording
from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery_outcome import DeliveryOutcome
from nightdesk_alerts.http_response import judge
from nightdesk_alerts.web import Web, without_secrets


def deliver(notice: Notice, alerting: Alerting, web: Web) -> DeliveryOutcome:
    """Tell a Slack channel. Raises `WebError` where there is no answer."""
    url = alerting.slack_webhook_url
    title = escaped(wording.title(notice))
    lines = [
        f"*{escaped(wording.summary(notice))}* {escaped(wording.whom(notice))}",
        escaped(wording.description(notice)),
        escaped(wording.runbook(notice)),
    ]
    attachment = {
        "title": title,
        "fallback": title,
        "text": "\n".join(line for line in lines if line),
        "color": "good" if notice.status == "resolved" else "danger",
        "mrkdwn_in": ["text"],
    }
    answer = web.post(url, {"attachments": [attachment]})
    words = without_secrets(answer.body.decode("utf-8", errors="replace"), url)
    return judge(answer, wall=notice.at, words=words)


def escaped(text: str) -> str:
    """Return a text with the three characters written out that are Slack's own: none of it is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
