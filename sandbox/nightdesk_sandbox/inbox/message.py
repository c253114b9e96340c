"""A message that reached the inbox, in the one form in which every channel is shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from nightdesk_sandbox.inbox.services import known_services

MAIL = "email"


def channel_titles() -> dict[str, str]:
    """Return of each channel that there is, by its name, what people call it."""
    return {**{service.channel: service.title for service in known_services()}, MAIL: "E-mail"}


def channels() -> tuple[str, ...]:
    """Return the names of the channels that there are."""
    return tuple(channel_titles())


def _known(name: str) -> str:
    return _one_of(name, channels())


def _known_or_any(name: str) -> str:
    return _one_of(name, (*channels(), "any"))


def _one_of(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        listed = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
        raise PydanticCustomError("channel", "Input should be {listed}", {"listed": listed})
    return name


Channel = Annotated[str, AfterValidator(_known)]
"""The name of a channel."""
ChannelOrAny = Annotated[str, AfterValidator(_known_or_any)]
Status = Literal["firing", "resolved"]


class Message(BaseModel):
    """One message. `id` rises with every message and is never given twice; `received_at` is ISO 8601 in UTC.

    `to` is where in the channel it went: a webhook's id or name, a chat, recipients; never a token. `alertname`,
    `severity`, `status` and `bot` are None where the message does not plainly say them. `html` is a mail's HTML, and
    `raw` all that was received.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    received_at: str
    channel: Channel
    to: str = ""
    title: str
    text: str
    alertname: str | None
    severity: str | None
    status: Status | None
    bot: str | None = None
    html: str | None = None
    raw: Any

    def contains(self, words: str) -> bool:
        """Return whether the title or the text holds `words`, whatever their case."""
        return words.casefold() in f"{self.title}\n{self.text}".casefold()
