"""Slack: an incoming webhook's message with one attachment, as Alertmanager sends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightdesk_alerts import wording
from nightdesk_alerts.addresses import url_problems, without_secrets
from nightdesk_alerts.channel import Channel, Role, Secret, setting
from nightdesk_alerts.delivery.web_response import judge

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome
    from nightdesk_alerts.delivery.web import Web


@dataclass(frozen=True, kw_only=True)
class SlackChannel(Channel):
    """A channel of a Slack workspace, by its incoming webhook."""

    name = "slack"
    title = "Slack"
    how = "api.slack.com/apps → your app → Incoming Webhooks → Add to a channel; copy the URL"
    role = Role.CHAT
    receiver_kind = "slack_configs"
    receiver = """\
api_url_file: secrets/slack_url
username: Nightdesk
title: '{{ template "nightdesk.slack.title" . }}'
title_link: ""  # Alertmanager's default leads to its own page, which the packaged one does not have
fallback: '{{ template "nightdesk.slack.title" . }}'
text: '{{ template "nightdesk.slack.message" . }}'
send_resolved: true
"""

    webhook_url: str = field(
        repr=False,
        metadata=setting(
            "slack_webhook_url",
            "A Slack incoming webhook; empty means no Slack.",
            secret=Secret("slack_url", "the Slack URL"),
        ),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome:
        """Post to the webhook. Raises `WebError` where there is no answer."""
        title = escaped(wording.title(notification))
        lines = [
            f"*{escaped(wording.summary(notification))}* {escaped(wording.whom(notification))}",
            escaped(wording.description(notification)),
            escaped(wording.runbook(notification)),
        ]
        attachment = {
            "title": title,
            "fallback": title,
            "text": "\n".join(line for line in lines if line),
            "color": "good" if notification.status == "resolved" else "danger",
            "mrkdwn_in": ["text"],
        }
        answer = web.post(self.webhook_url, {"attachments": [attachment]})
        words = without_secrets(answer.body.decode("utf-8", errors="replace"), self.webhook_url)
        return judge(answer, wall=notification.at, words=words)

    def problems(self) -> Iterator[str]:
        """Yield whether the webhook is no address."""
        return url_problems("slack_webhook_url", self.webhook_url)


def escaped(text: str) -> str:
    """Return a text with the three characters written out that are Slack's own: none of it is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


CHANNEL = SlackChannel
