"""A message to Slack: what its incoming webhooks take, and what it says.

Limits are those of Slack's documentation ("Incoming webhooks", "Attachments", "Block Kit").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError
from pydantic import BaseModel, ConfigDict, ValidationError

_MOST_ATTACHMENTS = 100
_MOST_BLOCKS = 50
_LONGEST_SECTION = 3000
_LONGEST_HEADER = 150
_KNOWN_BLOCKS = frozenset(
    {"actions", "context", "divider", "file", "header", "image", "input", "markdown", "rich_text", "section", "table"}
    | {"video"}
)
_REFERENCE = re.compile(r"<([^<>|\s]*)(?:\|([^<>]*))?>")


class SlackRefusalError(Exception):
    """Slack would refuse this message. `reason` is the word that it answers."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class _Part(BaseModel):
    """Slack ignores what it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AttachmentField(_Part):
    """A field of an attachment; two short ones stand side by side."""

    title: str = ""
    value: str = ""
    short: bool = False


class Attachment(_Part):
    """What hangs below a message, with a bar of its own colour."""

    fallback: str = ""
    color: str = ""
    pretext: str = ""
    author_name: str = ""
    title: str = ""
    title_link: str = ""
    text: str = ""
    fields: list[AttachmentField] = []
    footer: str = ""
    image_url: str = ""
    blocks: list[dict[str, Any]] = []

    def texts(self) -> list[str]:
        """Return all that a person reads, in Slack's order."""
        fields = [f"{field.title}: {field.value}" if field.title else field.value for field in self.fields]
        parts = [self.pretext, self.author_name, self.title, self.text, *fields, *block_texts(self.blocks), self.footer]
        return [part for part in parts if part.strip()]

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that Slack could show, also where no attachment can be."""
        return not (self.texts() or self.fallback.strip() or self.image_url)


class SlackMessage(_Part):
    """The payload of an incoming webhook."""

    text: str = ""
    channel: str = ""
    username: str = ""
    attachments: list[Attachment] = []
    blocks: list[dict[str, Any]] = []

    @property
    def title(self) -> str:
        """What a person reads first: a header, the first attachment's title, or the first line."""
        headers = [_text(block.get("text")) for block in self.blocks if block.get("type") == "header"]
        titles = [attachment.title for attachment in self.attachments if attachment.title]
        first = next(iter([*headers, *titles, *self._lines()]), "")
        return plain(first).strip().split("\n", 1)[0][:256]

    @property
    def body(self) -> str:
        """All that a person reads. With blocks, `text` is only what a notification says."""
        return "\n".join(plain(line) for line in self._lines())

    def _lines(self) -> list[str]:
        shown = block_texts(self.blocks) or ([self.text] if self.text.strip() else [])
        return [*shown, *(text for attachment in self.attachments for text in attachment.texts())]


def parse(body: bytes) -> tuple[SlackMessage, dict[str, Any]]:
    """Return a webhook call's message and its payload as received.

    Raises `SlackRefusalError` where Slack would refuse it.
    """
    try:
        raw = parse_json(body, source="the body")
    except InputError as error:
        raise SlackRefusalError("invalid_payload") from error
    if not isinstance(raw, dict):
        raise SlackRefusalError("invalid_payload")
    attachments = raw.get("attachments")
    if isinstance(attachments, list) and len(attachments) > _MOST_ATTACHMENTS:
        raise SlackRefusalError("too_many_attachments")
    try:
        message = parse_kept(raw)
    except ValidationError as error:
        blocks = error.errors()[0]["loc"][:1] == ("blocks",)
        raise SlackRefusalError("invalid_blocks_format" if blocks else "invalid_payload") from error
    if not all(_valid(block) for block in message.blocks) or len(message.blocks) > _MOST_BLOCKS:
        raise SlackRefusalError("invalid_blocks")
    if not message.text.strip() and not message.blocks:
        if not message.attachments:
            raise SlackRefusalError("no_text")
        if all(attachment.empty for attachment in message.attachments):
            raise SlackRefusalError("missing_text_or_fallback_or_attachments")
    return message, raw


def parse_kept(raw: Any) -> SlackMessage:
    """Return the message of a payload that was taken before. Raises `ValidationError` where it is none."""
    # Slack takes null for whatever is not there.
    return SlackMessage.model_validate(_without_nulls(raw))


def plain(text: str) -> str:
    """Return Slack's text as a person reads it: references as their labels, `&lt;` and its like as characters."""
    read = _REFERENCE.sub(lambda found: found[2] or found[1].removeprefix("!").removeprefix("mailto:"), text)
    return read.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def block_texts(blocks: list[dict[str, Any]]) -> list[str]:
    """Return the texts of blocks, one for each that has any."""
    return [text for text in map(block_text, blocks) if text.strip()]


def block_text(block: dict[str, Any]) -> str:
    """Return the text of one block, its parts a line each."""
    return "\n".join(_texts(block))


def _texts(block: dict[str, Any]) -> Iterator[str]:
    if block.get("type") == "rich_text":
        yield "".join(_leaves(block.get("elements")))
        return
    own = _text(block.get("text")) or _text(block.get("title")) or str(block.get("alt_text") or "")
    if own:
        yield own
    for key in ("fields", "elements"):
        parts = block.get(key)
        yield from (text for part in (parts if isinstance(parts, list) else []) if (text := _text(part)))


def _leaves(elements: Any) -> Iterator[str]:
    for element in elements if isinstance(elements, list) else []:
        if isinstance(element, dict):
            yield str(element.get("text") or element.get("url") or element.get("name") or "")
            yield from _leaves(element.get("elements"))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _text(value.get("text"))
    return value if isinstance(value, str) else ""


def _valid(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "section":
        text, fields = _text(block.get("text")), block.get("fields")
        return len(text) <= _LONGEST_SECTION and bool(text or fields)
    if kind == "header":
        return 0 < len(_text(block.get("text"))) <= _LONGEST_HEADER
    return kind in _KNOWN_BLOCKS


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
