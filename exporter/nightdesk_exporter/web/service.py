"""What stands between a well-formed request and its endpoint: the rate, the password."""

from __future__ import annotations

import time

from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.endpoints import Endpoints
from nightdesk_exporter.web.passwords import Passwords
from nightdesk_exporter.web.rate import Buckets
from nightdesk_exporter.web.request import Answer, RefusedError, Request
from nightdesk_exporter.web.watch import WatchedConfig
from nightdesk_exporter.web.worker import BusyError, Worker

_MOST_HASHES = 16
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="nightdesk", charset="UTF-8"'),)
_LATER = (("Retry-After", "1"),)


class Service:
    """Answers requests by the web configuration in force."""

    def __init__(self, endpoints: Endpoints, watched: WatchedConfig) -> None:
        self._endpoints = endpoints
        self._watched = watched
        self._buckets = Buckets()
        self._hasher = Worker("nightdesk-passwords", most_waiting=_MOST_HASHES)
        self._passwords = Passwords(self._hasher)

    def config(self) -> WebConfig:
        """Return the web configuration in force."""
        return self._watched.current(now=time.monotonic())

    async def answer(self, request: Request, address: str) -> Answer:
        """Return the answer to a request from an address. Raises `RefusedError` with the reason why there is none."""
        config = self.config()
        if not self._buckets.take(address, config.rate, now=time.monotonic()):
            raise RefusedError(429, "too many requests from your address", _LATER)
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

    async def _is_trusted(self, request: Request, config: WebConfig) -> bool:
        given = request.headers.get("authorization", "")
        return not config.users or (bool(given) and await self._passwords.allow(given, config.users))
