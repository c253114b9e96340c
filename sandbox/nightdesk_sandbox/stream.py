"""The public websocket of the exchange: who listens to what, and the sending of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from nightdesk_sandbox import bybit
from nightdesk_sandbox.faults import Faults
from nightdesk_sandbox.update import Update

_LONGEST_QUEUE = 10_000
"""Messages that may wait for one client. Who is further behind is cut off, as an exchange does."""

_CLOSE_SECONDS = 1.0
"""How long a client has to answer a close."""


class Stream:
    """Takes connections, keeps what each subscribed to, and publishes to them.

    `on_subscription` is called after each message that subscribed to something.
    """

    def __init__(self, topics: Iterable[str], faults: Faults, *, on_subscription: Callable[[], None]) -> None:
        self._topics = frozenset(topics)
        self._faults = faults
        self._on_subscription = on_subscription
        self._connections: set[_Connection] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def subscribers(self) -> int:
        """How many clients have subscribed to anything."""
        return sum(bool(connection.topics) for connection in self._connections)

    def wanted(self, topic: str) -> bool:
        """Return whether anybody has subscribed to a topic."""
        return any(topic in connection.topics for connection in self._connections)

    def publish(self, update: Update) -> None:
        """Send an update, or what the faults make of it, to who has subscribed to its topic."""
        for message in self._faults.relay(update):
            text = message.text()
            for connection in self._connections:
                if message.topic in connection.topics:
                    connection.send(text)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if self._faults.refuse_connections:
            raise web.HTTPServiceUnavailable(text="connections are refused for now")
        socket = web.WebSocketResponse(timeout=_CLOSE_SECONDS, compress=False)
        await socket.prepare(request)
        connection = _Connection(socket, request)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._answer(connection, message.data)
        finally:
            self._connections.discard(connection)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
        return socket

    def _answer(self, connection: _Connection, text: str) -> None:
        request = _parse(text)
        op = request.get("op")
        if op == "ping":
            # A public stream answers a ping under its own name; only private ones say pong there.
            connection.reply(request, op="ping", message="pong")
        elif op in ("subscribe", "unsubscribe"):
            self._change_subscription(connection, request, op=op)
        else:
            connection.reply(request, op=str(op or ""), problem="invalid op")

    def _change_subscription(self, connection: _Connection, request: Mapping[str, Any], *, op: str) -> None:
        topics = request.get("args")
        problem = self._problem(connection, topics, op=op)
        if problem or not isinstance(topics, list):
            # One wrong topic refuses them all: so does Bybit.
            connection.reply(request, op=op, problem=problem)
            return
        connection.reply(request, op=op)
        if op == "unsubscribe":
            connection.topics.difference_update(topics)
            return
        connection.topics.update(topics)
        self._on_subscription()

    def _problem(self, connection: _Connection, topics: Any, *, op: str) -> str:
        if not isinstance(topics, list) or not topics:
            return "args must be a list of topics"
        for topic in topics:
            if not isinstance(topic, str) or topic not in self._topics:
                return f"handler not found,topic:{topic}"
            if op == "subscribe" and topic in connection.topics:
                return f"already subscribed,topic:{topic}"
        return ""


class _Connection:
    """One client: what it subscribed to, and what waits to be sent to it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.topics: set[str] = set()
        self._id = str(uuid.uuid4())
        self._socket = socket
        self._transport = request.transport
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_LONGEST_QUEUE)

    def reply(self, request: Mapping[str, Any], *, op: str, problem: str = "", message: str = "") -> None:
        """Answer a message of the client; `problem` makes it a refusal."""
        body = bybit.stream_reply(op=op, connection=self._id, request=request, problem=problem, message=message)
        self.send(json.dumps(body))

    def send(self, text: str) -> None:
        """Queue a message. A client that does not keep up is cut off: one of them must not hold up the market."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            logger.warning("a client is {:,} messages behind and is cut off", _LONGEST_QUEUE)
            if self._transport is not None:
                self._transport.abort()

    async def write(self) -> None:
        """Send what is queued for as long as the client is there."""
        with suppress(ConnectionError):
            while True:
                await self._socket.send_str(await self._waiting.get())

    async def close(self) -> None:
        """Close the connection; what waits is lost."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, drain=False)


def _parse(text: str) -> dict[str, Any]:
    """Return the object that a client sent, empty where it is none."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
