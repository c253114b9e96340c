"""Discord: a webhook's message with one embed, as Alertmanager sends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from nightdesk_alerts import wording
from nightdesk_alerts.addresses import url_problems, without_secrets
from nightdesk_alerts.channel import Channel, Role, SandboxInbox, Secret, setting
from nightdesk_alerts.delivery.web_response import judge

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome
    from nightdesk_alerts.delivery.web import Web

# Alertmanager's own, so that a message looks the same whoever sends it.
_RED, _GREEN = 0x992D22, 0x2ECC71
_LONGEST_NAME, _LONGEST_TEXT = 50, 4096
"""Each character of a name may become two, and a title of Discord's has 256."""
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]@#])")


@dataclass(frozen=True, kw_only=True)
class DiscordChannel(Channel):
    """A channel of a Discord server, by its webhook."""

    name = "discord"
    title = "Discord"
    how = "channel settings → Integrations → Webhooks → New; copy the URL"
    role = Role.CHAT
    receiver_kind = "discord_configs"
    receiver = """\
webhook_url_file: secrets/discord_url
username: Nightdesk
title: '{{ template "nightdesk.discord.title" . }}'
message: '{{ template "nightdesk.discord.message" . }}'
send_resolved: true
"""

    webhook_url: str = field(
        repr=False,
        metadata=setting(
            "discord_webhook_url",
            "A Discord webhook; empty means no Discord.",
            secret=Secret("discord_url", "the Discord URL"),
        ),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome:
        """Post to the webhook. Raises `WebError` where there is no answer."""
        lines = [
            f"**{escaped(wording.summary(notification))}** {escaped(wording.whom(notification))}",
            escaped(wording.description(notification)),
            wording.runbook(notification),
        ]
        embed = {
            "title": escaped(wording.title(notification, longest_name=_LONGEST_NAME)),
            "description": "\n".join(line for line in lines if line)[:_LONGEST_TEXT],
            "color": _GREEN if notification.status == "resolved" else _RED,
        }
        # Nothing that a label holds may ping anybody.
        payload = {"username": "Nightdesk", "embeds": [embed], "allowed_mentions": {"parse": []}}
        answer = web.post(self.webhook_url, payload)
        said = answer.json()
        said = said if isinstance(said, dict) else {}
        words = without_secrets(said.get("message"), self.webhook_url)
        return judge(answer, wall=notification.at, words=words, after_seconds=said.get("retry_after"))

    def problems(self) -> Iterator[str]:
        """Yield whether the webhook is no address."""
        return url_problems("discord_webhook_url", self.webhook_url)

    @classmethod
    def in_sandbox(cls, inbox: SandboxInbox, values: Mapping[str, Any]) -> Self:
        """Return the inbox's Discord."""
        return cls(webhook_url=f"{inbox.url}/api/webhooks/1/nightdesk")


def escaped(text: str) -> str:
    """Return a text with Discord's Markdown written out: none of it is bold, a link with other words, or a mention."""
    return _MARKDOWN.sub(r"\\\1", text)


CHANNEL = DiscordChannel
