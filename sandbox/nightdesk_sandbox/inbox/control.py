"""The inbox's own controls under `/sandbox/`: its state, and its faults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from nightdesk_sandbox.errors import FaultError
from nightdesk_sandbox.inbox.faults import InboxFaults, Refuse, parse_fault
from nightdesk_sandbox.inbox.store import Inbox


class InboxControl:
    """The handlers that look at one inbox and make it fail. `reasons` are those of `refuse`, by channel."""

    def __init__(self, inbox: Inbox, faults: InboxFaults, *, reasons: Mapping[str, Collection[str]]) -> None:
        self._inbox = inbox
        self._faults = faults
        self._reasons = reasons

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/sandbox/status", self.status),
            web.post("/sandbox/fault", self.start_fault),
            web.delete("/sandbox/fault", self.clear_faults),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        """Answer with how many messages there are, and which faults are on for how many seconds."""
        return web.json_response(self._status())

    async def start_fault(self, request: web.Request) -> web.Response:
        """Begin a fault, such as `{"name": "rate_limit", "channel": "discord", "seconds": 10}`."""
        try:
            fault = parse_fault(await request.read())
            if isinstance(fault, Refuse) and fault.reason not in self._reasons[fault.channel]:
                known = ", ".join(self._reasons[fault.channel])
                raise FaultError(f"reason: {fault.channel} has {known}")
        except FaultError as error:
            return web.json_response({"error": str(error)}, status=400)
        self._faults.start(fault)
        return web.json_response(self._status())

    async def clear_faults(self, request: web.Request) -> web.Response:
        """End all faults, or those that were started for the `channel` in the address."""
        self._faults.clear(request.query.get("channel", ""))
        return web.json_response(self._status())

    def _status(self) -> dict[str, Any]:
        return {
            "messages": len(self._inbox.find()),
            "last_id": self._inbox.last_id,
            "faults": self._faults.remaining_seconds(),
        }
