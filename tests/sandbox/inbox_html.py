"""What the inbox's pages are made of, to find in them what is not theirs."""

from __future__ import annotations

import re
from html.parser import HTMLParser

HARMLESS_TAGS = frozenset(
    re.findall(
        r"\w+",
        "a article blockquote body button circle code dd details div dl dt em fieldset form h1 h2 head header hr html "
        "iframe input label legend li main meta noscript ol option p path pre rect s script section select span strong "
        "style summary svg time title u ul",
    )
)
ADDRESS = re.compile(r"https?://|api/messages/\d+$|mail/\d+$|#[\w-]+$|\?[\w=&%.~+-]+$")
"""What a page of the inbox leads to, or frames."""


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.doubled: list[str] = []
        """The tags that have an attribute twice."""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.doubled += [tag] if len(dict(attrs)) < len(attrs) else []
