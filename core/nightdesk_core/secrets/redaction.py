"""Secrets, hidden by value wherever they turn up in a log line: whole, in parts of a URL, encoded, within Base64."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from nightdesk_core.text import clean, told

HIDDEN = "***"
_SHORTEST = 4
"""A secret of fewer characters would hide half of every line."""
_SHORTEST_PART = 9
"""Of a URL: shorter ones are words of its path, such as `services`."""
_ESCAPE = re.compile("%[0-9A-F]{2}")
_LONGEST_TEXT = 50_000
_MOST_ITEMS = 1000
_DEEPEST = 20
_MOST_BITS = 4096
"""A whole number of more is written by no JSON library, and read by none."""


class Redaction:
    """Replaces secrets in text. `secrets` may be URLs that hold a token in their path, user or query."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {form for secret in secrets for part in _parts(secret) for form in _forms(part)}
        # The longest first: a URL goes whole before its token does.
        found = sorted(values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def text(self, value: str) -> str:
        """Return a text without secrets."""
        return value if self._pattern is None else self._pattern.sub(HIDDEN, value)

    def shown(self, value: object) -> str:
        """Return what an object says of itself as it may be shown: without secrets, and not without end."""
        text = self.text(told(value))
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]} … ({len(text) - _LONGEST_TEXT:,} characters more)"
        return clean(text)

    def everything(self, value: Any) -> Any:
        """Return a value as JSON can say it, without secrets in any of its texts. Never raises.

        What is no number of JSON (NaN) is a text. What has no end, as a list within itself, is cut, and says so.
        """
        return self._sayable(value, 0)

    def _sayable(self, value: Any, depth: int) -> Any:
        try:
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, int):
                bits = int.bit_length(value)
                return value if bits <= _MOST_BITS else f"<a whole number of {bits} bits>"
            if isinstance(value, float):
                return value if math.isfinite(value) else self.shown(value)
            if isinstance(value, (dict, list, tuple, set, frozenset)):
                return self._items(value, depth) if depth < _DEEPEST else "<nested too deep>"
            return self.shown(value)
        except Exception as error:  # noqa: BLE001 - somebody else's object; a log line must not raise into the loop
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"

    def _items(self, value: Any, depth: int) -> Any:
        """Return the items of a collection, the first thousand of them."""
        if isinstance(value, dict):
            pairs = islice(value.items(), _MOST_ITEMS)
            found = {self.shown(key): self._sayable(item, depth + 1) for key, item in pairs}
            return found | ({"…": f"{len(value) - _MOST_ITEMS:,} more"} if len(value) > _MOST_ITEMS else {})
        items = [self._sayable(item, depth + 1) for item in islice(value, _MOST_ITEMS)]
        return items + ([f"… {len(value) - _MOST_ITEMS:,} more"] if len(value) > _MOST_ITEMS else [])


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret, and what of a URL a library may quote alone: requests quotes the path, without the host."""
    secret = secret.strip()
    if len(secret) >= _SHORTEST:
        yield secret
    if "://" not in secret:
        return
    try:
        parts = urlsplit(secret)
    except ValueError:  # no URL after all
        return
    found = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query)), parts.username, parts.password]
    yield from (part for part in found if part and len(part) >= _SHORTEST_PART)


def _forms(part: str) -> Iterator[str]:
    """Yield a secret as it is, and as URLs, JSON, HTML, `repr` and Base64 write it."""
    yield part
    for quoted in (quote(part, safe=""), quote(part), quote_plus(part)):
        yield quoted
        yield _ESCAPE.sub(lambda found: found[0].lower(), quoted)
    yield escape(part)
    yield escape(part, quote=False)
    yield escape(part).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # as Go writes it
    yield from _within_base64(part)
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield repr(part)[1:-1]


def _within_base64(part: str) -> Iterator[str]:
    """Yield what Base64 makes of a secret that stands anywhere in what is encoded, as in `name:password`.

    Three bytes are four characters, so there are three ways, and the characters at the edges depend on the neighbours.
    """
    content = part.encode(errors="replace")
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        start = -(-before * 8 // 6)
        end = (before + len(content)) * 8 // 6
        if end - start >= _SHORTEST_PART:
            yield whole[start:end]
            yield whole[start:end].replace("+", "-").replace("/", "_")
