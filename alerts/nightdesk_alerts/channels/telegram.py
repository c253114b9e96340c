"""Telegram: the Bot API's `sendMessage`, with its HTML; `sendChatAction` asks whether it would be taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, Self

from nightdesk_alerts import wording
from nightdesk_alerts.addresses import url_problems, without_secrets
from nightdesk_alerts.channel import ChatChannel, Role, Secret, setting
from nightdesk_alerts.delivery.outcome import Moved, Refused
from nightdesk_alerts.delivery.web_response import judge
from nightdesk_alerts.moved_chats import is_group

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome
    from nightdesk_alerts.delivery.web import Web

_BAD_REQUEST = 400
_TOKEN = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class TelegramChannel(ChatChannel):
    """A Telegram chat that a bot writes to."""

    name = "telegram"
    title = "Telegram"
    how = (
        "write `/newbot` to @BotFather, keep the token; write to your bot, or add it to a group, then read the chat's "
        "number from `https://api.telegram.org/bot<token>/getUpdates`"
    )
    role = Role.CHAT
    receiver_kind = "telegram_configs"
    receiver = """\
bot_token_file: secrets/telegram_token
chat_id: -1  # the settings' own
parse_mode: HTML
message: '{{ template "nightdesk.telegram.message" . }}'
send_resolved: true
"""

    bot_token: str = field(
        repr=False,
        metadata=setting(
            "telegram_bot_token",
            "A Telegram bot's token, of @BotFather; needs telegram_chat_id.",
            secret=Secret("telegram_token", "the Telegram bot's token"),
        ),
    )
    chat_id: str = field(
        metadata=setting(
            "telegram_chat_id",
            "The number of the chat that the Telegram bot writes to; a group's is negative.",
            pattern=r"^(-?[1-9][0-9]{0,18})?$",
            digits=True,
        )
    )
    api_url: str = field(
        default="https://api.telegram.org",
        metadata=setting("telegram_api_url", "Where Telegram's Bot API is; change it for a server of your own."),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome | Moved:
        """Send to the chat; without markup where Telegram cannot read that. Raises `WebError` where nothing answers."""
        outcome, words = self._send(_marked_up(notification), notification, web, parse_mode="HTML")
        if isinstance(outcome, Refused) and "can't parse entities" in words:
            outcome, _ = self._send(_plain(notification), notification, web)
        return outcome

    def _send(self, text: str, notification: Notification, web: Web, **how: str) -> tuple[DeliveryOutcome | Moved, str]:
        """Return how it ended, and Telegram's own words."""
        payload = {"text": text, **how, "disable_web_page_preview": True}
        return self._call("sendMessage", payload, web, wall=notification.at)

    def ask(self, web: Web, *, wall: float) -> DeliveryOutcome | Moved:
        """Have the chat show for five seconds that the bot types. Raises `WebError` where nothing answers."""
        outcome, _ = self._call("sendChatAction", {"action": "typing"}, web, wall=wall)
        return outcome

    def _call(
        self, method: str, payload: dict[str, Any], web: Web, *, wall: float
    ) -> tuple[DeliveryOutcome | Moved, str]:
        url = f"{self.api_url.rstrip('/')}/bot{self.bot_token}/{method}"
        answer = web.post(url, {"chat_id": self.chat_id, **payload})
        said = answer.json()
        said = said if isinstance(said, dict) else {}
        parameters = said.get("parameters")
        parameters = parameters if isinstance(parameters, dict) else {}
        words = without_secrets(said.get("description"), f"{url}/{self.bot_token}")
        moved = str(parameters.get("migrate_to_chat_id"))
        if answer.status == _BAD_REQUEST and is_group(moved) and moved != self.chat_id:
            return Moved(moved), words
        return judge(answer, wall=wall, words=words, after_seconds=parameters.get("retry_after")), words

    @property
    def place(self) -> str:
        """The chat's number."""
        return self.chat_id

    def at(self, place: str) -> Self:
        """Return it with its chat at another number."""
        return replace(self, chat_id=place)

    def problems(self) -> Iterator[str]:
        """Yield whether the token is none, and whether the server's URL is no address."""
        if not _TOKEN.fullmatch(self.bot_token):
            yield "telegram_bot_token is no token: it must read 123456:letters, as @BotFather gives it"
        yield from url_problems("telegram_api_url", self.api_url)

    def receiver_values(self) -> dict[str, Any]:
        """Return the chat and the server."""
        return {"chat_id": int(self.chat_id), "api_url": self.api_url}


def _marked_up(notification: Notification) -> str:
    """Return the message in Telegram's HTML: about 800 characters at most, of the 4,096 that one may have."""
    lines = [
        f"<b>{_escaped(wording.title(notification))}</b>",
        f"<b>{_escaped(wording.summary(notification))}</b> {_escaped(wording.whom(notification))}",
        _escaped(wording.description(notification)),
        _escaped(wording.runbook(notification)),
    ]
    return "\n".join(line for line in lines if line)


def _plain(notification: Notification) -> str:
    """Return the same without markup."""
    lines = [
        wording.title(notification),
        f"{wording.summary(notification)} {wording.whom(notification)}",
        wording.description(notification),
        wording.runbook(notification),
    ]
    return "\n".join(line for line in lines if line)


def _escaped(text: str) -> str:
    return escape(text, quote=False)


CHANNEL = TelegramChannel
