"""Formatted text as Telegram keeps it: plain words, and entities that say which of them are bold or a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class MarkupError(Exception):
    """A text cannot be parsed. Its words are those that Telegram appends to `can't parse entities: `."""


@dataclass(frozen=True)
class Entity:
    """The characters from `start` to `end` are of one `kind`; `detail` is a link's address or a code's language."""

    kind: str
    start: int
    end: int
    detail: str = ""


@dataclass(frozen=True)
class Formatted:
    """Plain text, and its entities, of which one may lie within another but none across another's end."""

    text: str
    entities: tuple[Entity, ...] = ()

    def as_json(self) -> list[dict[str, Any]]:
        """Return the entities as the Bot API has them: places and lengths count UTF-16 units."""
        found = []
        for entity in self.entities:
            item: dict[str, Any] = {
                "offset": utf16_length(self.text[: entity.start]),
                "length": utf16_length(self.text[entity.start : entity.end]),
                "type": entity.kind,
            }
            if entity.detail:
                item["url" if entity.kind == "text_link" else "language"] = entity.detail
            found.append(item)
        return found


def utf16_length(text: str) -> int:
    """Return how many UTF-16 units a text has, which is how Telegram counts."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def byte_offset(text: str, index: int) -> int:
    """Return at which byte of its UTF-8 a character of a text stands, which is how Telegram names a place."""
    return len(text[:index].encode("utf-8", errors="surrogatepass"))
