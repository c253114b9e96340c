"""Clients that hold connections, trickle, flood or ask for much, while scrapes go on."""

from __future__ import annotations

import gc
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.web import http_connection
from nightdesk_exporter.web.connections import MOST_CONNECTIONS
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tests.exporter.certificates import Authority

SECONDS = 10
CLIENTS = 200
SCRAPES = 20
SLACK_SECONDS = 0.5
"""What a scrape may take longer under load: a hundred times what it takes, and less than any of the server's waits."""

HEALTH = Health(Verdict.HEALTHY, ())


class ManySeries(Collector):
    """Ten families of as many series each."""

    def __init__(self, each: int) -> None:
        self._each = each

    def collect(self) -> Iterator[Metric]:
        for number in range(10):
            family = GaugeMetricFamily(f"family_{number}", "Help.", labels=["symbol"])
            for series in range(self._each):
                family.add_metric([f"SYMBOL{series}"], series)
            yield family


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExporterServer]:
    """A server of 100 series, with and without TLS."""
    web_config_file = None
    if request.param == "tls":
        Authority(tmp_path).issue("server")
        web_config_file = tmp_path / "web.yml"
        web_config_file.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    server = make(ManySeries(10), web_config_file=web_config_file)
    yield server
    server.close()


def make(
    collector: Collector, *, web_config_file: Path | None = None, pause_garbage_collection: bool = False
) -> ExporterServer:
    registry = CollectorRegistry()
    registry.register(collector)
    return ExporterServer(
        registry,
        host="127.0.0.1",
        port=0,
        health=lambda: HEALTH,
        status=dict,
        web_config_file=web_config_file,
        pause_garbage_collection=pause_garbage_collection,
    )


def address(server: ExporterServer) -> tuple[str, int]:
    host, _, port = server.url.partition("://")[2].partition(":")
    return host, int(port)


def scrape_seconds(server: ExporterServer, tmp_path: Path) -> list[float]:
    """Return how long scrapes take, each over a connection of its own."""
    verify: str | bool = str(tmp_path / "authority.pem") if server.url.startswith("https") else True
    took = []
    for _ in range(SCRAPES):
        begun = time.perf_counter()
        assert requests.get(f"{server.url}/metrics", timeout=SECONDS, verify=verify).ok
        took.append(time.perf_counter() - begun)
    return took


# A TLS record that announces a ClientHello of 512 bytes, and the first of them.
HALF_A_HANDSHAKE = bytes.fromhex("1603010200010001fc0303")


@pytest.mark.parametrize("said", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: ", HALF_A_HANDSHAKE])
def test_clients_that_idle_or_stop_half_way_delay_no_scrape(
    server: ExporterServer, tmp_path: Path, said: bytes
) -> None:
    quiet = statistics.median(scrape_seconds(server, tmp_path))
    with ExitStack() as clients:
        for _ in range(CLIENTS):
            client = clients.enter_context(socket.create_connection(address(server), timeout=SECONDS))
            client.sendall(said)
        assert max(scrape_seconds(server, tmp_path)) < quiet + SLACK_SECONDS


def test_clients_that_trickle_or_do_not_read_delay_no_scrape(tmp_path: Path) -> None:
    server = make(ManySeries(1000))
    try:
        quiet = statistics.median(scrape_seconds(server, tmp_path)[:5])
        with ExitStack() as clients:
            slow = [
                clients.enter_context(socket.create_connection(address(server), timeout=SECONDS))
                for _ in range(CLIENTS)
            ]
            ended = threading.Event()
            trickle = threading.Thread(target=_trickle, args=(slow[:100], ended))
            trickle.start()
            for client in slow[100:]:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            took = scrape_seconds(server, tmp_path)
            ended.set()
            trickle.join()
        # A scrape may come behind a rendering that has begun, and the one in which all of the others share.
        assert max(took) < 4 * quiet + SLACK_SECONDS
    finally:
        server.close()


def _trickle(clients: list[socket.socket], ended: threading.Event) -> None:
    while not ended.wait(0.1):
        for client in clients:
            try:
                client.send(b"G")
            except OSError:
                client.close()


def test_a_head_that_trickles_is_refused_after_its_time_however_steadily_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "_HEAD_SECONDS", 1.0)
    server = make(ManySeries(1))
    try:
        with socket.create_connection(address(server), timeout=SECONDS) as client:
            client.settimeout(0.2)
            begun, answer = time.monotonic(), b""
            while not answer and time.monotonic() - begun < SECONDS:
                client.sendall(b"G")
                try:
                    answer = client.recv(4096)
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert time.monotonic() - begun > 0.9
    finally:
        server.close()


