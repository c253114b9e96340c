"""A mail: its headers, and its text, or a frame in which its HTML can do nothing."""

from __future__ import annotations

from html import escape

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.text import linked

_LINE_PIXELS = 26
_LEAST_LINES, _MOST_LINES = 7, 24

# A mail is written for a white page, and its links open elsewhere than in the frame.
_HEAD = (
    '<!doctype html><meta charset="utf-8"><base target="_blank">'
    "<style>:root{color-scheme:light}html{background:#fff;color:#1b1f24}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:12px;overflow-wrap:anywhere}</style>"
)


def mail_document(html: str) -> str:
    """Return the document of a mail's HTML, which is not escaped: it is for a frame whose policy forbids all."""
    return _HEAD + html


def mail_body(message: Message) -> str:
    """Return the mail's HTML for the page."""
    headers = message.raw.get("headers", {}) if isinstance(message.raw, dict) else {}
    lines = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(headers[name]))}</dd></div>"
        for name in ("From", "To", "Cc", "Date")
        if name in headers
    )
    subject = escape(message.title) or "(no subject)"
    text = f'<div class="text plain">{linked(message.text)}</div>'
    if message.html is not None:
        # The page cannot measure a frame that may do nothing, so its height is guessed from what there is to read.
        rows = sum(1 + len(line) // 70 for line in message.text.splitlines()) + 4
        height = _LINE_PIXELS * min(max(rows, _LEAST_LINES), _MOST_LINES)
        text = (
            f'<iframe src="mail/{message.id}" sandbox="allow-popups allow-popups-to-escape-sandbox" height="{height}" '
            f'loading="lazy" title="The mail: {subject}"></iframe><details><summary>As text</summary>{text}</details>'
        )
    return f'<div class="mail"><p class="title">{subject}</p><dl class="headers">{lines}</dl>{text}</div>'
