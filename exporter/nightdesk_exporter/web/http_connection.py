"""One connection's requests and responses, each step of them within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import h11

from nightdesk_exporter.web.peer import Peer
from nightdesk_exporter.web.request import (
    HEAD_BYTES,
    HttpResponse,
    RefusedError,
    all_headers,
    next_request,
    refusal,
)
from nightdesk_exporter.web.request_handler import RequestHandler

_HEAD_SECONDS = 5.0
"""For the whole head, however its bytes trickle in."""
_IDLE_SECONDS = 120.0
"""Between two requests: longer than any usual scrape interval."""
_SENDING_SECONDS = 30.0
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1_000_000
_MOST_REQUESTS = 1_000
_END_OF_HEAD = b"\r\n\r\n"


class HttpConnection:
    """Reads requests and writes responses until one side has had enough.

    One request is read at a time: what a client sends ahead stays where it is until the request before is answered.
    While others wait to be let in (`crowded`), a connection of somebody unknown ends with its answer: so all have their
    turn.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: RequestHandler,
        peer: Peer,
        *,
        crowded: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._peer = peer
        self._crowded = crowded
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)

    async def serve(self) -> None:
        """Serve to the connection's end. Raises `TimeoutError` or `IncompleteReadError` where the client is silent."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
                await asyncio.sleep(0)  # what was sent ahead is not waited for: the others would never have their turn
        except RefusedError as error:
            await self._send(refusal(error), keep_alive=False)
            await self._linger()

    async def _exchange(self) -> bool:
        """Answer one request, and return whether another may follow. Raises `RefusedError` for a malformed one."""
        request = next_request(self._http, await self._head())
        self._peer.turn(busy=True)
        try:
            response = await self._handler.response(request, self._peer)
        finally:
            self._peer.turn(busy=False)
        self._peer.answered += 1
        keep_alive = self._peer.answered < _MOST_REQUESTS and (self._peer.known or not self._crowded())
        await self._send(response, keep_alive=keep_alive, head_only=request.method == "HEAD")
        return self._http.our_state is h11.DONE  # by what both sides said, the client's protocol among it

    async def _head(self) -> bytes:
        async with asyncio.timeout(_IDLE_SECONDS if self._peer.answered else _HEAD_SECONDS):
            first = await self._reader.readexactly(1)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                return first + await self._reader.readuntil(_END_OF_HEAD)
        except asyncio.LimitOverrunError:
            has_line = b"\n" in await self._reader.read(HEAD_BYTES)
            what = "headers are" if has_line else "address is"
            raise RefusedError(431 if has_line else 414, f"the {what} longer than {HEAD_BYTES} bytes") from None
        except TimeoutError:
            raise RefusedError(408, f"the request was not complete within {_HEAD_SECONDS:g} s") from None

    async def _send(self, response: HttpResponse, *, keep_alive: bool, head_only: bool = False) -> None:
        head = h11.Response(
            status_code=response.status,
            reason=HTTPStatus(response.status).phrase,
            headers=[
                *all_headers(response, self._handler.config().headers),
                # h11 says close in its place where the client wants that, or cannot keep a connection.
                ("Connection", "keep-alive" if keep_alive else "close"),
            ],
        )
        body = b"" if head_only else response.body
        parts = (self._http.send(head), self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage()))
        self._writer.write(b"".join(parts))
        async with asyncio.timeout(_SENDING_SECONDS):
            await self._writer.drain()

    async def _linger(self) -> None:
        """Read what a refused client still sends: closed on unread bytes, its side would drop our answer."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = _LINGER_BYTES
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (got := await self._reader.read(HEAD_BYTES)):
                left -= len(got)
