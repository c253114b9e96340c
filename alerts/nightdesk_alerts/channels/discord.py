"""Discord: a webhook's message with one embed, as Alertmanager sends it."""

from __future__ import annotations

from nightdesk_alerts import wording
from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery_outcome import DeliveryOutcome
from nightdesk_alerts.http_response import judge
from nightdesk_alerts.web import Web, without_secrets

# Alertmanager's own, so that a message looks the same whoever sends it.
_RED, _GREEN = 0x992D22, 0x2ECC71
_LONGEST_TITLE, _LONGEST_TEXT = 256, 4096


def deliver(notice: Notice, alerting: Alerting, web: Web) -> DeliveryOutcome:
    """Tell a Discord channel. Raises `WebError` where there is no answer."""
    url = alerting.discord_webhook_url
    lines = [
        f"**{wording.summary(notice)}** {wording.whom(notice)}",
        wording.description(notice),
        wording.runbook(notice),
    ]
    embed = {
        "title": wording.title(notice)[:_LONGEST_TITLE],
        "description": "\n".join(line for line in lines if line)[:_LONGEST_TEXT],
        "color": _GREEN if notice.status == "resolved" else _RED,
    }
    # Nothing that a label holds may ping anybody.
    answer = web.post(url, {"username": "Nightdesk", "embeds": [embed], "allowed_mentions": {"parse": []}})
    said = answer.json()
    said = said if isinstance(said, dict) else {}
    words = without_secrets(said.get("message"), url)
    return judge(answer, wall=notice.at, words=words, after_seconds=said.get("retry_after"))
