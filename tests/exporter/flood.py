"""A flood of an exporter by a process of its own: `python -m tests.exporter.flood KIND HOST PORT CLIENTS`.

It says a line once it is under way, and ends with its standard input.
"""

from __future__ import annotations

import base64
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

SECONDS = 5


def _ask(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def _guess(number: int) -> str:
    return "Authorization: Basic " + base64.b64encode(f"prometheus:guess {number}".encode()).decode()


def _connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    """Yield connections, each once the one before has ended or failed."""
    while True:
        with suppress(OSError), socket.create_connection(address, timeout=SECONDS) as client:
            yield client


def _one_each(request: Callable[[int], bytes]) -> Callable[[tuple[str, int]], None]:
    """Return a client that sends one request over each connection, and waits for its answer."""

    def run(address: tuple[str, int]) -> None:
        for number, client in enumerate(_connected(address)):
            with suppress(OSError):
                client.sendall(request(number + threading.get_ident()))
                client.recv(65_536)

    return run


def _many_each(request: Callable[[int], bytes], *, ahead: int) -> Callable[[tuple[str, int]], None]:
    """Return a client that keeps its connection, and sends that many requests ahead."""

    def run(address: tuple[str, int]) -> None:
        for client in _connected(address):
            with suppress(OSError):
                for number in count():
                    client.sendall(request(number + threading.get_ident()) * ahead)
                    if not client.recv(1_000_000):
                        break

    return run


def _slow(address: tuple[str, int]) -> None:
    for client in _connected(address):
        with suppress(OSError):
            while True:
                client.sendall(b"G")
                threading.Event().wait(0.2)


def _abandoned(address: tuple[str, int]) -> None:
    for client in _connected(address):
        with suppress(OSError):
            client.sendall(_ask("/metrics"))


FLOODS: dict[str, Callable[[tuple[str, int]], None]] = {
    "healthz": _one_each(lambda _: _ask("/healthz")),
    "healthz, kept alive": _many_each(lambda _: _ask("/healthz"), ahead=1),
    "metrics": _one_each(lambda _: _ask("/metrics")),
    "metrics, kept alive": _many_each(lambda _: _ask("/metrics"), ahead=1),
    "pipelined": _many_each(lambda _: _ask("/metrics"), ahead=20),
    "other samples each time": _many_each(lambda number: _ask(f"/metrics?name[]=family_{number}"), ahead=1),
    "other formats each time": _many_each(
        lambda number: _ask("/metrics", f"Accept: application/openmetrics-text;version=1.0.{number % 10**9}"), ahead=1
    ),
    "wrong passwords": _one_each(lambda number: _ask("/metrics", _guess(number))),
    "wrong passwords, kept alive": _many_each(lambda number: _ask("/metrics", _guess(number)), ahead=1),
    "guesses at healthz": _one_each(lambda number: _ask("/healthz", _guess(number))),
    "slow": _slow,
    "abandoned": _abandoned,
    "nothing": _one_each(lambda _: b"x\r\n\r\n"),
}


def main() -> None:
    kind, host, port, clients = sys.argv[1:]
    for _ in range(int(clients)):
        threading.Thread(target=FLOODS[kind], args=((host, int(port)),), daemon=True).start()
    print("under way", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
