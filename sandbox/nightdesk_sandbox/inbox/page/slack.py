"""A message as Slack shows it: who, blocks, and attachments with a bar of their colour."""

from __future__ import annotations

from html import escape
from typing import Any

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.bar import bar
from nightdesk_sandbox.inbox.page.text import link, slack_html
from nightdesk_sandbox.inbox.slack_message import Attachment, SlackMessage, block_texts, parse_kept, plain


def slack_body(message: Message) -> str:
    """Return the message's HTML. Raises `ValidationError` where it is not Slack's."""
    said: SlackMessage = parse_kept(message.raw)
    name = escape(said.username or "Alertmanager")
    shown = _blocks(said.blocks) or slack_html(said.text)
    attachments = "".join(_attachment(attachment) for attachment in said.attachments)
    return f'<p class="who">{name} <span class="app">APP</span></p>{shown}{attachments}'


def _blocks(blocks: list[dict[str, Any]]) -> str:
    pieces = []
    for block in blocks:
        [text] = block_texts([block]) or [""]
        if block.get("type") == "header":
            pieces.append(f'<p class="title">{escape(plain(text))}</p>')
        elif block.get("type") == "divider":
            pieces.append("<hr>")
        else:
            pieces.append(slack_html(text))
    return "".join(pieces)


def _attachment(attachment: Attachment) -> str:
    title = escape(plain(attachment.title))
    fields = "".join(
        f'<div class="{"inline" if field.short else "wide"}"><dt>{escape(plain(field.title))}</dt>'
        f"<dd>{slack_html(field.value)}</dd></div>"
        for field in attachment.fields
    )
    shown = (
        (f'<p class="author">{escape(plain(attachment.author_name))}</p>' if attachment.author_name else "")
        + (f'<p class="title">{link(attachment.title_link, title)}</p>' if title else "")
        + slack_html(attachment.text)
        + (f"<dl>{fields}</dl>" if fields else "")
        + _blocks(attachment.blocks)
        + (f'<p class="foot">{escape(plain(attachment.footer))}</p>' if attachment.footer else "")
    )
    # What has only a fallback is shown by it in old clients: better than an empty frame.
    shown = shown or slack_html(attachment.fallback)
    pretext = slack_html(attachment.pretext)
    return f'{pretext}<div class="embed">{bar(attachment.color)}<div>{shown}</div></div>'
