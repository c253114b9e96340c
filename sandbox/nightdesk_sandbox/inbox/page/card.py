"""One message as a card: where it came by, what it is about, what it says, and what was received."""

from __future__ import annotations

import json
from html import escape

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.discord import discord_body
from nightdesk_sandbox.inbox.page.icons import channel_names, icon
from nightdesk_sandbox.inbox.page.mail import mail_body
from nightdesk_sandbox.inbox.page.slack import slack_body
from nightdesk_sandbox.inbox.page.text import paragraph, telegram_html
from nightdesk_sandbox.inbox.page.webhook import webhook_body
from nightdesk_sandbox.inbox.telegram_markup import MarkupError, formatted

_LONGEST_RAW = 20_000
_SEVERITIES = ("critical", "warning", "info")


def card(message: Message) -> str:
    """Return a message's card."""
    tone = "resolved" if message.status == "resolved" else message.severity
    tone = tone if tone in (*_SEVERITIES, "resolved") else "none"
    title = escape(message.title or message.text[:80] or "(empty)")
    facts = "".join(
        f'<span class="pill {kind}">{escape(word)}</span>'
        for kind, word in (
            (tone if message.severity and message.status != "resolved" else "none", message.severity),
            ("resolved" if message.status == "resolved" else "firing", message.status),
            ("bot", f"bot {message.bot}" if message.bot else None),
        )
        if word
    )
    return (
        f'<article class="card {tone}" id="message-{message.id}" aria-labelledby="title-{message.id}">'
        f'<header><span class="channel {message.channel}">{icon(message.channel)}'
        f"{channel_names()[message.channel]}</span>{facts}"
        f'<a class="when" href="#message-{message.id}"><time datetime="{escape(message.received_at)}">'
        f"{escape(message.received_at.replace('T', ' ').replace('Z', ' UTC'))}</time></a></header>"
        f'<h2 class="hidden" id="title-{message.id}">{title}</h2>'
        f'<div class="body {message.channel}">{_body(message)}</div>{_raw(message)}</article>'
    )


def _body(message: Message) -> str:
    try:
        match message.channel:
            case "discord":
                return discord_body(message)
            case "slack":
                return slack_body(message)
            case "telegram":
                return telegram_html(formatted(message.raw["text"], message.raw.get("parse_mode") or ""))
            case "webhook":
                return webhook_body(message)
            case "email":
                return mail_body(message)
    except (ValueError, MarkupError, KeyError, TypeError, AttributeError):
        # A message that an older version kept in another form: its words are there all the same.
        pass
    return f'<p class="title">{escape(message.title)}</p>{paragraph(message.text)}'


def _raw(message: Message) -> str:
    source = message.raw.get("source") if isinstance(message.raw, dict) and message.channel == "email" else None
    text = source if isinstance(source, str) else json.dumps(message.raw, indent=2, ensure_ascii=False)
    cut = "\n…" if len(text) > _LONGEST_RAW else ""
    to = f' <span class="dim">to {escape(message.to)}</span>' if message.to else ""
    return (
        f"<details><summary>Raw payload{to}</summary><pre>{escape(text[:_LONGEST_RAW])}{cut}</pre>"
        f'<p class="foot"><a href="api/messages/{message.id}">Message {message.id} as JSON</a></p></details>'
    )
