"""The open connections: how many there may be, which one has to make room, and how long each step of one may take."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from dataclasses import dataclass, field

from loguru import logger

from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.http_connection import HttpConnection, Peer
from nightdesk_exporter.web.request import HEAD_BYTES
from nightdesk_exporter.web.request_handler import RequestHandler

MOST_CONNECTIONS = 128
MOST_FROM_ADDRESS = 100
"""Of one address. A TLS connection takes 256 kB of memory, so that all of them together take 32 MB."""

_HANDSHAKE_SECONDS = 5.0
_SHUTDOWN_SECONDS = 1.0
_ACCEPT_AGAIN_SECONDS = 0.1


@dataclass(eq=False)
class _Open:
    address: str
    client: socket.socket
    peer: Peer = field(default_factory=Peer)
    task: asyncio.Task[None] | None = None
    transport: asyncio.WriteTransport | None = None


class Connections:
    """Accepts connections and serves each in a task of its own.

    Where there are too many, the one that has waited longest without a request makes room for the new one: so those who
    only hold connections shut out nobody.
    """

    def __init__(self, listener: socket.socket, handler: RequestHandler) -> None:
        self._listener = listener
        self._handler = handler
        self._ended = False
        self._open: dict[_Open, None] = {}  # in the order of their coming

    def start(self) -> None:
        """Accept connections from now on, in the running loop."""
        # Not `sock_accept`: cancelled at the wrong moment, it loses a socket.
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def end(self) -> None:
        """Accept no more, and end those that are open."""
        self._ended = True
        asyncio.get_running_loop().remove_reader(self._listener)
        tasks = [each.task for each in self._open if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        try:
            client, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no file descriptor is left: ours go first, then those of the bot
            logger.trace("exporter: no connection accepted ({})", error.strerror)
            self._make_room(list(self._open))
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            loop.call_later(_ACCEPT_AGAIN_SECONDS, self._accept_again)
            return
        self._begin(client, str(address[0]))

    def _accept_again(self) -> None:
        if not self._ended:
            self.start()

    def _begin(self, client: socket.socket, address: str) -> None:
        same = [each for each in self._open if each.address == address]
        if len(same) >= MOST_FROM_ADDRESS:
            self._make_room(same)
        elif len(self._open) >= MOST_CONNECTIONS:
            most, _ = Counter(each.address for each in self._open).most_common(1)[0]
            self._make_room([each for each in self._open if each.address == most])
        if len(self._open) >= MOST_CONNECTIONS:
            client.close()  # all are being answered
            return
        one = _Open(address, client)
        self._open[one] = None
        one.task = asyncio.get_running_loop().create_task(self._serve(one))
        # Here, not in the task: one that is cancelled at once never begins.
        one.task.add_done_callback(lambda _: self._end(one))

    def _make_room(self, among: list[_Open]) -> None:
        waiting = [each for each in among if not each.peer.busy]
        if waiting:
            # Who was never answered goes before who comes back regularly.
            first = min(waiting, key=lambda each: (each.peer.answered > 0, each.peer.since))
            self._open.pop(first)
            if first.task is not None:
                first.task.cancel()

    def _end(self, one: _Open) -> None:
        self._open.pop(one, None)
        if one.transport is None:
            one.client.close()
        else:
            one.transport.abort()

    async def _serve(self, one: _Open) -> None:
        config = self._handler.config()
        try:
            reader, writer = await _opened(one.client, config.tls)
            one.transport = writer.transport
            try:
                if _is_allowed(config, writer.transport):
                    await HttpConnection(reader, writer, self._handler, one.address, one.peer).serve()
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
