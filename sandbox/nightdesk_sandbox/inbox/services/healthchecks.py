"""healthchecks.io, as one's own server has it: pings below /ping, by a check's UUID, or by a ping key and a slug."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from aiohttp import web

from nightdesk_sandbox.inbox.limits import Allowance, Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service

_SLUG = re.compile(r"[a-z0-9_-]+")
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")
_ACTIONS = re.compile(r"start|fail|log|[0-9]{1,3}")
_METHODS = ("GET", "HEAD", "POST")
_LARGEST_EXIT_STATUS = 255
_LARGEST_BYTES = 100_000


class Healthchecks(Service):
    """Takes `/ping/<uuid>` and `/ping/<ping key>/<slug>`, with /start, /fail, /log or an exit status below it."""

    channel = "healthchecks"
    title = "Healthchecks"
    allowances = (Allowance(5, 60),)
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "not_found": Refusal(404, "not found"),
        "ambiguous_slug": Refusal(409, "ambiguous slug"),
        "rate_limited": Refusal(429, "rate limited"),
    }

    def endpoints(self) -> list[Endpoint]:
        """Return the ping."""
        return [Endpoint("*", "/ping/{tail:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take a ping as the real one does: `OK`, or the reason in words."""
        if request.method not in _METHODS:
            return self.refused(Refusal(405, ""))
        found = _check_and_action(request.match_info["tail"].split("/"))
        if found is None:
            return self.refused(Refusal(400, "invalid url format"))
        if not _is_run(request.query.get("rid", "")):
            return self.refused(Refusal(400, "invalid uuid format"))
        check, action = found
        self.count(check)
        body = (await request.content.read(_LARGEST_BYTES)).decode("utf-8", errors="replace")
        raw = {"method": request.method, "action": action, "body": body}
        self.inbox.add(self.channel, title=_title(action), text=body, raw=raw, to=check)
        return web.Response(text="OK")

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the reason as text."""
        return web.Response(text=refusal.text, status=refusal.status)

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return its words, and when to come back."""
        headers = {"Retry-After": str(math.ceil(standing.wait_seconds))}
        return web.Response(text="rate limited", status=429, headers=headers)


def _check_and_action(parts: list[str]) -> tuple[str, str] | None:
    """Return the check that a path names, shortened, and what is said of it; `None` for a path that is none."""
    match parts:
        case [check] if _is_uuid(check):
            return check[:8], ""
        case [check, action] if _is_uuid(check) and _is_action(action):
            return check[:8], action
        case [key, slug] if _KEY.fullmatch(key) and _SLUG.fullmatch(slug):
            return slug, ""
        case [key, slug, action] if _KEY.fullmatch(key) and _SLUG.fullmatch(slug) and _is_action(action):
            return slug, action
    return None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_run(text: str) -> bool:
    return not text or _is_uuid(text)


def _is_action(text: str) -> bool:
    return bool(_ACTIONS.fullmatch(text)) and (not text.isdigit() or int(text) <= _LARGEST_EXIT_STATUS)


def _title(action: str) -> str:
    if action in ("", "0"):
        return "success"
    return f"exit status {action}" if action.isdigit() else action


SERVICE = Healthchecks