def test_there_are_never_more_connections_than_may_be(tmp_path: Path) -> None:
    server = make(ManySeries(1))
    try:
        with ExitStack() as clients:
            held = [
                clients.enter_context(socket.create_connection(address(server), timeout=SECONDS))
                for _ in range(MOST_CONNECTIONS + 50)
            ]
            assert requests.get(f"{server.url}/healthz", timeout=SECONDS).ok
            for client in held:
                client.settimeout(0.01)
            assert sum(_is_open(client) for client in held) < MOST_CONNECTIONS
            # The oldest made room.
            assert not _is_open(held[0])
            assert _is_open(held[-1])
    finally:
        server.close()


def _is_open(client: socket.socket) -> bool:
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_a_flood_from_one_address_is_turned_away_and_another_address_is_answered() -> None:
    server = make(ManySeries(10))
    ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        with socket.create_connection(address(server), timeout=SECONDS, source_address=("127.0.0.2", 0)) as flood:
            codes = []
            reader = flood.makefile("rb")
            for _ in range(60):
                flood.sendall(ask * 10)
                for _ in range(10):
                    codes.append(_status(reader))
            begun = time.perf_counter()
            assert requests.get(f"{server.url}/metrics", timeout=SECONDS).status_code == 200
            assert time.perf_counter() - begun < SLACK_SECONDS
        assert set(codes) == {200, 429}
        assert codes.count(200) >= 200
    finally:
        server.close()


def _status(reader: object) -> int:
    """Read one answer and return its status."""
    line = reader.readline()  # type: ignore[attr-defined]
    length = 0
    while (header := reader.readline().strip()) != b"":  # type: ignore[attr-defined]
        if header.lower().startswith(b"content-length:"):
            length = int(header.partition(b":")[2])
    reader.read(length)  # type: ignore[attr-defined]
    return int(line.split(b" ")[1])


def test_a_collector_that_hangs_leaves_health_answered_and_the_server_closable() -> None:
    released = threading.Event()

    class Hanging(Collector):
        def collect(self) -> Iterator[Metric]:
            released.wait(SECONDS)
            yield from ()

    server = make(Hanging())
    scrape = threading.Thread(target=lambda: _quietly(f"{server.url}/metrics"))
    scrape.start()
    assert requests.get(f"{server.url}/healthz", timeout=SECONDS).ok
    released.set()
    scrape.join()
    server.close()


class Watching(ManySeries):
    """Notes whether garbage is collected while it is asked."""

    def __init__(self) -> None:
        super().__init__(10)
        self.collects: list[bool] = []

    def collect(self) -> Iterator[Metric]:
        self.collects.append(gc.isenabled())
        yield from super().collect()


def test_a_scrape_leaves_the_process_s_garbage_collection_alone() -> None:
    collector = Watching()
    server = make(collector)
    try:
        assert requests.get(f"{server.url}/metrics", timeout=SECONDS).ok
    finally:
        server.close()
    assert set(collector.collects) == {True}
    assert gc.isenabled()


def test_who_asks_for_it_has_no_garbage_collected_in_a_scrape_and_the_collector_left_as_it_was() -> None:
    generations = []

    def note(phase: str, information: dict[str, int]) -> None:
        if phase == "start" and threading.current_thread().name == "nightdesk-metrics":
            generations.append(information["generation"])

    collector = Watching()
    server = make(collector, pause_garbage_collection=True)
    gc.callbacks.append(note)
    try:
        for _ in range(10):
            assert requests.get(f"{server.url}/metrics", timeout=SECONDS).ok
        assert gc.isenabled()
        gc.disable()
        assert requests.get(f"{server.url}/metrics", timeout=SECONDS).ok
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.callbacks.remove(note)
        server.close()
    assert set(collector.collects) == {False}
    assert 2 not in generations


def _quietly(url: str) -> None:
    requests.get(url, timeout=SECONDS)


def test_scrapes_at_the_same_time_share_a_rendering() -> None:
    begun = []

    class Slow(Collector):
        def collect(self) -> Iterator[Metric]:
            begun.append(time.monotonic())
            time.sleep(0.3)
            yield from ()

    server = make(Slow())
    try:
        threads = [threading.Thread(target=_quietly, args=(f"{server.url}/metrics",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(begun) <= 3
    finally:
        server.close()


def test_closing_leaves_no_thread_and_no_socket() -> None:
    threads, files = threading.active_count(), _open_files()
    for _ in range(5):
        server = make(ManySeries(1000))
        with ExitStack() as clients:
            idle = [clients.enter_context(socket.create_connection(address(server))) for _ in range(20)]
            idle[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begun = time.monotonic()
            server.close()
            server.close()
            assert time.monotonic() - begun < 3
    assert threading.active_count() <= threads
    assert _open_files() <= files


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
