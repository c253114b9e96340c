"""Discord's webhook: what it takes, what it refuses and in which words, and what a message of it says.

Limits and error codes are those of Discord's documentation ("Execute Webhook", "Embed Limits", "JSON error codes").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

_TOTAL_EMBED_TEXT = 6000
_WRITTEN_OUT = re.compile(r"\\([!-/:-@\[-`{-~])")
_PLACES = {"MAX_EMBED_SIZE_EXCEEDED": ("embeds",)}
"""Where a problem belongs that concerns several keys."""
INVALID_FORM_BODY = 50035
EMPTY_MESSAGE = 50006
INVALID_JSON = 50109


class DiscordRefusalError(Exception):
    """Discord would refuse this message. `body` is the JSON that it answers with HTTP 400."""

    def __init__(self, code: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        self.body: dict[str, Any] = {"message": message, "code": code}
        if errors:
            self.body["errors"] = dict(errors)
        super().__init__(message)


def _link(value: str) -> str:
    if not value.startswith(("http://", "https://", "attachment://")) or any(c.isspace() for c in value):
        raise PydanticCustomError("URL_TYPE_INVALID_URL", "Not a well formed URL.")
    return value


Link = Annotated[str, Field(max_length=2048), AfterValidator(_link)]


class _Part(BaseModel):
    """Discord ignores what it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Footer(_Part):
    text: str = Field("", max_length=2048)
    icon_url: Link | None = None


class _Author(_Part):
    name: str = Field("", max_length=256)
    url: Link | None = None
    icon_url: Link | None = None


class _Picture(_Part):
    url: Link


class _NamedValue(_Part):
    name: str = Field(min_length=1, max_length=256)
    value: str = Field(min_length=1, max_length=1024)
    inline: bool | None = None


class Embed(_Part):
    """What hangs below a message, with a bar of its own colour."""

    title: str | None = Field(None, max_length=256)
    description: str | None = Field(None, max_length=4096)
    url: Link | None = None
    color: int | None = Field(None, ge=0, le=0xFFFFFF)
    timestamp: datetime | None = None
    fields: list[_NamedValue] = Field([], max_length=25)
    footer: _Footer | None = None
    author: _Author | None = None
    image: _Picture | None = None
    thumbnail: _Picture | None = None

    def texts(self) -> list[str]:
        """Return what counts towards the limit of all embeds together."""
        named = [text for field in self.fields for text in (field.name, field.value)]
        footer = self.footer.text if self.footer else ""
        author = self.author.name if self.author else ""
        return [self.title or "", self.description or "", *named, footer, author]


class DiscordMessage(_Part):
    """The body of a webhook call, within Discord's limits."""

    content: str | None = Field(None, max_length=2000)
    username: str | None = Field(None, min_length=1, max_length=80)
    avatar_url: Link | None = None
    embeds: list[Embed] = Field([], max_length=10)

    @model_validator(mode="after")
    def _embeds_are_not_too_long_together(self) -> DiscordMessage:
        total = sum(len(text) for embed in self.embeds for text in embed.texts())
        if total > _TOTAL_EMBED_TEXT:
            raise PydanticCustomError(
                "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of {most}", {"most": _TOTAL_EMBED_TEXT}
            )
        return self

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        shown = any(any(embed.texts()) or embed.image or embed.thumbnail for embed in self.embeds)
        return not (self.content or "").strip() and not shown

    @property
    def title(self) -> str:
        """What a person reads first: the first embed's title, or the content's first line."""
        titles = [embed.title for embed in self.embeds if embed.title]
        return _read(titles[0] if titles else (self.content or "").strip().split("\n", 1)[0][:256])

    @property
    def text(self) -> str:
        """All that a person reads, in Discord's order."""
        parts = [self.content or ""]
        for embed in self.embeds:
            parts += [embed.author.name if embed.author else "", embed.title or "", embed.description or ""]
            parts += [f"{field.name}: {field.value}" for field in embed.fields]
            parts.append(embed.footer.text if embed.footer else "")
        return _read("\n".join(part for part in parts if part.strip()))


def _read(text: str) -> str:
    """Return Markdown as a person reads it whose sender has written its characters out."""
    return _WRITTEN_OUT.sub(r"\1", text)


def parse(body: bytes) -> tuple[DiscordMessage, dict[str, Any]]:
    """Return a webhook call's message and its body as received.

    Raises `DiscordRefusalError` where Discord would refuse it.
    """
    try:
        raw = parse_json(body, source="the body")
    except InputError as error:
        raise DiscordRefusalError(INVALID_JSON, "The request body contains invalid JSON.") from error
    try:
        message = DiscordMessage.model_validate(raw)
    except ValidationError as error:
        raise DiscordRefusalError(INVALID_FORM_BODY, "Invalid Form Body", _errors(error)) from error
    if message.empty:
        raise DiscordRefusalError(EMPTY_MESSAGE, "Cannot send an empty message")
    return message, raw


def _errors(error: ValidationError) -> dict[str, Any]:
    """Return the problems nested by their place, each a list under `_errors`, as Discord nests them."""
    tree: dict[str, Any] = {}
    for item in error.errors(include_url=False, include_input=False):
        node = tree
        for part in item["loc"] or _PLACES.get(item["type"], ()):
            node = node.setdefault(str(part), {})
        code, text = _wording(item["type"], item["msg"], item.get("ctx", {}))
        node.setdefault("_errors", []).append({"code": code, "message": text})
    return tree


def _wording(kind: str, message: str, context: Mapping[str, Any]) -> tuple[str, str]:
    if kind in ("string_too_long", "too_long"):
        unit = " in length" if kind == "string_too_long" else ""
        return "BASE_TYPE_MAX_LENGTH", f"Must be {context['max_length']} or fewer{unit}."
    if kind in ("missing", "string_too_short"):
        return "BASE_TYPE_REQUIRED", "This field is required"
    return (kind, message) if kind.isupper() else ("BASE_TYPE_BAD_VALUE", message)
