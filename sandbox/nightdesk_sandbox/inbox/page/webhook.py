"""What a webhook was sent: Alertmanager's alerts one by one, anything else as it came."""

from __future__ import annotations

import json
from html import escape

from nightdesk_sandbox.inbox.alertmanager import Alert, notification
from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.text import link, linked, paragraph

_MOST_ALERTS = 50


def webhook_body(message: Message) -> str:
    """Return the message's HTML."""
    known = notification(message.raw)
    if known is None:
        text = message.text if isinstance(message.raw, dict) else json.dumps(message.raw, ensure_ascii=False)
        return f'<p class="title">{escape(message.title)}</p>{paragraph(text)}'
    alerts = "".join(_alert(alert) for alert in known.alerts[:_MOST_ALERTS])
    hidden = len(known.alerts) - _MOST_ALERTS + known.truncated_alerts
    more = f'<p class="dim">and {hidden} more</p>' if hidden > 0 else ""
    receiver = f'<p class="foot">receiver {escape(known.receiver)}</p>' if known.receiver else ""
    return f'<p class="title">{escape(known.title)}</p><ul class="alerts">{alerts}</ul>{more}{receiver}'


def _alert(alert: Alert) -> str:
    labels = "".join(
        f'<li><span class="name">{escape(name)}</span> {escape(value)}</li>'
        for name, value in sorted(alert.labels.items())
        if name != "alertname"
    )
    annotations = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{linked(value)}</dd></div>"
        for name, value in sorted(alert.annotations.items())
        if name not in ("summary", "description")
    )
    times = f"since {escape(alert.starts_at[:19].replace('T', ' '))}"
    if alert.status == "resolved":
        times += f", until {escape(alert.ends_at[:19].replace('T', ' '))}"
    source = f" · {link(alert.generator_url, 'source')}" if alert.generator_url else ""
    return (
        f'<li class="{alert.status}"><p><strong>{escape(alert.name)}</strong> '
        f'<span class="state">{alert.status}</span></p>{paragraph(alert.words)}'
        f'<ul class="labels" aria-label="Labels">{labels}</ul>'
        + (f'<dl class="headers">{annotations}</dl>' if annotations else "")
        + f'<p class="foot">{times}{source}</p></li>'
    )
