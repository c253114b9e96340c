"""The public websockets of the exchange: who listens to what, and the sending of it, in any venue's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from nightdesk_sandbox.dialect import Dialect, word
from nightdesk_sandbox.faults import Faults
from nightdesk_sandbox.update import Topic, Update

_LONGEST_QUEUE = 10_000
"""Messages that may wait for one client. Who is further behind is cut off, as an exchange does."""

_CLOSE_SECONDS = 1.0
"""How long a client has to answer a close."""


class Stream:
    """Takes connections, keeps what each subscribed to, and publishes to them.

    `on_subscription` is called after each message that subscribed to something.
    """

    def __init__(self, faults: Faults, *, on_subscription: Callable[[], None]) -> None:
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

    def wanted(self, topic: Topic) -> bool:
        """Return whether anybody has subscribed to a topic."""
        return any(topic in connection.topics for connection in self._connections)

    def publish(self, update: Update) -> None:
        """Send an update, or what the faults make of it, to who has subscribed to its topic."""
        for message in self._faults.relay(update):
            for connection in self._connections:
                if message.topic in connection.topics:
                    connection.send(word(message, connection.dialect))

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))

    async def serve(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        """Serve one connection, which speaks `dialect`, until it ends."""
        if self._faults.refuse_connections:
            raise web.HTTPServiceUnavailable(text="connections are refused for now")
        socket = web.WebSocketResponse(timeout=_CLOSE_SECONDS, compress=False)
        await socket.prepare(request)
        connection = _Connection(socket, request, dialect)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            self._subscribe(connection, dialect.opening)
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
        answer = connection.dialect.answer(text, subscribed=connection.topics)
        connection.send(json.dumps(answer.reply))
        connection.topics -= answer.unsubscribe
        self._subscribe(connection, answer.subscribe)

    def _subscribe(self, connection: _Connection, topics: frozenset[Topic]) -> None:
        if topics:
            connection.topics |= topics
            self._on_subscription()


class _Connection:
    """One client: how it speaks, what it subscribed to, and what waits to be sent to it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, dialect: Dialect) -> None:
        self.dialect = dialect
        self.topics: set[Topic] = set()
        self._socket = socket
        self._transport = request.transport
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_LONGEST_QUEUE)

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
