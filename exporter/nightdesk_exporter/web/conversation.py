"""One connection's requests and answers, each step of them within a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from nightdesk_exporter.web.request import HEAD_BYTES, Answer, RefusedError, Request, json_answer, parse
from nightdesk_exporter.web.service import Service

_HEAD_SECONDS = 5.0
"""For the whole head, however its bytes trickle in."""
_IDLE_SECONDS = 120.0
"""Between two requests: longer than any usual scrape interval."""
_ANSWER_SECONDS = 30.0
_SENDING_SECONDS = 30.0
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1_000_000
_MOST_REQUESTS = 1_000
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(eq=False)
class Peer:
    """How a connection stands: whether its answer is being made, since when not (monotonic), and how many it had."""

    busy: bool = False
    since: float = field(default_factory=time.monotonic)
    answered: int = 0


class Conversation:
    """Reads requests and writes answers until one side has had enough."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service, address: str, peer: Peer
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._service = service
        self._address = address
        self._peer = peer

    async def hold(self) -> None:
        """Hold it to its end. Raises `TimeoutError` or `IncompleteReadError` where the client says no more."""
        try:
            while await self._exchange():
                pass
        except RefusedError as error:
            await self._send(None, refusal(error), keep_alive=False)
            await self._linger()

    async def _exchange(self) -> bool:
        """Answer one request, and return whether another may follow. Raises `RefusedError` for a malformed one."""
        request = parse(await self._head())
        self._peer.busy = True
        try:
            answer = await self._answer(request)
        finally:
            self._peer.busy = False
            self._peer.since = time.monotonic()
        self._peer.answered += 1
        keep_alive = request.keep_alive and self._peer.answered < _MOST_REQUESTS
        await self._send(request, answer, keep_alive=keep_alive)
        return keep_alive

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

    async def _answer(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._service.answer(request, self._address)
        except RefusedError as error:
            return refusal(error)
        except TimeoutError:
            return refusal(RefusedError(503, f"no answer within {_ANSWER_SECONDS:g} s"))

    async def _send(self, request: Request | None, answer: Answer, *, keep_alive: bool) -> None:
        head_only = request is not None and request.method == "HEAD"
        extra = self._service.config().headers
        self._writer.write(answer.encoded(head_only=head_only, keep_alive=keep_alive, extra=extra))
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


def refusal(error: RefusedError) -> Answer:
    """Return the answer that tells why there is none."""
    return json_answer(error.status, {"error": error.reason}, error.headers)
