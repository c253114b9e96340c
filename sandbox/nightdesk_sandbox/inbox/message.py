"""A message that reached the inbox, in the one form in which every channel is shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Channel = Literal["discord", "slack", "telegram", "webhook", "email"]
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
