"""One message as a card: where it came by, what it is about, what it says, and what was received."""

from __future__ import annotations

import json

from markupsafe import Markup

from nightdesk_sandbox.inbox.message import MAIL, Message, channel_titles
from nightdesk_sandbox.inbox.page.body import body
from nightdesk_sandbox.inbox.page.rendering import render

_LONGEST_RAW = 20_000
_SEVERITIES = ("critical", "warning", "info")


def card(message: Message) -> Markup:
    """Return a message's card."""
    severity = message.severity if message.severity in _SEVERITIES else "none"
    raw = _raw(message)
    return render(
        "card.html",
        message=message,
        channel_title=channel_titles()[message.channel],
        tone="resolved" if message.status == "resolved" else severity,
        body=body(message),
        raw=raw[:_LONGEST_RAW],
        cut=len(raw) > _LONGEST_RAW,
    )


def _raw(message: Message) -> str:
    source = message.raw.get("source") if isinstance(message.raw, dict) and message.channel == MAIL else None
    return source if isinstance(source, str) else json.dumps(message.raw, indent=2, ensure_ascii=False)
