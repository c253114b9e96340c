"""A time limit for a whole exchange with a server.

The timeout of a socket begins anew with each byte, so that a server that sends one now and then is never given up. So
the connections of an exchange are cut once its time is up.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Self

_RUNNING: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class Deadline:
    """Limits what is exchanged within the block, by this thread, over connections that are handed to `watch`.

    What goes wrong in the block once the time is up is raised as `TimeoutError`. A block that ends well has its result,
    however late.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.name = "nightdesk-alerts-deadline"
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self.passed = False
        """Whether the time is up."""

    def __enter__(self) -> Self:
        self._token = _RUNNING.set(self)
        self._timer.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _RUNNING.reset(self._token)
        self._timer.cancel()
        with self._lock:
            for copy in self._watched:
                copy.close()
            self._watched.clear()
        if self.passed and isinstance(error, Exception):
            raise TimeoutError("no answer in time") from None

    def add(self, connection: socket.socket) -> None:
        """Cut a connection, too, once the time is up."""
        # A copy stays what it is where the connection is wrapped in TLS or closed, and its end is that of both.
        copy = socket.socket(connection.family, connection.type, connection.proto, os.dup(connection.fileno()))
        with self._lock:
            self._watched.append(copy)
            if self.passed:
                _shut(copy)

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            for copy in self._watched:
                _shut(copy)


def watch(connection: socket.socket) -> None:
    """Have the deadline of the block that this thread is in, where there is one, hold for a connection."""
    deadline = _RUNNING.get()
    if deadline is not None:
        deadline.add(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side has closed it
        connection.shutdown(socket.SHUT_RDWR)
