"""Telegram: the Bot API's `sendMessage`, `sendChatAction` and `getMe`, their answers and their limits."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from aiohttp import web
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError

from nightdesk_sandbox.inbox.limits import Allowance, Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service, form_fields
from nightdesk_sandbox.inbox.telegram_markup import Formatted, MarkupError, utf16_length
from nightdesk_sandbox.inbox.telegram_message import formatted

_LONGEST_TEXT = 4096
_TOKEN = re.compile(r"([1-9]\d{0,15}):[\w-]{1,63}", re.ASCII)
_CHAT = re.compile(r"-?[1-9]\d{0,18}|@[A-Za-z]\w{3,31}", re.ASCII)
_NOT_FOUND = Refusal(404, "Not Found")


class _RefusalError(Exception):
    def __init__(self, description: str) -> None:
        self.refusal = Refusal(400, f"Bad Request: {description}")
        super().__init__(description)


class Telegram(Service):
    """Takes `/bot<token>/sendMessage` by GET and POST, as JSON and as a form, for any bot and any chat."""

    channel = "telegram"
    title = "Telegram"
    # What a bot may send to one group.
    allowances = (Allowance(20, 60),)
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "chat_not_found": Refusal(400, "Bad Request: chat not found"),
        "unauthorized": Refusal(401, "Unauthorized"),
        "bot_blocked": Refusal(403, "Forbidden: bot was blocked by the user"),
        "bot_kicked": Refusal(403, "Forbidden: bot was kicked from the group chat"),
        "not_a_member": Refusal(403, "Forbidden: bot is not a member of the channel chat"),
    }

    def endpoints(self) -> list[Endpoint]:
        """Return the Bot API's methods."""
        return [Endpoint(method, "/bot{token}/{method}", self.call) for method in ("GET", "POST")]

    async def call(self, request: web.Request) -> web.Response:
        """Answer a method of the Bot API; their names are in any case."""
        token = _TOKEN.fullmatch(request.match_info["token"])
        if token is None:
            return self.refused(Refusal(401, "Unauthorized: invalid token specified"))
        bot = {"id": int(token[1]), "is_bot": True, "first_name": "Nightdesk", "username": "nightdesk_sandbox_bot"}
        method = request.match_info["method"].lower()
        if method not in ("getme", "sendchataction", "sendmessage"):
            return self.refused(_NOT_FOUND)
        if method == "getme":
            return _ok({**bot, "can_join_groups": True, "can_read_all_group_messages": False})
        try:
            parameters = await _parameters(request)
            if method == "sendchataction":
                _chat_of(parameters)
                return _ok(True)
            return _ok(self._send(bot, parameters))
        except _RefusalError as error:
            return self.refused(error.refusal)

    def _send(self, bot: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
        text = _text(parameters)
        chat = _chat_of(parameters)
        self.count(chat)
        words = text.text.strip()
        title = words.split("\n", 1)[0][:256]
        kept = self.inbox.add(self.channel, title=title, text=words, raw=parameters, to=f"chat {chat}")
        result = {
            "message_id": kept.id,
            "from": bot,
            "chat": _chat(chat),
            "date": int(time.time()),
            "text": text.text,
        }
        return {**result, "entities": text.as_json()} if text.entities else result

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the Bot API's JSON, its number the same as HTTP's."""
        return _error(refusal.status, refusal.text)

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return the Bot API's JSON, which says in whole seconds when to come back."""
        seconds = math.ceil(standing.wait_seconds)
        text = f"Too Many Requests: retry after {seconds}"
        return _error(429, text, headers={"Retry-After": str(seconds)}, parameters={"retry_after": seconds})

    def broken(self, status: int) -> web.Response:
        """Return an error that explains nothing."""
        return _error(status, "Internal Server Error" if status == 500 else "Bad Gateway")


def _chat_of(parameters: dict[str, Any]) -> str:
    chat = str(parameters.get("chat_id", "")).strip()
    if not chat:
        raise _RefusalError("chat_id is empty")
    if not _CHAT.fullmatch(chat):
        raise _RefusalError("chat not found")
    return chat


def _ok(result: object) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _error(status: int, description: str, headers: Mapping[str, str] | None = None, **more: Any) -> web.Response:
    body = {"ok": False, "error_code": status, "description": description, **more}
    return web.json_response(body, status=status, headers=headers)


async def _parameters(request: web.Request) -> dict[str, Any]:
    """Return a call's parameters, which may stand in the address, in a form or in JSON."""
    parameters: dict[str, Any] = dict(request.query)
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return parameters | await form_fields(request)
    body = await request.read()
    if request.content_type != "application/json" or not body:
        return parameters
    try:
        raw = parse_json(body, source="the body")
    except InputError as error:
        raise _RefusalError("can't parse JSON object") from error
    if not isinstance(raw, dict):
        raise _RefusalError("JSON object expected")
    return parameters | raw


def _text(parameters: Mapping[str, Any]) -> Formatted:
    text = parameters.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _RefusalError("message text is empty")
    try:
        found = formatted(text, str(parameters.get("parse_mode") or ""))
    except MarkupError as error:
        raise _RefusalError(f"can't parse entities: {error}") from error
    except ValueError as error:
        raise _RefusalError(str(error)) from error
    if not found.text.strip():
        raise _RefusalError("message text is empty")
    if utf16_length(found.text) > _LONGEST_TEXT:
        raise _RefusalError("message is too long")
    return found


def _chat(chat: str) -> dict[str, Any]:
    if chat.startswith("@"):
        return {"id": -1001, "type": "channel", "title": chat[1:], "username": chat[1:]}
    number = int(chat)
    return (
        {"id": number, "type": "private", "first_name": "You"}
        if number > 0
        else {"id": number, "type": "supergroup" if chat.startswith("-100") else "group", "title": "Alerts"}
    )


SERVICE = Telegram
