"""A type for HTML that cannot forget to escape.

Text is escaped where it is put into HTML, and HTML is left as it is; mypy tells the two apart, and ruff (S704) lets
`Html` be made of literals only. Not markupsafe's `Markup`, which does the same: the page is rendered inside the bot,
and filling places takes `Markup` three times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from nightdesk_core.text import clean


class Html(str):
    """HTML as it is shown: `Html("<b>{}</b>").format(text)` escapes the text."""

    __slots__ = ()

    def format(self, *parts: object, **named: object) -> Html:
        """Return it with its places filled: with HTML as it is, with anything else escaped."""
        filled = str.format(self, *map(escaped, parts), **{name: escaped(part) for name, part in named.items()})
        return Html(filled)  # noqa: S704 - escaped just now

    def join(self, parts: Iterable[object]) -> Html:
        """Return the parts, of which any that is no HTML is escaped, with this between them."""
        return Html(str.join(self, map(escaped, parts)))  # noqa: S704 - escaped just now

    def __add__(self, other: str) -> Html:
        return Html(str.__add__(self, escaped(other)))  # noqa: S704 - escaped just now

    def __radd__(self, other: str) -> Html:
        return escaped(other) + self


NOTHING = Html("")


def escaped(part: object) -> Html:
    """Return HTML as it is, and anything else as the text that it is."""
    if isinstance(part, Html):
        return part
    return Html(escape(clean(str(part))))  # noqa: S704 - escaped here
