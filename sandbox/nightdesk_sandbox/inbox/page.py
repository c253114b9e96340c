"""The inbox's page: every message as text, so that nothing that somebody sends is ever run or loaded."""

from __future__ import annotations

import json
from html import escape

from aiohttp import web

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.store import Inbox
from nightdesk_sandbox.page import page_response

# Reload only where something has come or gone, and not while a person has a message unfolded.
_SCRIPT = """
const seen = Number(document.body.querySelector("main").dataset.lastId);
const count = Number(document.body.querySelector("main").dataset.count);
setInterval(async () => {
  if (document.querySelector("details[open]")) return;
  try {
    const answer = await (await fetch("api/messages?since_id=" + (count ? seen - 1 : seen))).json();
    if (answer.last_id !== seen || (count && !answer.messages.length)) location.reload();
  } catch (error) { /* the inbox is restarting: the next round will tell */ }
}, 2000);
"""


def inbox_page(inbox: Inbox, *, nonce: str) -> web.Response:
    """Return the page of all messages, newest first; `nonce` lets its own script run and no other."""
    messages = inbox.find()
    articles = "".join(_article(message) for message in reversed(messages))
    shown = articles or '<p class="dim">No messages yet.</p>'
    body = f'<main data-last-id="{inbox.last_id}" data-count="{len(messages)}">{shown}</main>'
    return page_response("Inbox", body, script=_SCRIPT, nonce=nonce)


def _article(message: Message) -> str:
    badges = "".join(
        f'<span class="badge">{escape(word)}</span>'
        for word in (message.channel, message.status, message.severity, message.alertname)
        if word
    )
    html = (
        f"<details><summary>HTML as text</summary><pre>{escape(message.html)}</pre></details>" if message.html else ""
    )
    raw = escape(json.dumps(message.raw, indent=2, ensure_ascii=False))
    return (
        f'<article id="message-{message.id}" class="{escape(message.status or "")}"><div>{badges}'
        f"<time>{escape(message.received_at)}</time></div>"
        f"<h2>{escape(message.title)}</h2>"
        f'<div class="text">{escape(message.text)}</div>'
        f"{html}<details><summary>As received</summary><pre>{raw}</pre></details></article>"
    )
