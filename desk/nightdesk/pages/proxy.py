"""Passes requests on to a server, with the machine's password, and the answers back without it."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from loguru import logger
from nightdesk_core.settings import SettingsError
from yarl import URL

from nightdesk.pages.upstream import Upstream
from nightdesk.passwords import authorization
from nightdesk.settings import Settings

_MOST_AT_ONCE = 32
_PIECE_BYTES = 65_536
_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)
"""Prometheus gives a query two minutes."""

# What is not named here stays where it is: passwords, cookies, what concerns one connection alone.
_ASKED = ("Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "If-Modified-Since", "If-None-Match")
_ANSWERED = (
    "Cache-Control",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Vary",
)


class Proxy:
    """Asks the servers of the settings. A context manager, in a running loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Proxy:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MOST_AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            auto_decompress=False,  # bodies are passed on as they come
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def end_silence(self, silence: str) -> int:
        """End a silence and return Alertmanager's status, 502 where there is no answer, or no password for it."""
        url = f"http://{self._settings.address('alertmanager')}/api/v2/silence/{silence}"
        try:
            async with self._session.delete(url, headers=authorization(self._settings, "alertmanager")) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, SettingsError) as error:
            logger.warning("alertmanager could not be asked to end a silence: {}", error)
            return 502

    async def forward(self, request: web.Request, upstream: Upstream, path: str) -> web.StreamResponse:
        """Return a server's answer. Where there is none, or it refuses our password, the answer says so with 502.

        Raises `HTTPBadRequest` where the request's body is not what its headers say.
        """
        address = self._settings.address(upstream.server)
        try:
            body = await request.read() if request.can_read_body else None
        except web.RequestPayloadError:
            raise web.HTTPBadRequest(text="the body is not what its headers say\n") from None
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        try:
            access = authorization(self._settings, upstream.server)
            async with self._session.request(
                request.method,
                URL(f"http://{address}{path}{query}", encoded=True),
                headers={name: request.headers[name] for name in _ASKED if name in request.headers} | access,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            ) as answer:
                if answer.status == 401:
                    # Passed on, the browser would ask the person for the machine's password.
                    return _bad_gateway(f"{upstream.title} was started with another password; start the stack anew")
                return await _passed_on(request, answer, address)
        except (aiohttp.ClientConnectorError, TimeoutError):
            return _bad_gateway(f"{upstream.title} does not answer; `nightdesk stack status` says whether it runs")
        except (aiohttp.ClientError, SettingsError) as error:
            logger.warning("{} could not be asked for {}: {}", upstream.server, request.method, error)
            return _bad_gateway(f"{upstream.title} could not be asked; the page server's log says why")


async def _passed_on(request: web.Request, answer: aiohttp.ClientResponse, address: str) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name in _ANSWERED:
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    if "Location" in answer.headers:
        response.headers["Location"] = _within(answer.headers["Location"], address)
    await response.prepare(request)
    if request.method != "HEAD":
        try:
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                await response.write(piece)
        except (aiohttp.ClientError, TimeoutError):
            # The answer has begun: that it ends here must not look like its end.
            if request.transport is not None:
                request.transport.abort()
            return response
    await response.write_eof()
    return response


def _within(location: str, address: str) -> str:
    """Return where a redirect leads, without the server's own address; what leads elsewhere leads to the start."""
    parts = urlsplit(location)
    if parts.netloc not in ("", address):
        return "/"
    return parts._replace(scheme="", netloc="").geturl() or "/"


def _bad_gateway(why: str) -> web.Response:
    return web.Response(status=502, text=f"{why}\n")
