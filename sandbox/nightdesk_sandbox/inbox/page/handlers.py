"""What the browser asks for: the page, what is new on it, and the HTML of a mail."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web
from markupsafe import Markup

from nightdesk_sandbox.inbox.api import QueryError, labels_of, since_id_of
from nightdesk_sandbox.inbox.faults import InboxFaults
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.document import document, mail_document, main_part
from nightdesk_sandbox.inbox.store import Inbox

SHOWN = 100
"""Cards on one page."""
_LOOK_SECONDS = 1.0
_ALIVE_EVERY = 15
"""Looks without news after which the browser is told that the server is still there."""

_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


class InboxPage:
    """The handlers of the page. `closing` is set when the server ends."""

    def __init__(self, inbox: Inbox, faults: InboxFaults, *, closing: asyncio.Event) -> None:
        self._inbox = inbox
        self._faults = faults
        self._closing = closing

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/", self.page),
            web.get("/cards", self.cards),
            web.get("/live", self.live),
            web.get(r"/mail/{id:\d{1,15}}", self.mail),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Show the newest messages to a person, or those before the id `before`; narrowed as the JSON interface is."""
        nonce = secrets.token_urlsafe(16)
        text = document(self._main_part(request), labels=labels_of(request), status=self._status(), nonce=nonce)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return _html(text, policy=policy)

    async def cards(self, request: web.Request) -> web.Response:
        """Answer with the part of the page that another choice of messages changes."""
        return _html(self._main_part(request), policy="default-src 'none'; sandbox")

    def _main_part(self, request: web.Request) -> Markup:
        labels = labels_of(request)
        found = self._inbox.find(since_id=0, **labels)
        before = request.query.get("before", "")
        earlier = before.isascii() and before.isdigit()
        if earlier:
            found = [message for message in found if message.id < int(before[:15])]
        shown = list(reversed(found[-SHOWN:]))
        last_id = self._inbox.last_id
        return main_part(shown, labels=labels, last_id=last_id, older=len(found) > SHOWN, live=not earlier)

    async def mail(self, request: web.Request) -> web.Response:
        """Answer with a mail's HTML, to be framed: the browser runs, loads and submits nothing of it.

        It is a document of its own, as within the page's own policy it would lose its colours.
        """
        found = self._inbox.get(int(request.match_info["id"]))
        if found is None or found.html is None:
            return web.Response(status=404, text="there is no such mail")
        policy = (
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
        )
        return _html(mail_document(found.html), policy=policy)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send what is new as it comes, as server-sent events: `message`, `cleared` and `status`."""
        try:
            last_id = since_id_of(request)
        except QueryError as error:
            return web.json_response({"error": str(error)}, status=400)
        resumed = request.headers.get("Last-Event-ID", "")
        if resumed.isascii() and resumed.isdigit():
            last_id = int(resumed)
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._send_news(response, labels_of(request), last_id=last_id)
        except ConnectionResetError:
            # The browser has gone: there is nobody to tell.
            return response
        return response

    async def _send_news(self, response: web.StreamResponse, labels: dict[str, str], *, last_id: int) -> None:
        status: dict[str, Any] = {}
        clearings = self._inbox.clearings
        quiet = 0
        while not self._closing.is_set():
            was = status
            status = self._status()
            events = [
                _event("message", {"id": message.id, "html": card(message)}, event_id=message.id)
                for message in self._inbox.find(since_id=last_id, **labels)
            ]
            if clearings != self._inbox.clearings:
                clearings = self._inbox.clearings
                events.insert(0, _event("cleared", {}))
            if status != was:
                events.append(_event("status", status))
            quiet = 0 if events else quiet + 1
            if quiet == _ALIVE_EVERY:
                events.append(": still here\n\n")
                quiet = 0
            last_id = self._inbox.last_id
            if events:
                await response.write("".join(events).encode())
            else:
                await self._inbox.changed.wait(_LOOK_SECONDS)

    def _status(self) -> dict[str, Any]:
        return {"messages": len(self._inbox.find()), "faults": sorted(self._faults.remaining_seconds())}


def _html(text: str, *, policy: str) -> web.Response:
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _event(name: str, data: dict[str, Any], *, event_id: int | None = None) -> str:
    number = f"id: {event_id}\n" if event_id is not None else ""
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n"
