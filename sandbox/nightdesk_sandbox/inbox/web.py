"""The inbox over HTTP: Discord's webhook, a JSON interface for tests and people's scripts, and a page."""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

from nightdesk_sandbox.inbox import discord_message as discord
from nightdesk_sandbox.inbox.page import inbox_page
from nightdesk_sandbox.inbox.store import Inbox


class InboxWeb:
    """The handlers of one inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def application(self) -> web.Application:
        """Return the inbox's routes."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.page),
                web.get("/healthz", self.health),
                web.get("/api/messages", self.messages),
                web.delete("/api/messages", self.clear),
                web.post("/api/webhooks/{id}/{token}", self.discord_webhook),
            ]
        )
        return application

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that the inbox is up."""
        return web.Response(text="ok\n")

    async def messages(self, request: web.Request) -> web.Response:
        """Answer with the messages, oldest first, narrowed by `channel`, `since_id` and `contains`."""
        since_id = request.query.get("since_id", "0")
        if not (since_id.isascii() and since_id.isdigit()):
            return web.json_response({"error": "since_id must be a whole number"}, status=400)
        found = self._inbox.find(
            channel=request.query.get("channel", ""),
            since_id=int(since_id),
            contains=request.query.get("contains", ""),
        )
        body = {"last_id": self._inbox.last_id, "messages": [message.model_dump() for message in found]}
        return web.json_response(body)

    async def clear(self, _request: web.Request) -> web.Response:
        """Forget all messages."""
        self._inbox.clear()
        return web.Response(status=204)

    async def discord_webhook(self, request: web.Request) -> web.Response:
        """Take a message as Discord does: 204, or 200 and the message where the caller waits, or 400 and the reason."""
        try:
            message, raw = discord.parse(await _body(request))
        except discord.DiscordRefusalError as refusal:
            return web.json_response(refusal.body, status=400)
        kept = self._inbox.add("discord", title=message.title, text=message.text, raw=raw)
        if request.query.get("wait", "false").lower() != "true":
            return web.Response(status=204)
        answer: dict[str, Any] = {
            "id": str(kept.id),
            "type": 0,
            "webhook_id": request.match_info["id"],
            "content": message.content or "",
            "embeds": raw.get("embeds", []),
            "timestamp": kept.received_at,
        }
        return web.json_response(answer)

    async def page(self, _request: web.Request) -> web.Response:
        """Show the messages to a person, newest first."""
        return inbox_page(self._inbox, nonce=secrets.token_urlsafe(16))


async def _body(request: web.Request) -> bytes:
    """Return the JSON of a webhook call, which comes as a form's `payload_json` where a file goes with it."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    payload = (await request.post()).get("payload_json", "")
    return payload.encode() if isinstance(payload, str) else b""
