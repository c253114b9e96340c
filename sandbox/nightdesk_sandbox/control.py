"""The exchange's own controls under `/sandbox/`: its state, its faults, its clock; and a page that shows it."""

from __future__ import annotations

from html import escape
from typing import Any

from aiohttp import web

from nightdesk_sandbox.errors import FaultError
from nightdesk_sandbox.exchange import ReplayExchange
from nightdesk_sandbox.faults import parse_fault
from nightdesk_sandbox.page import page_response


class Control:
    """The handlers that look at one exchange and change it."""

    def __init__(self, exchange: ReplayExchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/", self.page),
            web.get("/healthz", self.health),
            web.get("/sandbox/status", self.status),
            web.post("/sandbox/fault", self.start_fault),
            web.delete("/sandbox/fault", self.clear_faults),
            web.post("/sandbox/pause", self.pause),
            web.post("/sandbox/resume", self.resume),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that the exchange is up."""
        return web.Response(text="ok\n")

    async def status(self, _request: web.Request) -> web.Response:
        """Answer with where the market stands."""
        return web.json_response(self._exchange.status())

    async def start_fault(self, request: web.Request) -> web.Response:
        """Begin a fault, such as `{"name": "drop", "seconds": 10}`."""
        try:
            fault = parse_fault(await request.read())
        except FaultError as error:
            return web.json_response({"error": str(error)}, status=400)
        await self._exchange.start_fault(fault)
        return web.json_response(self._exchange.status())

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """End all faults."""
        self._exchange.faults.clear()
        return web.json_response(self._exchange.status())

    async def pause(self, _request: web.Request) -> web.Response:
        """Stop the market's time."""
        self._exchange.pause()
        return web.json_response(self._exchange.status())

    async def resume(self, _request: web.Request) -> web.Response:
        """Let the market's time run, also where it is held for a first subscription."""
        self._exchange.run()
        return web.json_response(self._exchange.status())

    async def page(self, _request: web.Request) -> web.Response:
        """Show the state to a person; the page loads itself again every two seconds."""
        return page_response("Replay exchange", _table(self._exchange.status()), refresh_seconds=2)


def _table(status: dict[str, Any]) -> str:
    rows = []
    for name, value in status.items():
        shown = _faults(value) if name == "faults" else ", ".join(value) if isinstance(value, list) else str(value)
        rows.append(f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(shown)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _faults(remaining_seconds: dict[str, float]) -> str:
    return ", ".join(f"{fault} for {left:.0f} s" for fault, left in remaining_seconds.items()) or "none"
