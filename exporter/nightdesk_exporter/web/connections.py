"""The open connections: how many there may be, which one has to make room, and how long each step of one may take."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field

from loguru import logger

from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.http_connection import HttpConnection
from nightdesk_exporter.web.peer import Peer
from nightdesk_exporter.web.request import HEAD_BYTES
from nightdesk_exporter.web.request_handler import RequestHandler

MOST_CONNECTIONS = 128
"""A TLS connection takes 256 kB of memory, so that all of them together take 32 MB."""

_HANDSHAKE_SECONDS = 5.0
_SHUTDOWN_SECONDS = 1.0
_ACCEPT_AGAIN_SECONDS = 0.05
_GRACE_SECONDS = 0.1
"""Who has just come, or was just answered, has so long to ask before having to make room."""
_LONG_SECONDS = 5.0
"""Whose answer is being made for longer makes room like one that waits: a collector hangs, or guesses are hashed."""


@dataclass(eq=False)
class _Open:
    address: str
    client: socket.socket
    peer: Peer = field(default_factory=Peer)
    task: asyncio.Task[None] | None = None
    transport: asyncio.WriteTransport | None = None


class Connections:
    """Accepts connections and serves each in a task of its own.

    Where there are too many, the one that has waited longest without a request makes room for the new one, who has a
    password last: so those who only hold connections shut out nobody. Where nobody waits, nobody is turned away either:
    the next is let in when one has ended, and until then each answer ends its connection.
    """

    def __init__(self, listener: socket.socket, handler: RequestHandler) -> None:
        self._listener = listener
        self._handler = handler
        self._ended = False
        self._crowded = False
        self._open: dict[_Open, None] = {}  # in the order of their coming
        self._tasks: set[asyncio.Task[None]] = set()
        """Also of those that had to make room, and have not ended yet."""

    def start(self) -> None:
        """Accept connections from now on, in the running loop."""
        self._crowded = False
        # Not `sock_accept`: cancelled at the wrong moment, it loses a socket.
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def end(self) -> None:
        """Accept no more, and end those that are open."""
        self._ended = True
        asyncio.get_running_loop().remove_reader(self._listener)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forked(self) -> None:
        """In a child, close the copies of all sockets. Not by their transports: the event loop's selector is shared."""
        for socket_ in (self._listener, *(each.client for each in self._open)):
            socket_.close()

    def _accept(self) -> None:
        if len(self._open) >= MOST_CONNECTIONS and not self._make_room(self._of_most_common_address()):
            self._pause()
            return
        try:
            client, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no file descriptor is left: ours go first, then those of the bot
            logger.trace("exporter: no connection accepted ({})", error.strerror)
            self._make_room(list(self._open))
            self._pause()
            return
        self._begin(client, str(address[0]))

    def _pause(self) -> None:
        """Accept nobody until a connection has ended, and look again soon however that goes."""
        self._crowded = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        loop.call_later(_ACCEPT_AGAIN_SECONDS, self._accept_again)

    def _accept_again(self) -> None:
        if self._crowded and not self._ended:
            self.start()

    def _begin(self, client: socket.socket, address: str) -> None:
        one = _Open(address, client)
        self._open[one] = None
        one.task = asyncio.get_running_loop().create_task(self._serve(one))
        self._tasks.add(one.task)
        # Here, not in the task: one that is cancelled at once never begins.
        one.task.add_done_callback(lambda task: self._end(one, task))

    def _of_most_common_address(self) -> list[_Open]:
        most, _ = Counter(each.address for each in self._open).most_common(1)[0]
        return [each for each in self._open if each.address == most]

    def _make_room(self, among: list[_Open]) -> bool:
        """End the one that is missed least, and return whether there is one that may be ended."""
        now = time.monotonic()
        waiting = [
            each for each in among if now - each.peer.since > (_LONG_SECONDS if each.peer.busy else _GRACE_SECONDS)
        ]
        if not waiting:
            return False
        # Who was never answered goes before who comes back regularly.
        first = min(waiting, key=lambda each: (each.peer.known, each.peer.answered > 0, each.peer.since))
        self._open.pop(first)
        if first.task is not None:
            first.task.cancel()
        return True

    def _end(self, one: _Open, task: asyncio.Task[None]) -> None:
        self._open.pop(one, None)
        self._tasks.discard(task)
        if one.transport is None:
            one.client.close()
        else:
            one.transport.abort()
        self._accept_again()

    async def _serve(self, one: _Open) -> None:
        config = self._handler.config()
        try:
            reader, writer = await _opened(one.client, config.tls)
            one.transport = writer.transport
            try:
                if _is_allowed(config, writer.transport):
                    http = HttpConnection(reader, writer, self._handler, one.peer, crowded=lambda: self._crowded)
                    await http.serve()
            finally:
                # However it ended: some versions of Python warn of a writer that is dropped open.
                writer.close()
            async with asyncio.timeout(_SHUTDOWN_SECONDS):
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            # What clients do is their business: with loguru's defaults even a debug message would be shown.
            logger.trace("exporter: a connection from {} ended ({})", one.address, type(error).__name__)


async def _opened(
    client: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of a connection, its handshake done."""
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=HEAD_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    limits = {"ssl_handshake_timeout": _HANDSHAKE_SECONDS, "ssl_shutdown_timeout": _SHUTDOWN_SECONDS} if tls else {}
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls, **limits)
    # Draining waits until all is sent, so that its deadline holds for the whole answer.
    transport.set_write_buffer_limits(0)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _is_allowed(config: WebConfig, transport: asyncio.WriteTransport) -> bool:
    """Return whether the client's certificate has one of the names that are let in, where the configuration has any."""
    if not config.allowed_sans:
        return True
    certificate = transport.get_extra_info("peercert") or {}  # verified
    return any(value in config.allowed_sans for _, value in certificate.get("subjectAltName", ()))
