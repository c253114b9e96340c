"""Telegram's HTML parse mode: a dozen tags, well nested, and nothing else between angle brackets."""

from __future__ import annotations

import re
from html import unescape

from nightdesk_sandbox.inbox.telegram_markup import Entity, Formatted, MarkupError, byte_offset

_KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("tg-spoiler", "span"), "spoiler"),
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_TAG = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))|([a-zA-Z-]+)""")
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")


def parse_html(text: str) -> Formatted:
    """Return what a text in Telegram's HTML says. Raises `MarkupError` for a tag it does not know, or not closed."""
    pieces: list[str] = []
    length = position = 0
    # In the order in which they open, so that an outer entity stands before the inner of the same words.
    entities: list[Entity | None] = []
    opened: list[tuple[str, int, str, int]] = []
    while position < len(text):
        start = text.find("<", position)
        words = _characters(text[position : start if start >= 0 else len(text)])
        pieces.append(words)
        length += len(words)
        if start < 0:
            break
        closing, name, attributes, position = _tag_at(text, start)
        if not closing:
            opened.append((name, length, _detail(name, attributes), len(entities)))
            entities.append(None)
            continue
        if not opened:
            raise MarkupError(f"Unexpected end tag at byte offset {byte_offset(text, start)}")
        expected, since, detail, place = opened.pop()
        if name not in ("", expected):
            where = f"at byte offset {byte_offset(text, start)}"
            raise MarkupError(f'Unmatched end tag {where}, expected "</{expected}>", found "</{name}>"')
        if length > since:
            entities[place] = Entity(_KINDS[expected], since, length, detail)
    if opened:
        raise MarkupError(f'Can\'t find end tag corresponding to start tag "{opened[-1][0]}"')
    return Formatted("".join(pieces), tuple(entity for entity in entities if entity is not None))


def _tag_at(text: str, start: int) -> tuple[bool, str, str, int]:
    """Return whether a tag closes, its name, its attributes, and where the text goes on."""
    found = _TAG.match(text, start)
    place = byte_offset(text, start)
    closing = text.startswith("</", start)
    if found is None:
        # What has no end may still have a name that is not allowed, which Telegram sees first.
        name = re.split(r"[\s<>/]", text[start + 1 + closing :], maxsplit=1)[0].lower()
        if closing or name in _KINDS:
            raise MarkupError(f"Unclosed {'end' if closing else 'start'} tag at byte offset {place}")
        raise MarkupError(f'Unsupported start tag "{name}" at byte offset {place}')
    name = found[2].lower()
    if not closing and name not in _KINDS:
        raise MarkupError(f'Unsupported start tag "{name}" at byte offset {place}')
    if not closing and name == "span" and _attributes(found[3]).get("class") != "tg-spoiler":
        raise MarkupError(f'Tag "span" must have class "tg-spoiler" at byte offset {place}')
    return closing, name, found[3], found.end()


def _attributes(text: str) -> dict[str, str]:
    return {
        (found[1] or found[5]).lower(): unescape(found[2] or found[3] or found[4] or "")
        for found in _ATTRIBUTE.finditer(text)
    }


def _detail(name: str, attributes: str) -> str:
    if name == "a":
        return _attributes(attributes).get("href", "")
    return _attributes(attributes).get("class", "").removeprefix("language-") if name == "code" else ""


def _characters(text: str) -> str:
    """Return a text with the few character references that Telegram knows; any other stays as it is written."""
    return _CHARACTER.sub(lambda found: unescape(found[0]), text)
