"""What a message says, as its service would show it."""

from __future__ import annotations

import json

from markupsafe import Markup

from nightdesk_sandbox.inbox.alertmanager import notification
from nightdesk_sandbox.inbox.discord_message import DiscordMessage
from nightdesk_sandbox.inbox.message import MAIL, Message
from nightdesk_sandbox.inbox.page.rendering import render
from nightdesk_sandbox.inbox.slack_message import parse_kept
from nightdesk_sandbox.inbox.telegram_markup import MarkupError
from nightdesk_sandbox.inbox.telegram_message import formatted, is_markdown

_MOST_ALERTS = 50
_MAIL_HEADERS = ("From", "To", "Cc", "Date")
_LINE_PIXELS = 26
_LEAST_LINES, _MOST_LINES = 7, 24


def body(message: Message) -> Markup:
    """Return a message's HTML, without the card around it."""
    try:
        match message.channel:
            case "discord":
                return render("discord.html", said=DiscordMessage.model_validate(message.raw))
            case "slack":
                return render("slack.html", said=parse_kept(message.raw))
            case "telegram":
                return _telegram(message)
            case "webhook":
                return _webhook(message)
            case _ if message.channel == MAIL:
                return _mail(message)
    except (ValueError, MarkupError, KeyError, TypeError, AttributeError):
        # A message that an older version kept in another form: its words are there all the same.
        pass
    return render("words.html", title=message.title, text=message.text)


def _telegram(message: Message) -> Markup:
    mode = message.raw.get("parse_mode") or ""
    return render("telegram.html", said=formatted(message.raw["text"], mode), as_it_came=is_markdown(mode))


def _webhook(message: Message) -> Markup:
    known = notification(message.raw)
    if known is None:
        text = message.text if isinstance(message.raw, dict) else json.dumps(message.raw, ensure_ascii=False)
        return render("words.html", title=message.title, text=text)
    hidden = max(len(known.alerts) - _MOST_ALERTS, 0) + known.truncated_alerts
    return render("webhook.html", said=known, alerts=known.alerts[:_MOST_ALERTS], hidden=hidden)


def _mail(message: Message) -> Markup:
    headers = message.raw.get("headers", {}) if isinstance(message.raw, dict) else {}
    # The page cannot measure a frame that may do nothing, so its height is guessed from what there is to read.
    rows = sum(1 + len(line) // 70 for line in message.text.splitlines()) + 4
    return render(
        "mail.html",
        message=message,
        headers={name: str(headers[name]) for name in _MAIL_HEADERS if name in headers},
        height=_LINE_PIXELS * min(max(rows, _LEAST_LINES), _MOST_LINES),
    )
