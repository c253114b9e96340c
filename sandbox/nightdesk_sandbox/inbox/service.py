"""What the services that are spoken to over HTTP have in common, and the gate before them in which faults happen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from nightdesk_sandbox.inbox.faults import Error500, InboxFaults, RateLimit, Refuse, Silence, Slow
from nightdesk_sandbox.inbox.limits import Allowance, MessageLimits, Standing
from nightdesk_sandbox.inbox.message import Channel
from nightdesk_sandbox.inbox.store import Inbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Endpoint:
    """A path that a service answers, and how."""

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True)
class Refusal:
    """With which HTTP status, number and words a service refuses a message."""

    status: int
    text: str
    code: int = 0


class TooManyError(Exception):
    """A message was one too many; `standing` says when the next one is welcome."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        super().__init__(f"one message too many: the next in {standing.wait_seconds:.1f} s")


async def form_fields(request: web.Request) -> dict[str, str]:
    """Return the fields of a form that are text; none of one that cannot be read, which is then refused as empty."""
    try:
        fields = await request.post()
    except (LookupError, ValueError):  # no such character set, not in the one it names, or parts without an end
        return {}
    # UTF-7 may name half of a character, which no file takes.
    return {key: value.encode(errors="replace").decode() for key, value in fields.items() if isinstance(value, str)}


class Service(ABC):
    """One service. `limits` is None where any number of messages is taken."""

    channel: ClassVar[Channel]
    title: ClassVar[str]
    """What people call it."""
    allowances: ClassVar[tuple[Allowance, ...]] = ()
    """How many messages the real one takes in a time, by its documentation."""
    refusals: ClassVar[Mapping[str, Refusal]]
    """Why this service refuses messages for good, by the reason that a `refuse` fault names."""

    def __init__(self, inbox: Inbox, limits: MessageLimits | None) -> None:
        self.inbox = inbox
        self._limits = limits

    @abstractmethod
    def endpoints(self) -> list[Endpoint]:
        """Return what this service answers."""

    @abstractmethod
    def refused(self, refusal: Refusal) -> web.Response:
        """Return how this service words a refusal."""

    @abstractmethod
    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return how this service says that it was one message too many."""

    def broken(self, status: int) -> web.Response:
        """Return an error that explains nothing, as real ones do."""
        return web.Response(status=status, text="Internal Server Error" if status == 500 else "Service Unavailable")

    def count(self, to: str) -> Standing | None:
        """Count a message to an address. Raises `TooManyError` where it is one too many."""
        standing = self._limits.count(self.channel, to, self.allowances) if self._limits else None
        if standing is not None and standing.wait_seconds:
            raise TooManyError(standing)
        return standing


class Gate:
    """Stands before the services, and lets a request through unless a fault keeps it."""

    def __init__(self, faults: InboxFaults) -> None:
        self._faults = faults

    def routes(self, service: Service) -> list[web.RouteDef]:
        """Return the service's routes, with the gate before them."""
        return [
            web.route(endpoint.method, endpoint.path, self._guarded(service, endpoint.handler))
            for endpoint in service.endpoints()
        ]

    def _guarded(self, service: Service, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            faulty = await self._faulty(service, request, handler)
            if faulty is not None:
                return faulty
            try:
                return await handler(request)
            except TooManyError as error:
                return service.rate_limited(error.standing, path=request.path)

        return guarded

    async def _faulty(self, service: Service, request: web.Request, handler: Handler) -> web.StreamResponse | None:
        for met in self._faults.meet(service.channel):
            fault, remaining = met.fault, met.remaining_seconds
            match fault:
                case Slow():
                    await met.hold(fault.delay_seconds)
                case Silence():
                    if fault.taken:
                        await handler(request)
                    await met.hold(remaining)
                    return _hung_up(request)
                case RateLimit():
                    seconds = fault.retry_after_seconds or remaining
                    return service.rate_limited(Standing(1, 0, seconds, seconds), path=request.path)
                case Error500():
                    return service.broken(fault.status)
                case Refuse():
                    return service.refused(service.refusals[fault.reason])
        return None


def _hung_up(request: web.Request) -> web.Response:
    """End the connection without an answer; the response returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
