"""The page around the cards: what is shown, what is wrong on purpose, and the choice of what to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.icons import channel_names, icon

_CHOICES = {
    "severity": ("Severity", ("critical", "warning", "info")),
    "status": ("State", ("firing", "resolved")),
}


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_STYLE, _SCRIPT = _asset("inbox.css"), _asset("inbox.js")

_EMPTY = (
    '<div class="empty" id="empty"><p class="title">Nothing here yet</p><p>Alerts that are sent to this inbox appear '
    "by themselves, newest first.</p></div>"
)


def main_part(messages: Sequence[Message], *, labels: Mapping[str, str], last_id: int, older: bool, live: bool) -> str:
    """Return the part of the page that holds `messages`, newest first.

    `labels` are those that were asked for, `older` whether there are more messages than these, and `live` whether new
    ones are to be added.
    """
    cards = "".join(card(message) for message in messages)
    further = ""
    if older:
        query = urlencode({**{name: value for name, value in labels.items() if value}, "before": messages[-1].id})
        further = f'<p class="older"><a href="?{escape(query)}">Older messages</a></p>'
    return (
        f'<main id="messages" tabindex="-1" data-last-id="{last_id}" data-live="{"yes" if live else "no"}">'
        f"{cards or _EMPTY}{further}</main>"
    )


def document(main: str, *, labels: Mapping[str, str], status: Mapping[str, Any], nonce: str) -> str:
    """Return the page around its main part; `nonce` lets its own style and script be used and no other."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>Inbox</title><style nonce="{nonce}">{_STYLE}</style></head><body>'
        '<a class="skip" href="#messages">To the messages</a>'
        '<header class="top"><div class="bar-line"><h1>Inbox</h1><span class="live" id="live"></span>'
        f'<span class="dim" id="count">{_count(status["messages"])}</span>'
        '<button type="button" id="clear" class="quiet">Clear all</button></div>'
        f"{_faults(status['faults'])}{_filters(labels)}</header>"
        f'<p class="hidden" role="status" aria-live="polite" id="said"></p>{main}'
        f'<script nonce="{nonce}">{_SCRIPT}</script></body></html>'
    )


def _count(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"


def _faults(names: Sequence[str]) -> str:
    hidden = "" if names else " hidden"
    return (
        f'<section id="faults" class="faults" aria-label="Faults"{hidden}><span><strong>Failing on purpose:</strong> '
        f'<span id="fault-names">{escape(", ".join(names))}</span></span>'
        '<button type="button" id="end-faults">End all faults</button></section>'
    )


def _filters(labels: Mapping[str, str]) -> str:
    channels = "".join(
        f'<label class="chip {value}"><input type="radio" name="channel" value="{value}"'
        f"{' checked' if labels['channel'] == value else ''}><span>{sign}{name}</span></label>"
        for value, name, sign in (
            ("", "All", ""),
            *((channel, name, icon(channel)) for channel, name in channel_names().items()),
        )
    )
    selects = "".join(
        f'<label class="choice"><span class="hidden">{title}</span><select name="{name}">'
        f'<option value="">Any {title.lower()}</option>'
        + "".join(f"<option{' selected' if labels[name] == value else ''}>{escape(value)}</option>" for value in values)
        + "</select></label>"
        for name, (title, values) in _CHOICES.items()
    )
    return (
        '<form id="filters" role="search" method="get"><fieldset class="chips"><legend class="hidden">Channel</legend>'
        f'{channels}</fieldset><div class="choices">{selects}<label class="choice grow">'
        '<span class="hidden">Text</span><input type="search" name="contains" placeholder="Search the text" '
        f'value="{escape(labels["contains"])}"></label>'
        + (f'<input type="hidden" name="bot" value="{escape(labels["bot"])}">' if labels["bot"] else "")
        + "<noscript><button>Show</button></noscript></div></form>"
    )
