"""A server in place of a part of the stack, which answers what a test wants: nonsense, without end, or slowly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Talk = Callable[[socket.socket], None]
"""What is done with a connection once its request was read."""

MEGABYTE = 1_000_000


def saying(body: bytes | object, *, status: int = 200, kind: str = "application/json") -> Talk:
    """Return an answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + content)


def without_end(connection: socket.socket) -> None:
    """Answer 50 MB of JSON, in which nothing ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[")
    for _ in range(50):
        connection.sendall(b"1," * (MEGABYTE // 2))


def trickling_head(connection: socket.socket) -> None:
    """Send one byte of a header at a time, for ever: no wait between two is long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        if _GIVEN_UP.wait(0.1):
            return


def trickling_body(connection: socket.socket) -> None:
    """Send one byte of the body at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b" ")
        if _GIVEN_UP.wait(0.1):
            return


def silence(connection: socket.socket) -> None:
    """Take the request and say nothing."""
    del connection
    _GIVEN_UP.wait(10)


def no_http(connection: socket.socket) -> None:
    """Answer another protocol's words."""
    connection.sendall(b"220 mail.example.org ESMTP\r\n\x00\xff\r\n")


def hanging_up(connection: socket.socket) -> None:
    """End the connection at once."""
    connection.close()


_GIVEN_UP = threading.Event()


@contextmanager
def answering(port: int, talk: Callable[[str], Talk] | Talk, *, by_path: bool = False) -> Iterator[None]:
    """Answer at a port as `talk` does; `by_path`: as it returns for the request's path."""
    _GIVEN_UP.clear()
    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=_serve, args=(server, talk, by_path), daemon=True)
        thread.start()
        try:
            yield
        finally:
            _GIVEN_UP.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(server: socket.socket, talk: Any, by_path: bool) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # closed: the test is over
            return
        threading.Thread(target=_answer, args=(connection, talk, by_path), daemon=True).start()


def _answer(connection: socket.socket, talk: Any, by_path: bool) -> None:
    with connection:
        try:
            request = connection.recv(65_536)
            path = request.split(b" ")[1].decode() if by_path else ""
            (talk(path) if by_path else talk)(connection)
        except OSError:  # whoever asked has given up
            return
