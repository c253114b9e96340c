"""The exporter's HTTP server: the page, the metrics, the status and what probes ask for, on threads of its own."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.browsers import is_loopback
from prometheus_client import CollectorRegistry

from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health.issues import Health
from nightdesk_exporter.web.allowed_hosts import AllowedHosts, host_problems
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
        stalled: Callable[[], str] = str,
        status: Callable[[], dict[str, Any]],
        page: Callable[[], str] | None = None,
        pause_garbage_collection: bool = False,
        web_config_file: Path | None = None,
        allowed_hosts: Sequence[str] | None = None,
    ) -> None:
        """Bind and serve; port 0 picks a free one.

        `stalled` says why the loop stands still, or nothing. `page` renders `/`; `None` is no page. `web_config_file`
        is in the exporter-toolkit's format. `pause_garbage_collection` has the process collect no garbage while metrics
        are rendered. `allowed_hosts` are the names by which it answers without a password, as `AllowedHosts` has them.

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
            registry,
            health=health,
            stalled=stalled,
            status=status,
            page=page,
            pause_garbage_collection=pause_garbage_collection,
        )
        hosts = AllowedHosts(allowed_hosts, loopback=is_loopback(address))
        self._handler = RequestHandler(endpoints, watched, hosts)
        self._connections = Connections(self._listener, self._handler)
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._forked = False
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-exporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving. A second time, and in a forked child, it does nothing."""
        if self._loop.is_closed() or self._forked:
            return
        self._handler.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_CLOSE_SECONDS)
        self._handler.join(_CLOSE_SECONDS)
        with suppress(OSError):  # some systems know no end of what only listens
            self._listener.shutdown(socket.SHUT_RDWR)  # also where a child that has just been forked has a copy yet
        self._listener.close()

    def forked(self) -> None:
        """In a child, close the copies of what the parent serves by: its port is free once the parent has ended.

        The loop itself is not closed: it would take its own pipe out of the selector, which is the parent's, too.
        """
        self._forked = True
        self._connections.forked()
        self._selector.close()
        for name in ("_ssock", "_csock"):  # the loop's pipe to itself, which it has no public name for
            if (end := getattr(self._loop, name, None)) is not None:
                end.close()

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
        # On Windows it would let two listen on one port; there another option keeps the port to ourselves.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
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
