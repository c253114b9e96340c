"""A message to Telegram: what each parse mode makes of its text."""

from __future__ import annotations

from nightdesk_sandbox.inbox.telegram_html import parse_html
from nightdesk_sandbox.inbox.telegram_markup import Formatted

_MARKDOWN = frozenset({"markdown", "markdownv2"})


def is_markdown(parse_mode: str) -> bool:
    """Return whether a parse mode is one of Telegram's two kinds of Markdown."""
    return parse_mode.lower() in _MARKDOWN


def formatted(text: str, parse_mode: str) -> Formatted:
    """Return a text as its `parse_mode` reads it; an empty one reads nothing into it, and Markdown stays as it came.

    Raises `MarkupError` where Telegram would refuse the HTML, and `ValueError` for a mode that it does not have.
    """
    if parse_mode.lower() == "html":
        return parse_html(text)
    if parse_mode and not is_markdown(parse_mode):
        raise ValueError("unsupported parse_mode")
    return Formatted(text)
