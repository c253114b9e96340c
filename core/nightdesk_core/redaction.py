"""Secrets, hidden by value wherever they turn up in a log line: whole, in parts of a URL, encoded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

HIDDEN = "***"
_SHORTEST = 4
"""A secret of fewer characters would hide half of every line."""
_SHORTEST_PART = 9
"""Of a URL: shorter ones are words of its path, such as `services`."""


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

    def everything(self, value: Any) -> Any:
        """Return a value as JSON can say it, without secrets in any of its texts."""
        if isinstance(value, dict):
            return {self.text(str(key)): self.everything(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set)):
            return [self.everything(item) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        try:
            return self.text(str(value))
        except Exception as error:  # noqa: BLE001 - somebody else's __str__; a log line must not raise into the loop
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


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
    """Yield a secret as it is, and as URLs, JSON and `repr` write it."""
    yield part
    yield quote(part, safe="")
    yield quote_plus(part)
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield repr(part)[1:-1]
