"""Discord: executing a webhook, its answers and its limits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from zlib import crc32

from aiohttp import web

from nightdesk_sandbox.inbox import discord_message
from nightdesk_sandbox.inbox.limits import Allowance, Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service, form_fields


class Discord(Service):
    """Takes `POST /api/webhooks/<id>/<token>`, of any version of the API and with any id and token."""

    channel = "discord"
    title = "Discord"
    # What its X-RateLimit headers say of a webhook, and what a channel's webhooks may send in a minute.
    allowances = (Allowance(5, 2), Allowance(30, 60))
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "unknown_webhook": Refusal(404, "Unknown Webhook", 10015),
        "invalid_webhook_token": Refusal(401, "Invalid Webhook Token", 50027),
        "missing_access": Refusal(403, "Missing Access", 50001),
    }

    def endpoints(self) -> list[Endpoint]:
        """Return the webhook."""
        return [Endpoint("POST", r"/api/{version:(?:v\d+/)?}webhooks/{id}/{token}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take a message as Discord does: 204, or 200 and the message where the caller waits, or 400 and the reason."""
        standing = self.count(request.match_info["id"])
        headers = {} if standing is None else _headers(standing, path=request.path)
        try:
            message, raw = discord_message.parse(await _body(request))
        except discord_message.DiscordRefusalError as refusal:
            return web.json_response(refusal.body, status=400, headers=headers)
        webhook = request.match_info["id"]
        kept = self.inbox.add(self.channel, title=message.title, text=message.text, raw=raw, to=f"webhook {webhook}")
        if request.query.get("wait", "false").lower() != "true":
            return web.Response(status=204, headers=headers)
        answer: dict[str, Any] = {
            "id": str(kept.id),
            "type": 0,
            "webhook_id": webhook,
            "content": message.content or "",
            "embeds": raw.get("embeds", []),
            "timestamp": kept.received_at,
        }
        return web.json_response(answer, headers=headers)

    def refused(self, refusal: Refusal) -> web.Response:
        """Return Discord's JSON with its error code."""
        return web.json_response({"message": refusal.text, "code": refusal.code}, status=refusal.status)

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return Discord's JSON, which is exact to the millisecond, and its headers, of which `Retry-After` is not."""
        seconds = standing.wait_seconds
        return web.json_response(
            {"message": "You are being rate limited.", "retry_after": round(seconds, 3), "global": False},
            status=429,
            headers=_headers(standing, path=path)
            | {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": "user"},
        )


def _headers(standing: Standing, *, path: str) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(standing.limit),
        "X-RateLimit-Remaining": str(standing.left),
        "X-RateLimit-Reset": f"{time.time() + standing.reset_seconds:.3f}",
        "X-RateLimit-Reset-After": f"{standing.reset_seconds:.3f}",
        "X-RateLimit-Bucket": f"{crc32(path.encode()):08x}",
    }


async def _body(request: web.Request) -> bytes:
    """Return the JSON of a webhook call, which comes as a form's `payload_json` where a file goes with it."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    return (await form_fields(request)).get("payload_json", "").encode()


SERVICE = Discord
