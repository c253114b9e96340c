"""Webhooks of any other receiver: takes all JSON, and knows Alertmanager's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError

from nightdesk_sandbox.inbox.alertmanager import notification
from nightdesk_sandbox.inbox.limits import Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service

_TITLE_KEYS = ("title", "subject", "summary", "name", "event")
_TEXT_KEYS = ("text", "message", "description", "body", "content")


class Webhook(Service):
    """Takes `POST /webhook/<name>`, with any name."""

    channel = "webhook"
    title = "Webhook"
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "unauthorized": Refusal(401, "Unauthorized"),
        "forbidden": Refusal(403, "Forbidden"),
        "not_found": Refusal(404, "Not Found"),
        "gone": Refusal(410, "Gone"),
    }

    def endpoints(self) -> list[Endpoint]:
        """Return the webhook."""
        return [Endpoint("POST", r"/webhook/{name:[\w.-]+}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take JSON; 400 for what is none."""
        name = request.match_info["name"]
        try:
            raw = parse_json(await request.read(), source="the body")
        except InputError:
            return web.json_response({"error": "the body is not JSON"}, status=400)
        known = notification(raw)
        if known is not None:
            title, text, labels = known.title, known.text, known.labels
        else:
            fields = raw if isinstance(raw, dict) else {}
            title = _first(fields, _TITLE_KEYS) or name
            text = _first(fields, _TEXT_KEYS) or json.dumps(raw, ensure_ascii=False)
            labels = None
        kept = self.inbox.add(self.channel, title=title[:256], text=text, raw=raw, to=name, labels=labels)
        return web.json_response({"ok": True, "id": kept.id})

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the reason as text."""
        return web.Response(text=refusal.text, status=refusal.status)

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return the plain form of 429."""
        headers = {"Retry-After": str(math.ceil(standing.wait_seconds))}
        return web.Response(text="Too Many Requests", status=429, headers=headers)


def _first(fields: Mapping[str, object], keys: tuple[str, ...]) -> str:
    return next((value for key in keys if isinstance(value := fields.get(key), str) and value.strip()), "")


SERVICE = Webhook
