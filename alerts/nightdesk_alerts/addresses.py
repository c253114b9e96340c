"""Addresses of web services. They hold secrets: what is wrong with one is said without repeating it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from nightdesk_core.text import line

_SCHEMES = ("http", "https")
_SHORTEST_SECRET = 6


def url_problems(key: str, url: str) -> Iterator[str]:
    """Yield what is wrong with the URL that a setting holds; an empty one is none."""
    try:
        parts = urlsplit(url)
        wrong = bool(url) and (parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0)
    except ValueError:
        wrong = True
    if wrong or any(character.isspace() for character in url):
        yield f"{key} is no address: it must read https://host/…"


def without_secrets(text: object, url: str) -> str:
    """Return a service's words on one line; nothing where they repeat a part of its address."""
    words = " ".join(line(text).split()) if isinstance(text, str) else ""
    parts = urlsplit(url)
    secrets = [part for part in (*parts.path.split("/"), *parts.query.split("&"), parts.password or "") if part]
    return "" if any(len(part) >= _SHORTEST_SECRET and part in words for part in secrets) else words
