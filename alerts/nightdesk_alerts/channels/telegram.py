"""Telegram: the Bot API's `sendMessage`, with its HTML."""

from __future__ import annotations

from html import escape

from nightdesk_alerts import wording
from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery_outcome import DeliveryOutcome
from nightdesk_alerts.http_response import judge
from nightdesk_alerts.web import Web, without_secrets


def deliver(notice: Notice, alerting: Alerting, web: Web) -> DeliveryOutcome:
    """Tell a Telegram chat. Raises `WebError` where there is no answer."""
    url = f"{alerting.telegram_api_url.rstrip('/')}/bot{alerting.telegram_bot_token}/sendMessage"
    lines = [
        f"<b>{_escaped(wording.title(notice))}</b>",
        f"<b>{_escaped(wording.summary(notice))}</b> {_escaped(wording.whom(notice))}",
        _escaped(wording.description(notice)),
        _escaped(wording.runbook(notice)),
    ]
    # With the longest of everything about 800 characters, of the 4,096 that a message may have.
    text = "\n".join(line for line in lines if line)
    payload = {
        "chat_id": alerting.telegram_chat_id,
        "text": text,
        "parse_mode": "HTML",
        "disable_web_page_preview": True,
    }
    answer = web.post(url, payload)
    said = answer.json()
    said = said if isinstance(said, dict) else {}
    parameters = said.get("parameters")
    after = parameters.get("retry_after") if isinstance(parameters, dict) else None
    words = without_secrets(said.get("description"), f"{url}/{alerting.telegram_bot_token}")
    return judge(answer, wall=notice.at, words=words, after_seconds=after)


def _escaped(text: str) -> str:
    return escape(text, quote=False)
