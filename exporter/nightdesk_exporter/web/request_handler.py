"""What stands between a well-formed request and its endpoint: the rate, the name it was asked by, the password."""

from __future__ import annotations

import time

from nightdesk_core.browsers import foreign_page, is_local

from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.endpoints import Endpoints
from nightdesk_exporter.web.executor import BusyError, CoalescingExecutor
from nightdesk_exporter.web.passwords import Passwords
from nightdesk_exporter.web.rate import TokenBuckets
from nightdesk_exporter.web.request import HttpRequest, HttpResponse, RefusedError
from nightdesk_exporter.web.watch import WatchedConfig

_MOST_HASHES = 16
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="nightdesk", charset="UTF-8"'),)
_INSTEAD = "ask for http://127.0.0.1 or http://localhost with the same port, or set basic_auth_users"
_LATER = (("Retry-After", "1"),)


class RequestHandler:
    """Answers requests by the web configuration in force. `local` says whether only this machine reaches the server."""

    def __init__(self, endpoints: Endpoints, watched: WatchedConfig, *, local: bool) -> None:
        self._endpoints = endpoints
        self._watched = watched
        self._local = local
        self._buckets = TokenBuckets()
        self._hasher = CoalescingExecutor("nightdesk-passwords", most_waiting=_MOST_HASHES)
        self._passwords = Passwords(self._hasher)

    def config(self) -> WebConfig:
        """Return the web configuration in force."""
        return self._watched.current(now=time.monotonic())

    async def answer(self, request: HttpRequest, address: str) -> HttpResponse:
        """Return the answer to a request from an address. Raises `RefusedError` with the reason why there is none."""
        config = self.config()
        # Before the rate: a page that floods must not use up what scrapes need.
        if page := foreign_page(request.method, request.headers):
            raise RefusedError(403, f"this is not answered to {page}")
        if not self._buckets.take(address, config.rate, now=time.monotonic()):
            raise RefusedError(429, "too many requests from your address", _LATER)
        self._refuse_dns_rebinding(request, config)
        try:
            trusted = await self._is_trusted(request, config)
            if not trusted and not self._endpoints.is_public(request.path):
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
        if not self._local or config.users or config.tls is not None:
            return
        # Only HTTP/1.0 may come without one, and no browser speaks it.
        host = request.headers.get("host", "localhost")
        if not is_local(host):
            raise RefusedError(421, f"{host!r} is not answered without a password: {_INSTEAD}")

    async def _is_trusted(self, request: HttpRequest, config: WebConfig) -> bool:
        given = request.headers.get("authorization", "")
        return not config.users or (bool(given) and await self._passwords.allow(given, config.users))
