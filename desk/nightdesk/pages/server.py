"""The page server: who asks is looked at before what is asked.

Only its own pages, and links that people follow, are answered, and only to who is logged in. Its failure stops nothing:
no program asks it for anything, but Prometheus for its metrics.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qsl, quote, urlsplit

from aiohttp import web
from loguru import logger
from nightdesk_core.browsers import foreign_page, is_local
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.errors import NightdeskError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from nightdesk.channels import channels, moved_chats
from nightdesk.pages.access import SESSION_SECONDS, Access, TooManyGuessesError
from nightdesk.pages.chat_watch import ChatWatch, look_at_telegram
from nightdesk.pages.crowd import Crowd
from nightdesk.pages.peer import peer_uid
from nightdesk.pages.proxy import Proxy
from nightdesk.pages.start_page import CONTENT_SECURITY_POLICY, hop_page, login_page, start_page
from nightdesk.pages.upstream import UPSTREAMS, Upstream
from nightdesk.pages.watch import SilenceWatch
from nightdesk.passwords import ensure_password
from nightdesk.settings import Settings
from nightdesk.silences import look

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LARGEST_BODY_BYTES = 65_536
_SHUTDOWN_SECONDS = 2.0
_READING = ("GET", "HEAD")
_WITHOUT_LOGIN = ("/login", "/healthz", "/metrics")
"""The metrics ask for the machine's password, which no browser holds: and so never for a person's."""
_BY_SERVER: dict[str, Upstream] = {upstream.server: upstream for upstream in UPSTREAMS}
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # a link that logs in must not be told to other sites
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageServerError(NightdeskError):
    """The page server could not start to listen."""


class PageServer:
    """Answers requests."""

    def __init__(self, settings: Settings, *, access: Access, proxy: Proxy, watch: SilenceWatch, crowd: Crowd) -> None:
        self._settings = settings
        self._crowd = crowd
        self._access = access
        self._proxy = proxy
        self._watch = watch
        self._cookie = f"nightdesk_session_{settings.port('pages')}"  # a cookie knows no port
        self._names = {urlsplit(settings.pages_url).netloc.lower(), settings.address("pages")}
        self._registry = CollectorRegistry()
        self._registry.register(watch)

    def application(self) -> web.Application:
        """Return what aiohttp serves."""
        application = web.Application(middlewares=[self._admit], client_max_size=_LARGEST_BODY_BYTES)
        application.on_response_prepare.append(_harden)
        application.add_routes(
            [
                web.get("/", self._start),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                web.get("/login", self._ask_for_login, allow_head=False),  # who looks ahead must not use a link up
                web.post("/login", self._log_in),
                web.post("/logout", self._log_out),
                web.post("/silences/{id:[0-9a-fA-F-]{36}}/end", self._end_silence),
                web.get(f"/{{server:{'|'.join(_BY_SERVER)}}}", self._to_its_start),
                web.route("*", f"/{{server:{'|'.join(_BY_SERVER)}}}/{{path:.*}}", self._forward),
            ]
        )
        return application

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through who comes from a page of ours, or from none, and is logged in."""
        host = request.headers.get("host", "").lower()
        if not is_local(host) and host not in self._names:
            raise web.HTTPMisdirectedRequest(text=f"{host!r} is not answered; stack.pages_url may name it\n")
        if page := foreign_page(request.method, request.headers):
            raise web.HTTPForbidden(text=f"this is not answered to {page}\n")
        if request.method not in _READING and not {"Origin", "Sec-Fetch-Site"} & set(request.headers):
            raise web.HTTPForbidden(text="a request that changes something must say which page it comes from\n")
        if self._access.knows(self._session(request), peer=_peer(request)):
            self._crowd.know(request.protocol)
            return await handler(request)
        if request.path in _WITHOUT_LOGIN:
            return await handler(request)
        return self._to_login(request)

    def _session(self, request: web.Request) -> str | None:
        return request.cookies.get(self._cookie)

    def _to_login(self, request: web.Request) -> web.Response:
        if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
            return web.Response(status=401, text="log in first: `nightdesk login` prints a link\n")
        target = _own_path(request.rel_url.raw_path_qs)
        if request.headers.get("sec-fetch-site") == "cross-site":
            return _page(hop_page(target))
        return web.Response(status=303, headers={"Location": f"/login?next={quote(target, safe='')}"})

    async def _start(self, _: web.Request) -> web.Response:
        return _page(start_page(self._settings, self._watch.muted))

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        given = request.headers.get("authorization", "")
        try:
            known = self._access.is_machine(given, peer=_peer(request), address=request.remote or "")
        except TooManyGuessesError:
            return web.Response(status=429, text="too many wrong passwords: wait a minute\n")
        if not known:
            return web.Response(status=401, text="the machine's password is needed\n")
        self._crowd.know(request.protocol)
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _ask_for_login(self, request: web.Request) -> web.Response:
        token = request.query.get("token")
        target = _own_path(request.query.get("next", "/"))
        if token is None:
            return _page(login_page(target=target))
        session = self._access.redeem(token, peer=_peer(request))
        if session is None:
            said = (
                "This link was used already, is too old, or is from before the page server's start or a change of the "
                "clock: `nightdesk login` prints another."
            )
            return _page(login_page(message=said, target=target), status=403)
        return self._begun(session, target)

    async def _log_in(self, request: web.Request) -> web.Response:
        form = await _form(request)
        target, password = _own_path(form.get("next", "/")), form.get("password", "")
        try:
            session = self._access.log_in(password, peer=_peer(request), address=request.remote or "")
        except TooManyGuessesError:
            return _page(login_page(message="Too many wrong passwords: wait a minute.", target=target), status=429)
        if session is None:
            logger.warning("a wrong password was given to the page server")
            return _page(login_page(message="That is not the password.", target=target), status=403)
        return self._begun(session, target)

    def _begun(self, session: str, target: str) -> web.Response:
        response = web.Response(status=303, headers={"Location": target})
        response.set_cookie(
            self._cookie,
            session,
            max_age=int(SESSION_SECONDS),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._settings.pages_url.startswith("https:"),
        )
        logger.info("somebody logged in at the page server")
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.end(self._session(request))
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(self._cookie, path="/")
        return response

    async def _end_silence(self, request: web.Request) -> web.StreamResponse:
        silence = request.match_info["id"]
        status = await self._proxy.end_silence(silence)
        if status != 200:
            raise web.HTTPBadGateway(text=f"Alertmanager did not end the silence (status {status})\n")
        logger.info("the silence {} was ended through the page server", silence)
        self._watch.look_again()
        return web.Response(status=303, headers={"Location": "/"})

    async def _to_its_start(self, request: web.Request) -> web.Response:
        upstream = _BY_SERVER[request.match_info["server"]]
        return web.Response(status=303, headers={"Location": f"/{upstream.server}{upstream.start}"})

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        upstream = _BY_SERVER[request.match_info["server"]]
        path = request.rel_url.raw_path.removeprefix(f"/{upstream.server}")
        if not upstream.allows(request.method, path):
            raise web.HTTPForbidden(
                text=f"{request.method} {path} is not passed on to {upstream.title}; `nightdesk amtool`, `nightdesk"
                " stack reload` and `nightdesk retrain retire` are for what changes something\n"
            )
        if request.method in ("DELETE", "POST") and upstream.server == "alertmanager":
            logger.info("a silence is set or ended through the page server")
        return await self._proxy.forward(request, upstream, path)


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
    response.headers.setdefault("Cache-Control", "no-store")


