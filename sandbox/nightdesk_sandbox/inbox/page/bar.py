"""The coloured bar at the side of an embed or an attachment."""

from __future__ import annotations

import re
from html import escape

_COLOUR = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NAMED = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}
"""What Slack calls by a name."""


def bar(colour: str) -> str:
    """Return a bar; grey for what is not a colour.

    It is a picture, as the page's policy lets no message choose a style.
    """
    found = _COLOUR.fullmatch(colour)
    fill = f"#{found[1]}" if found else _NAMED.get(colour, "")
    paint = f' fill="{escape(fill)}"' if fill else ""
    return f'<svg class="bar" aria-hidden="true"><rect width="100%" height="100%"{paint}/></svg>'
