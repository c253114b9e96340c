"""What is served at which path."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from loguru import logger
from nightdesk_alerts.catalogue import ALERTS
from prometheus_client import CollectorRegistry

from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.web.executor import CoalescingExecutor
from nightdesk_exporter.web.exposition import StoppedError, exposition, gzip_wanted, scrape_request
from nightdesk_exporter.web.garbage_collection import GarbageCollectionPause
from nightdesk_exporter.web.request import Headers, HttpRequest, HttpResponse, RefusedError, json_response

_METHODS = ("GET", "HEAD")
_MOST_RENDERINGS = 16
_MOST_PAGES = 64


@dataclass(frozen=True)
class ServedPath:
    """What answers at a path. `trusted` tells it whether the client may see everything.

    One that is `public` answers without a password, too, and then says nothing about money.
    """

    answer: Callable[[HttpRequest, bool], Awaitable[HttpResponse]]
    public: bool = False


class Endpoints:
    """The exporter's paths. A further page is a further entry of `_routes`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        health: Callable[[], Health],
        stalled: Callable[[], str],
        status: Callable[[], dict[str, Any]],
        page: Callable[[], str] | None = None,
        pause_garbage_collection: bool = False,
    ) -> None:
        self._registry = registry
        self._stalled = stalled
        self._health = health
        self._status = status
        self._pauses_garbage_collection = pause_garbage_collection
        self._stopped = False
        self._logged: set[str] = set()
        # A collector that hangs must not silence /healthz.
        self._renderer = CoalescingExecutor("nightdesk-metrics", most_waiting=_MOST_RENDERINGS)
        self._pages = CoalescingExecutor("nightdesk-pages", most_waiting=_MOST_PAGES)
        self._routes = {
            **({} if page is None else {"/": ServedPath(partial(self._start_page, page))}),
            "/metrics": ServedPath(self._metrics),
            "/healthz": ServedPath(self._healthz, public=True),
            "/livez": ServedPath(self._livez, public=True),
            "/readyz": ServedPath(self._readyz, public=True),
            "/status": ServedPath(self._status_page),
        }
        self._runbooks = {} if page is None else {f"/runbooks/{alert.name}": alert.runbook for alert in ALERTS}

    def is_public(self, path: str) -> bool:
        """Return whether a path is answered without a password."""
        return path in self._routes and self._routes[path].public

    async def answer(self, request: HttpRequest, *, trusted: bool) -> HttpResponse:
        """Return the answer to a request. Raises `RefusedError`, or `BusyError` where too many wait."""
        route = self._routes.get(request.path)
        if request.path in self._runbooks:
            route = ServedPath(self._runbook)
        if route is None:
            *others, last = self._routes
            raise RefusedError(404, f"there is no {request.path}; try {', '.join(others)} or {last}")
        if request.method not in _METHODS:
            raise RefusedError(405, "only GET and HEAD are answered", (("Allow", ", ".join(_METHODS)),))
        return await route.answer(request, trusted)

    def close(self) -> None:
        """Let a rendering stop, and the threads end."""
        self._stopped = True
        for executor in (self._renderer, self._pages):
            executor.close()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads' ends."""
        for executor in (self._renderer, self._pages):
            executor.join(timeout_seconds)

    async def _metrics(self, request: HttpRequest, _: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        asked = scrape_request(
            accept=request.headers.get("accept", ""),
            accept_encoding=request.headers.get("accept-encoding", ""),
            names=request.query.get("name[]", ()),
        )
        pause = GarbageCollectionPause() if self._pauses_garbage_collection else None

        def render() -> bytes:
            with pause or nullcontext():
                return exposition(self._registry, asked, stopped=lambda: self._stopped)

        try:
            work = self._guarded("/metrics", render, StoppedError)
            body = await self._renderer.do(asked, work, first=asked.is_usual)
        finally:
            if pause is not None:
                pause.end()  # after the answer's deadline, too: a collector may hang for ever
        headers = [("Content-Type", asked.content_type), ("Vary", "Accept, Accept-Encoding")]
        if asked.packed:
            headers.append(("Content-Encoding", "gzip"))
        return HttpResponse(200, body, tuple(headers))

    async def _healthz(self, _: HttpRequest, trusted: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        health = await self._assessed()
        answer: dict[str, Any] = {"status": health.verdict}
        if trusted:  # the causes name drawdowns and losses
            answer["issues"] = await self._pages.do("issues", self._guarded("health", partial(_shown, health)))
        return json_response(503 if health.verdict is Verdict.UNHEALTHY else 200, answer)

    async def _livez(self, _: HttpRequest, __: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        """Alive is a bot whose loop turns. Who asks may kill it: so nothing that others ask for delays the answer."""
        cause = self._guarded("/livez", self._stalled)()
        return json_response(503 if cause else 200, {"alive": not cause, **({"cause": cause} if cause else {})})

    async def _readyz(self, _: HttpRequest, __: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        """Ready is a bot whose loop turns, and that has what it trades by: exchange, candles, model, disk."""
        health = await self._assessed()
        return json_response(200 if health.ready else 503, {"ready": health.ready, "status": health.verdict})

    async def _status_page(self, _: HttpRequest, __: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        return json_response(200, await self._pages.do("status", self._guarded("/status", self._status)))

    async def _start_page(self, page: Callable[[], str], request: HttpRequest, _: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        packed = gzip_wanted(request.headers.get("accept-encoding", ""))

        def render() -> tuple[bytes, Headers]:
            from nightdesk_exporter.page import HEADERS  # loaded for the first who looks at the page

            text = page().encode()
            return gzip.compress(text, compresslevel=1) if packed else text, HEADERS

        body, own = await self._pages.do(("page", packed), self._guarded("/", render))
        headers = [*own, ("Vary", "Accept-Encoding")]
        if packed:
            headers.append(("Content-Encoding", "gzip"))
        return HttpResponse(200, body, tuple(headers))

    async def _runbook(self, request: HttpRequest, _: bool) -> HttpResponse:  # noqa: FBT001 - a route's signature
        from nightdesk_exporter.page.runbooks import runbook  # loaded for the first who reads one

        path = self._runbooks[request.path]
        text = await self._pages.do(path, self._guarded("a runbook", partial(runbook, path)))
        if text is None:
            raise RefusedError(404, f"this installation lacks {path}; install nightdesk again")
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
        return HttpResponse(200, text.encode(), headers)

    async def _assessed(self) -> Health:
        return await self._pages.do("health", self._guarded("health", self._health))

    def _guarded(self, what: str, work: Callable[[], Any], *passed: type[Exception]) -> Callable[[], Any]:
        """Return work that answers 500 where it raises, and is logged with its trace once for each kind of error."""

        def guarded() -> Any:
            try:
                return work()
            except passed:
                raise
            except Exception as error:
                cause = f"{what}: {type(error).__name__}"
                if cause not in self._logged:
                    self._logged.add(cause)
                    logger.opt(exception=error).error("exporter: {} cannot be answered", what)
                raise RefusedError(500, f"{cause}; the log says more") from error

        return guarded


def _shown(health: Health) -> list[dict[str, Any]]:
    return [issue.to_json() for issue in health.issues]
