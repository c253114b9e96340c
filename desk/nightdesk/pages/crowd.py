"""The connections of the page server: as many as it can hold, whoever opens them.

Another user of the machine may open thousands and say nothing. Once there are too many, the oldest makes room for the
newest: who asks is answered before so many others have come. The connection of whoever is known stays.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp.web import RequestHandler, Server

MOST = 256
"""Each takes a descriptor, of which a process has 1,024 by default, and twice as many may be about to open or close."""


class Crowd:
    """Who is connected."""

    def __init__(self) -> None:
        self._known: set[RequestHandler] = set()

    def know(self, connection: RequestHandler) -> None:
        """Have a connection stay, however many come: who uses it has a session, or the machine's password."""
        self._known.add(connection)

    def admitted_to(self, server: Server) -> Callable[[], RequestHandler]:
        """Return what takes each connection for a server, and ends another where there are too many."""

        def admit() -> RequestHandler:
            here = server.connections  # the oldest first
            self._known.intersection_update(here)
            unknown = [connection for connection in here if connection not in self._known]
            for connection in unknown[: max(0, len(unknown) - MOST + 1)]:
                connection.force_close()
            return server()

        return admit
