"""The page around the cards: what is shown, what is wrong on purpose, and the choice of what to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from nightdesk_core.text import clean

from nightdesk_sandbox.inbox.message import Message, channel_titles
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.rendering import render

_CHOICES = (
    ("severity", "Severity", ("critical", "warning", "info")),
    ("status", "State", ("firing", "resolved")),
)


def _asset(name: str) -> Markup:
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704 - a file beside this one


_STYLE, _SCRIPT = _asset("inbox.css"), _asset("inbox.js")

# A mail is written for a white page, and its links open elsewhere than in the frame.
_MAIL_HEAD = (
    '<!doctype html><meta charset="utf-8"><base target="_blank">'
    "<style>:root{color-scheme:light}html{background:#fff;color:#1b1f24}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:12px;overflow-wrap:anywhere}</style>"
)


def main_part(
    messages: Sequence[Message], *, labels: Mapping[str, str], last_id: int, older: bool, live: bool
) -> Markup:
    """Return the part of the page that holds `messages`, newest first.

    `labels` are those that were asked for, `older` whether there are more messages than these, and `live` whether new
    ones are to be added.
    """
    asked = {name: value for name, value in labels.items() if value}
    return render(
        "main.html",
        cards=[card(message) for message in messages],
        last_id=last_id,
        older=urlencode({**asked, "before": messages[-1].id}) if older else "",
        live=live,
    )


def document(main: Markup, *, labels: Mapping[str, str], status: Mapping[str, Any], nonce: str) -> Markup:
    """Return the page around its main part; `nonce` lets its own style and script be used and no other."""
    return render(
        "document.html",
        main=main,
        labels=labels,
        count=status["messages"],
        faults=status["faults"],
        channel_titles=channel_titles(),
        choices=_CHOICES,
        nonce=nonce,
        style=_STYLE,
        script=_SCRIPT,
    )


def mail_document(html: str) -> str:
    """Return the document of a mail's HTML, which is not escaped: it is for a frame whose policy forbids all."""
    return _MAIL_HEAD + clean(html)
