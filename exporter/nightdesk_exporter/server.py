"""The exporter's HTTP server: the page, `/metrics`, `/healthz`, `/readyz` and `/status`, on threads of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loguru import logger
from prometheus_client import CollectorRegistry

from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health import Health
from nightdesk_exporter.web.allowed_hosts import AllowedHosts, host_problems, is_loopback
from nightdesk_exporter.web.connections import Connections
from nightdesk_exporter.web.endpoints import Endpoints
from nightdesk_exporter.web.request_handler import RequestHandler
from nightdesk_exporter.web.watch import WatchedConfig

_BACKLOG = 256
"""Who waits to be let in waits here: one too many tries again after a second only, and all wait for those before."""
_CLOSE_SECONDS = 5.0


class ExporterServer:
    """A running server. `url` is its base; `close()` ends it, its connections and its threads."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        health: Callable[[], Health],
        status: Callable[[], dict[str, Any]],
        page: Callable[[], str] | None = None,
        pause_garbage_collection: bool = False,
        web_config_file: Path | None = None,
        allowed_hosts: Sequence[str] | None = None,
    ) -> None:
        """Bind and serve; port 0 picks a free one.

        `page` renders `/`; `None` is no page. `web_config_file` is in the exporter-toolkit's format.
        `pause_garbage_collection` has the process collect no garbage while metrics are rendered. `allowed_hosts` are
        the names by which it answers without a password, as `AllowedHosts` has them.

        Raises `ExporterError` where the port is taken or a host is none, and `WebConfigError` where the file or a
        certificate is not usable. While it runs, the file is read again where it changes.
        """
        if problems := host_problems(allowed_hosts or ()):
            raise ExporterError(f"allowed_hosts: {'; '.join(problems)}")
        watched = WatchedConfig(web_config_file)
        self._listener = _listening(host, port)
        scheme = "https" if watched.has_tls else "http"
        shown = f"[{host}]" if ":" in host else host
        address, number = self._listener.getsockname()[:2]
        self.url = f"{scheme}://{shown}:{number}"
        endpoints = Endpoints(
            registry, health=health, status=status, page=page, pause_garbage_collection=pause_garbage_collection
        )
        hosts = AllowedHosts(allowed_hosts, loopback=is_loopback(address))
        self._handler = RequestHandler(endpoints, watched, hosts)
        self._connections = Connections(self._listener, self._handler)
        self._loop = asyncio.SelectorEventLoop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-exporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving. A second time it does nothing."""
        if self._loop.is_closed():
            return
        self._handler.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_CLOSE_SECONDS)
        self._handler.join(_CLOSE_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            self._loop.set_exception_handler(_log)
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._connections.start()
        await self._stop.wait()
        await self._connections.end()
        await asyncio.sleep(0)  # what was cut off is closed in the loop's next turn


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises `ExporterError` where it cannot."""
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ExporterError(f"the exporter cannot listen on {host}:{port} ({reason})") from error
    listener.setblocking(False)
    return listener


def _log(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in the loop: loudly, unless it is a client that went away or spoke no TLS."""
    error = context.get("exception")
    if isinstance(error, OSError):
        logger.trace("exporter: {}", context.get("message"))
    else:
        logger.opt(exception=error).error("exporter: {}", context.get("message"))
