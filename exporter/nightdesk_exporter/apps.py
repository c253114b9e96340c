"""The exporter's pages in somebody else's web server: as ASGI and as WSGI application, with the same security.

Requests are answered on a thread of ours, by the handler that the exporter's own server has. What the other server must
see to is TLS, and how many connections there may be.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry

from nightdesk_exporter.errors import ExporterError, WebConfigError
from nightdesk_exporter.web.allowed_hosts import AllowedHosts, host_problems
from nightdesk_exporter.web.endpoints import Endpoints
from nightdesk_exporter.web.peer import Peer
from nightdesk_exporter.web.request import (
    MOST_FIELDS,
    HttpRequest,
    HttpResponse,
    RefusedError,
    all_headers,
    refusal,
)
from nightdesk_exporter.web.request_handler import ANSWER_SECONDS, RequestHandler
from nightdesk_exporter.web.watch import WatchedConfig

AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[dict[str, Any]], Awaitable[None]]],
    Coroutine[Any, Any, None],
]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_ENDED = "the bot has ended"
_FORKED = "this process was forked from the one that exports: start the exporter in the worker, after the fork"


class HostedPages:
    """Answers for other servers. Its thread begins with the first request, and ends with `close()`."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = ""

    def close(self) -> None:
        """Answer nothing any more."""
        with self._lock:
            self._over, loop, self._loop = _ENDED, self._loop, None
        self._handler.close()
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def forked(self) -> None:
        """In a child, where our thread does not live, say so in place of an answer."""
        self._lock, self._loop, self._over = threading.Lock(), None, _FORKED

    async def asgi(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request. Raises `RuntimeError` for a protocol other than HTTP, as ASGI wants it."""
        if scope["type"] != "http":
            raise RuntimeError(f"the exporter's pages know no {scope['type']}")
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root) if root else scope["path"]
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        response = await self._asgi_answer(scope, root, path, pairs)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers(response)]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def _asgi_answer(
        self, scope: Mapping[str, Any], root: str, path: str, pairs: Iterable[tuple[str, str]]
    ) -> HttpResponse:
        try:
            request = _request(scope["method"], root, path, scope["query_string"].decode("latin-1"), pairs)
            return await asyncio.wrap_future(self._answer(request))
        except RefusedError as error:
            return refusal(error)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer one request."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        try:
            query, root = environ.get("QUERY_STRING", ""), environ.get("SCRIPT_NAME", "")
            request = _request(method, root, path, query, _wsgi_headers(environ))
            response = self._answer(request).result(2 * ANSWER_SECONDS)
        except RefusedError as error:
            response = refusal(error)
        except TimeoutError:
            response = refusal(RefusedError(503, "no answer in time"))
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", self._headers(response))
        return [b"" if method == "HEAD" else response.body]

    def _answer(self, request: HttpRequest) -> Future[HttpResponse]:
        loop = self._running()
        return asyncio.run_coroutine_threadsafe(self._handler.response(request, Peer()), loop)

    def _headers(self, response: HttpResponse) -> list[tuple[str, str]]:
        return all_headers(response, self._handler.config().headers)

    def _running(self) -> asyncio.AbstractEventLoop:
        """Return the loop of our thread. Raises `RefusedError` where there is none any more."""
        with self._lock:
            if self._over:
                raise RefusedError(503, self._over)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="nightdesk-apps", daemon=True).start()
            return self._loop


def hosted_pages(
    registry: CollectorRegistry,
    *,
    web_config_file: Path | None,
    allowed_hosts: Sequence[str] | None,
    **pages: Any,
) -> HostedPages:
    """Return the pages for other servers; `pages` are the arguments of `Endpoints`.

    Raises `ExporterError` where a host is none, and `WebConfigError` where the file is no use, or has TLS: of who
    connects to the other server nothing is known here.
    """
    if problems := host_problems(allowed_hosts or ()):
        raise ExporterError(f"allowed_hosts: {'; '.join(problems)}")
    watched = WatchedConfig(web_config_file)
    if watched.has_tls and web_config_file is not None:
        raise WebConfigError(web_config_file, ["tls_server_config: the server that the pages are in sees to TLS"])
    hosts = AllowedHosts(allowed_hosts, loopback=True)
    return HostedPages(RequestHandler(Endpoints(registry, **pages), watched, hosts))


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _request(method: str, root: str, path: str, query: str, pairs: Iterable[tuple[str, str]]) -> HttpRequest:
    """Return a request that another server has read. Raises `RefusedError`."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        if name in ("authorization", "host") and name in headers:
            raise RefusedError(400, f"the header {name} is there twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if not path:
        raise RefusedError(308, "the pages lie below this", (("Location", f"{root}/"),))
    try:
        fields = parse_qs(query, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise RefusedError(400, "the address is malformed") from None
    return HttpRequest(method, path, fields, headers, (headers["host"],) if "host" in headers else ())


def _wsgi_headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-"), value
