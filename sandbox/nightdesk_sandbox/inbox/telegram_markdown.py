"""Telegram's MarkdownV2, in which every reserved character is markup or escaped, and its older Markdown."""

from __future__ import annotations

import re

from nightdesk_sandbox.inbox.telegram_markup import Entity, Formatted, MarkupError, byte_offset

_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_MARKS = {
    "```": ("pre", "Pre"),
    "__": ("underline", "Underline"),
    "||": ("spoiler", "Spoiler"),
    "`": ("code", "Code"),
    "_": ("italic", "Italic"),
    "*": ("bold", "Bold"),
    "~": ("strikethrough", "Strikethrough"),
}
_LINK = re.compile(r"\]\(((?:\\.|[^)\\])*)\)")
_LANGUAGE = re.compile(r"([^\s`]+)\n|\n")


class _Reader:
    """Reads one text from its begin to its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.written = ""
        self.entities: list[Entity | None] = []
        """In the order in which they open; None for one that is open, or that nothing is in."""
        self.opened: list[tuple[str, int, int, str, int]] = []
        """Of each open entity: its mark, where it begins in `text` and in `written`, a code's language, its place."""

    def write(self, character: str, *, read: int = 1) -> None:
        self.written += character
        self.position += read

    def open(self, mark: str, *, language: str = "", read: int) -> None:
        self.opened.append((mark, self.position, len(self.written), language, len(self.entities)))
        self.entities.append(None)
        self.position += read

    def close(self, kind: str, *, read: int, detail: str = "") -> None:
        _, _, since, language, place = self.opened.pop()
        if kind and len(self.written) > since:
            self.entities[place] = Entity(kind, since, len(self.written), detail or language)
        self.position += read

    def done(self) -> Formatted:
        return Formatted(self.written, tuple(entity for entity in self.entities if entity is not None))


def parse_markdown_v2(text: str) -> Formatted:
    """Return what a text in MarkdownV2 says.

    Raises `MarkupError` for a reserved character that is not escaped, and for an entity without an end.
    """
    reader = _Reader(text)
    while reader.position < len(text):
        here = reader.position
        inside = reader.opened[-1][0] if reader.opened else ""
        character = text[here]
        if character == "\\" and here + 1 < len(text) and ord(text[here + 1]) <= 126:
            reader.write(text[here + 1], read=2)
        elif character not in ("`" if inside in ("`", "```") else _RESERVED):
            reader.write(character)
        elif inside == "[" and character == "]":
            _close_link(reader)
        elif inside in _MARKS and _mark_at(text, here, inside) == inside:
            reader.close(_MARKS[inside][0], read=len(inside))
        elif inside not in ("`", "```"):
            _open(reader)
        else:
            reader.write(character)
    if reader.opened:
        mark, start, *_ = reader.opened[-1]
        name = "TextUrl" if mark == "[" else _MARKS[mark][1]
        raise MarkupError(f"Can't find end of {name} entity at byte offset {byte_offset(text, start)}")
    return reader.done()


def _mark_at(text: str, here: int, inside: str) -> str:
    """Return the mark at a place: the longest there is, but within one entity its own end where that is as long."""
    if inside in ("`", "```"):
        return inside if text.startswith(inside, here) else ""
    return next((mark for mark in _MARKS if text.startswith(mark, here)), "")


def _open(reader: _Reader) -> None:
    text, here = reader.text, reader.position
    mark = _mark_at(text, here, "")
    if mark == "```":
        language = _LANGUAGE.match(text, here + 3)
        reader.open(mark, language=language[1] or "" if language else "", read=language.end() - here if language else 3)
    elif mark:
        reader.open(mark, read=len(mark))
    elif text[here] == "[":
        reader.open("[", read=1)
    elif text[here] == ">" and (here == 0 or text[here - 1] == "\n"):
        # A quotation of one line; what it looks like makes no difference to what is refused.
        reader.position += 1
    else:
        raise MarkupError(f"Character '{text[here]}' is reserved and must be escaped with the preceding '\\'")


def _close_link(reader: _Reader) -> None:
    found = _LINK.match(reader.text, reader.position)
    if found is None:
        # Without an address it is not a link, and not a mistake either.
        reader.close("", read=1)
        return
    reader.close("text_link", read=found.end() - reader.position, detail=re.sub(r"\\(.)", r"\1", found[1]))


def parse_markdown(text: str) -> Formatted:
    """Return what a text in the older Markdown says, where no entity lies in another.

    Raises `MarkupError` for one without an end.
    """
    reader = _Reader(text)
    while reader.position < len(text):
        here = reader.position
        character = text[here]
        if character == "\\" and text[here + 1 : here + 2] in ("_", "*", "`", "["):
            reader.write(text[here + 1], read=2)
            continue
        mark = next((mark for mark in ("```", "`", "_", "*", "[") if text.startswith(mark, here)), "")
        if not mark:
            reader.write(character)
            continue
        end = text.find("]" if mark == "[" else mark, here + len(mark))
        if end < 0:
            raise MarkupError(f"Can't find end of the entity starting at byte offset {byte_offset(text, here)}")
        reader.open(mark, read=len(mark))
        reader.write(text[here + len(mark) : end], read=end - here - len(mark))
        if mark == "[":
            _close_link(reader)
        else:
            reader.close(_MARKS[mark][0], read=len(mark))
    return reader.done()
