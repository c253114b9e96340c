"""The sandbox's two servers: started as context managers, or run until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from loguru import logger
from nightdesk_core.browsers import foreign_page, is_local
from nightdesk_core.clock import iso, system_clock

from nightdesk_sandbox.control import Control
from nightdesk_sandbox.errors import BindError
from nightdesk_sandbox.exchange import ReplayExchange
from nightdesk_sandbox.inbox import Inbox
from nightdesk_sandbox.inbox.faults import InboxFaults
from nightdesk_sandbox.inbox.smtp import mail_server
from nightdesk_sandbox.inbox.web import inbox_application
from nightdesk_sandbox.position import ReplayPosition
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.settings import SandboxSettings

_LET_IN_SECONDS = 0.05
_SHUTDOWN_SECONDS = 2.0


@dataclass(frozen=True)
class ExchangeHandle:
    """A running exchange. `url` is for REST; `websocket_url` begins the addresses of the streams."""

    url: str
    exchange: ReplayExchange

    @property
    def websocket_url(self) -> str:
        """The same server's address for websockets."""
        return self.url.replace("http://", "ws://", 1)


@dataclass(frozen=True)
class InboxHandle:
    """A running inbox. `url` is for the page, the JSON interface and the webhooks.

    The certificate that its mail server shows lies in `folder`, as `CERTIFICATE_FILE`.
    """

    url: str
    smtp_port: int
    inbox: Inbox
    faults: InboxFaults
    folder: Path


@asynccontextmanager
async def serve_exchange(
    settings: SandboxSettings, *, home: Path, host: str, port: int
) -> AsyncIterator[ExchangeHandle]:
    """Serve the replay exchange for the block, on a free port where `port` is 0.

    Raises `CandlesError`, `PositionError` or `BindError`, with nothing left running.
    """
    candles = await asyncio.to_thread(load_markets, settings, home=home)
    async with _serve_candles(candles, settings, home=home, host=host, port=port) as handle:
        yield handle


@asynccontextmanager
async def _serve_candles(
    candles: Mapping[str, RecordedCandles], settings: SandboxSettings, *, home: Path, host: str, port: int
) -> AsyncIterator[ExchangeHandle]:
    first = candles[settings.symbols[0]]
    start = replay_start(first, settings.replay_days)
    position = ReplayPosition.of(first, start=start, folder=home / settings.state_dir)
    # The market's pace is a duration, which a change of the wall clock must not touch.
    exchange = ReplayExchange(
        candles,
        position,
        candles_per_second=settings.candles_per_second,
        clock=time.monotonic,
        funding_rate=settings.funding_rate,
        requests_per_second=settings.requests_per_second,
    )
    application = exchange.application()
    application.add_routes(Control(exchange).routes())

    async def close_streams(_application: web.Application) -> None:
        await exchange.stream.close()

    application.on_shutdown.append(close_streams)
    async with _listening(application, service="exchange", host=host, port=port) as url:
        logger.info("the exchange listens on {}; the market stands at {}", url, iso(exchange.replay.now()))
        playing = asyncio.create_task(exchange.play())
        playing.add_done_callback(_report_failure)
        try:
            yield ExchangeHandle(url, exchange)
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            exchange.keep_position()


def _report_failure(playing: asyncio.Task[None]) -> None:
    """Say at once that the market stands still; the error itself is raised when the server closes."""
    if not playing.cancelled() and (error := playing.exception()) is not None:
        logger.opt(exception=error).critical("the market stands still")


@asynccontextmanager
async def serve_inbox(
    settings: SandboxSettings, *, home: Path, host: str, port: int, smtp_port: int
) -> AsyncIterator[InboxHandle]:
    """Serve the inbox for the block: HTTP on `port` and mail on `smtp_port`, free ones where they are 0.

    Raises `BindError`, `SandboxError` or `SettingsError`, with nothing left running.
    """
    folder = home / settings.state_dir
    inbox = Inbox(folder, clock=system_clock)
    faults = InboxFaults(clock=time.monotonic, changed=inbox.changed)
    application = inbox_application(inbox, faults, settings.inbox)
    async with (
        mail_server(inbox, faults, settings.inbox, home=home, folder=folder, host=host, port=smtp_port) as mail_port,
        _listening(application, service="inbox", host=host, port=port) as url,
    ):
        logger.info("the inbox listens on {} and takes mail on port {}", url, mail_port)
        yield InboxHandle(url, mail_port, inbox, faults, folder)


@web.middleware
async def _refuse_pages_of_others(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Keep web sites in the browser of whoever plays from writing messages, switching faults and reading."""
    # A name without a dot is one of this machine's or of Compose's network, and no web site's.
    if not is_local(request.host) and "." in request.host:
        raise web.HTTPMisdirectedRequest(text=f"{request.host!r} is not answered: ask for 127.0.0.1 or localhost")
    if page := foreign_page(request.method, request.headers):
        raise web.HTTPForbidden(text=f"this is not answered to {page}")
    return await handler(request)


@asynccontextmanager
async def _listening(application: web.Application, *, service: str, host: str, port: int) -> AsyncIterator[str]:
    """Serve `application` and yield its URL."""
    application.middlewares.append(_refuse_pages_of_others)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise BindError(service, host, port, error.strerror or str(error)) from error
        # Who listens on all interfaces is reached on this machine by its loopback.
        shown = "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 - compared, not bound
        yield f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        # Whoever waits is let in first: a connection that comes amid the end is one that nobody closes.
        await asyncio.sleep(_LET_IN_SECONDS)
        await runner.cleanup()


def run_exchange(settings: SandboxSettings, *, home: Path, host: str, port: int) -> None:
    """Serve the replay exchange until SIGTERM or SIGINT. Raises as `serve_exchange` does."""
    # Before the signals are taken over, so that a download can be broken off.
    candles = load_markets(settings, home=home)
    asyncio.run(_until_stopped(_serve_candles(candles, settings, home=home, host=host, port=port)))


def run_inbox(settings: SandboxSettings, *, home: Path, host: str, port: int, smtp_port: int) -> None:
    """Serve the inbox until SIGTERM or SIGINT. Raises as `serve_inbox` does."""
    asyncio.run(_until_stopped(serve_inbox(settings, home=home, host=host, port=port, smtp_port=smtp_port)))


async def _until_stopped(server: AbstractAsyncContextManager[object]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        await stopped.wait()
        logger.info("stopping")
