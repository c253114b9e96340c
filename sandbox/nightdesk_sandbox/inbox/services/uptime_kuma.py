"""Uptime Kuma: the push address of a monitor, which takes the state as a parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from nightdesk_sandbox.inbox.limits import Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service

_TOKEN = re.compile(r"[A-Za-z0-9]{10}(?:[A-Za-z0-9]{10}|[A-Za-z0-9]{22})?")
"""Of 10 characters in its first release, of 20 and 32 in later ones."""
_MOST_PING = 100_000_000_000.0
_UNKNOWN = "Monitor not found or not active."


class UptimeKuma(Service):
    """Takes any method at `/api/push/<token>?status=up|down&msg=&ping=`."""

    channel = "uptime_kuma"
    title = "Uptime Kuma"
    refusals: ClassVar[Mapping[str, Refusal]] = {"not_found": Refusal(404, _UNKNOWN)}

    def endpoints(self) -> list[Endpoint]:
        """Return the push address."""
        return [Endpoint("*", "/api/push/{token}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take a push; 404 for a token of no monitor's, and for a ping that is too large."""
        if not _TOKEN.fullmatch(request.match_info["token"]):
            return self.refused(self.refusals["not_found"])
        ping = _number(request.query.get("ping", ""))
        if ping is not None and not 0 <= ping <= _MOST_PING:
            return self.refused(Refusal(404, "Invalid ping value. Must be between 0 and 100000000000 ms."))
        # As the real one has it: whatever is not up is down.
        status = "up" if request.query.get("status", "up") == "up" else "down"
        message = request.query.get("msg") or "OK"
        self.inbox.add(self.channel, title=status, text=message, raw={"status": status, "msg": message, "ping": ping})
        return web.json_response({"ok": True})

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the reason as it words it."""
        return web.json_response({"ok": False, "msg": refusal.text}, status=refusal.status)

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return what a proxy before it says: it has no limit itself."""
        return web.Response(text="Too Many Requests", status=429)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


SERVICE = UptimeKuma
