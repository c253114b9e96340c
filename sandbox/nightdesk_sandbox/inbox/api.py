"""The inbox's JSON interface, for tests and for people's scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.store import Inbox

LABELS = ("channel", "severity", "status", "bot", "contains")
_LONGEST_WAIT_SECONDS = 60.0


class QueryError(ValueError):
    """A query's parameter cannot be read. Its words name it."""


class Api:
    """The handlers that answer with messages. `closing` is set when the server ends."""

    def __init__(self, inbox: Inbox, *, closing: asyncio.Event) -> None:
        self._inbox = inbox
        self._closing = closing

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/api/messages", self.messages),
            web.get(r"/api/messages/{id:\d{1,15}}", self.message),
            web.delete("/api/messages", self.clear),
        ]

    async def messages(self, request: web.Request) -> web.Response:
        """Answer with the messages, oldest first, narrowed by `channel`, `severity`, `status`, `bot` and `contains`.

        Only those after `since_id`. With `wait`, a number of seconds, the answer comes as soon as there is one.
        """
        try:
            since_id = since_id_of(request)
            wait_seconds = _wait_seconds(request)
        except QueryError as error:
            return web.json_response({"error": str(error)}, status=400)
        found = await self._found(labels_of(request), since_id=since_id, wait_seconds=wait_seconds)
        body = {"last_id": self._inbox.last_id, "messages": [message.model_dump() for message in found]}
        return web.json_response(body)

    async def _found(self, labels: dict[str, str], *, since_id: int, wait_seconds: float) -> list[Message]:
        clock = asyncio.get_running_loop().time
        end = clock() + wait_seconds
        while True:
            found = self._inbox.find(since_id=since_id, **labels)
            left = end - clock()
            if found or left <= 0 or self._closing.is_set():
                return found
            await self._inbox.changed.wait(left)

    async def message(self, request: web.Request) -> web.Response:
        """Answer with one message, 404 where it is not there."""
        found = self._inbox.get(int(request.match_info["id"]))
        if found is None:
            return web.json_response({"error": "there is no such message"}, status=404)
        body: dict[str, Any] = found.model_dump()
        return web.json_response(body)

    async def clear(self, _request: web.Request) -> web.Response:
        """Forget all messages."""
        self._inbox.clear()
        return web.Response(status=204)


def labels_of(request: web.Request) -> dict[str, str]:
    """Return which messages a request asks for, as `Inbox.find` takes it."""
    return {name: request.query.get(name, "") for name in LABELS}


def since_id_of(request: web.Request) -> int:
    """Return the id after which a request wants messages. Raises `QueryError`."""
    text = request.query.get("since_id", "0")
    # Python would also take signs, underscores and other scripts' digits, and digits without end.
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise QueryError("since_id must be a whole number")
    return int(text)


def _wait_seconds(request: web.Request) -> float:
    try:
        seconds = float(request.query.get("wait", "0"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_WAIT_SECONDS:
        raise QueryError(f"wait must be a number of seconds, at most {_LONGEST_WAIT_SECONDS:g}")
    return seconds
