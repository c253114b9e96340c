"""What stands between a well-formed request and its endpoint: the name it was asked by, the rate, the password."""

from __future__ import annotations

import asyncio
import time

from nightdesk_core.browsers import foreign_page

from nightdesk_exporter.web.allowed_hosts import AllowedHosts
from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.endpoints import Endpoints
from nightdesk_exporter.web.executor import BusyError, CoalescingExecutor
from nightdesk_exporter.web.passwords import Passwords
from nightdesk_exporter.web.peer import Peer
from nightdesk_exporter.web.request import HttpRequest, HttpResponse, RefusedError, refusal
from nightdesk_exporter.web.watch import WatchedConfig

ANSWER_SECONDS = 30.0
_MOST_HASHES = 128
"""As many as there are connections. Who guesses waits for the answer: told at once that too many wait, he would come
back at once."""
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="nightdesk", charset="UTF-8"'),)
_INSTEAD = (
    "ask for http://127.0.0.1 or http://localhost with the same port, name it in allowed_hosts, or set basic_auth_users"
)
_LATER = (("Retry-After", "1"),)


class RequestHandler:
    """Answers requests by the web configuration in force."""

    def __init__(self, endpoints: Endpoints, watched: WatchedConfig, hosts: AllowedHosts) -> None:
        self._endpoints = endpoints
        self._watched = watched
        self._hosts = hosts
        self._hasher = CoalescingExecutor("nightdesk-passwords", most_waiting=_MOST_HASHES, newest_first=True)
        self._passwords = Passwords(self._hasher)

    def config(self) -> WebConfig:
        """Return the web configuration in force."""
        return self._watched.current(now=time.monotonic())

    async def response(self, request: HttpRequest, peer: Peer) -> HttpResponse:
        """Return the answer to a peer's request, or why there is none, within thirty seconds."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.answer(request, peer)
        except RefusedError as error:
            return refusal(error)
        except TimeoutError:
            return refusal(RefusedError(503, f"no answer within {ANSWER_SECONDS:g} s"))

    async def answer(self, request: HttpRequest, peer: Peer) -> HttpResponse:
        """Return the answer to a peer's request. Raises `RefusedError` with the reason why there is none."""
        config = self.config()
        # Before the rate: a page that floods must not use up what scrapes need.
        if page := foreign_page(request.method, request.headers):
            raise RefusedError(403, f"this is not answered to {page}")
        self._refuse_dns_rebinding(request, config)
        peer.known = self._is_known(request, config)
        if not peer.known and not peer.bucket.take(config.rate, now=time.monotonic()):
            raise RefusedError(429, "too many requests on this connection", _LATER)
        try:
            public = self._endpoints.is_public(request.path)
            trusted = await self._is_trusted(request, config, public=public)
            if not trusted and not public:
                raise RefusedError(401, "a name and a password are needed", _CHALLENGE)
            return await self._endpoints.answer(request, trusted=trusted)
        except BusyError:
            raise RefusedError(503, "too many requests wait", _LATER) from None

    def close(self) -> None:
        """Let renderings stop, and the threads end."""
        self._endpoints.close()
        self._hasher.close()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads' ends."""
        self._endpoints.join(timeout_seconds)
        self._hasher.join(timeout_seconds)

    def _refuse_dns_rebinding(self, request: HttpRequest, config: WebConfig) -> None:
        if config.users or config.tls is not None:
            return
        for host in request.hosts:
            if not self._hosts.allows(host):
                raise RefusedError(421, f"{host!r} is not answered without a password: {_INSTEAD}")

    def _is_known(self, request: HttpRequest, config: WebConfig) -> bool:
        """Return whether the peer has shown who it is, as far as that costs nothing: no limit holds for it then."""
        if config.users:
            return self._passwords.is_known(request.headers.get("authorization", ""), config.users)
        return config.asks_for_certificates

    async def _is_trusted(self, request: HttpRequest, config: WebConfig, *, public: bool) -> bool:
        given = request.headers.get("authorization", "")
        try:
            return not config.users or (bool(given) and await self._passwords.allow(given, config.users))
        except BusyError:
            if public:
                return False
            raise