def _page(text: str, *, status: int = 200) -> web.Response:
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=policy)


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form as browsers send ours. Raises `HTTPBadRequest` for what is none."""
    try:
        return dict(parse_qsl((await request.read()).decode(), keep_blank_values=True, errors="strict"))
    except (web.RequestPayloadError, ValueError):
        raise web.HTTPBadRequest(text="this is no form\n") from None


def _own_path(target: str) -> str:
    """Return where to go after the login: a path of ours, whatever was asked for."""
    plain = target.isprintable() and target.isascii() and "\\" not in target
    return target if plain and target.startswith("/") and not target.startswith("//") else "/"


def _peer(request: web.Request) -> int | None:
    """Return the user of this machine who asks, where that can be told."""
    if request.transport is None:
        return None
    peer, own = request.transport.get_extra_info("peername"), request.transport.get_extra_info("sockname")
    return peer_uid(peer[:2], own[:2]) if peer and own and ":" not in peer[0] else None


@asynccontextmanager
async def serving(
    settings: Settings, *, renew: Callable[[], None], clock: WallClock = system_clock
) -> AsyncIterator[Access]:
    """Serve the pages for the block; `renew` is what `ChatWatch` asks for.

    Raises `SettingsError`, or `PageServerError` where it cannot listen.
    """
    access = Access(ensure_password(settings, "pages"), clock=clock)
    watch = SilenceWatch(settings.bot.name, look=lambda: look(settings), clock=clock)
    async with Proxy(settings) as proxy:
        crowd = Crowd()
        application = PageServer(settings, access=access, proxy=proxy, watch=watch, crowd=crowd).application()
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        alerting = channels(settings).alerting
        chats = ChatWatch(
            alerting.channels, look=lambda: look_at_telegram(settings), moved=moved_chats(settings), renew=renew
        )
        watching = asyncio.create_task(watch.run(alerting, also=chats.look_once))
        try:
            async with _listening(settings, crowd, runner):
                yield access
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await runner.cleanup()


@asynccontextmanager
async def _listening(settings: Settings, crowd: Crowd, runner: web.AppRunner) -> AsyncIterator[None]:
    assert runner.server is not None, "the runner is set up"
    port = settings.port("pages")
    try:
        listening = await asyncio.get_running_loop().create_server(
            crowd.admitted_to(runner.server), settings.listen_host, port, reuse_address=True
        )
    except OSError as error:
        raise PageServerError(f"port {port} for the page server: {error.strerror}") from error
    try:
        yield
    finally:
        listening.close()


async def serve(settings: Settings, *, renew: Callable[[], None]) -> None:
    """Serve the pages until SIGTERM or SIGINT. Raises as `serving` does."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(settings, renew=renew):
        logger.info("people see the servers at {}; `nightdesk login` prints a link", settings.pages_url)
        await stopped.wait()
