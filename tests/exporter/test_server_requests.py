"""Every negotiation, and requests that are no good, over real sockets."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h11
import pytest
import requests
from nightdesk_exporter.health.issues import Health, Issue, Verdict
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.web.request import RefusedError, next_request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

HEALTH = Health(Verdict.HEALTHY, (Issue("drawdown_high", Verdict.DEGRADED, "12% are lost"),))
SECONDS = 10


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("one", "A gauge.", ["symbol"], registry=registry).labels('"BTC"\n').set(1.5)
    Counter("two", "A counter.", registry=registry).inc(2)
    Histogram("three", "A histogram.", registry=registry).observe(0.3)
    Gauge("silent", "A gauge without a child.", ["symbol"], registry=registry)
    return registry


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[ExporterServer]:
    server = ExporterServer(registry, host="127.0.0.1", port=0, health=lambda: HEALTH, status=lambda: {"equity": 1})
    yield server
    server.close()


def get(server: ExporterServer, path: str = "/metrics", **headers: str) -> requests.Response:
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(server.url + path, headers={"Accept-Encoding": "identity", **wanted}, timeout=SECONDS)


def say(server: ExporterServer, said: bytes) -> bytes:
    """Return everything that the server answers to raw bytes, until it closes."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as client:
        client.sendall(said)
        return b"".join(iter(lambda: client.recv(65_536), b""))


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "text/plain;version=0.0.4", "text/plain;version=x"])
def test_who_does_not_ask_for_more_gets_the_text_format(
    server: ExporterServer, registry: CollectorRegistry, accept: str
) -> None:
    answer = get(server, Accept=accept)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.content == generate_latest(registry)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"


def test_openmetrics_is_what_the_client_library_writes_and_its_parser_reads(
    server: ExporterServer, registry: CollectorRegistry
) -> None:
    answer = get(server, Accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2")
    assert answer.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    )
    assert answer.content == generate_openmetrics(registry)  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"one", "two", "three"}


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("deflate, GZIP;q=0.5", True), ("identity", False), ("gzip;q=0", False), ("br", False)],
)
def test_who_takes_gzip_gets_it(
    server: ExporterServer, registry: CollectorRegistry, accepted: str, packed: bool
) -> None:
    answer = requests.get(f"{server.url}/metrics", headers={"Accept-Encoding": accepted}, timeout=SECONDS, stream=True)
    raw = answer.raw.read(decode_content=False)
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert len(raw) == int(answer.headers["Content-Length"])
    assert (gzip.decompress(raw) if packed else raw) == generate_latest(registry)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
@pytest.mark.parametrize("names", [["one"], ["one", "three_bucket"], ["no_such"]])
def test_names_choose_samples(
    server: ExporterServer, registry: CollectorRegistry, names: list[str], accept: str
) -> None:
    query = "&".join(f"name%5B%5D={name}" for name in names)
    render = generate_openmetrics if accept else generate_latest
    answer = get(server, f"/metrics?{query}", Accept=accept)
    expected = render(registry.restricted_registry(names))
    # The client restricts in the order of a set.
    assert sorted(answer.content.splitlines()) == sorted(expected.splitlines())


def test_names_choose_of_collectors_that_do_not_say_what_they_have(registry: CollectorRegistry) -> None:
    from tests.exporter.test_server_load import ManySeries

    registry.register(ManySeries(3))
    server = ExporterServer(registry, host="127.0.0.1", port=0, health=lambda: HEALTH, status=dict)
    try:
        assert get(server, "/metrics?name[]=family_0").text.count("\nfamily_0{") == 3
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/livez", "/readyz", "/status", "/nothing"])
def test_head_answers_as_get_does_without_a_body(server: ExporterServer, path: str) -> None:
    got = get(server, path)
    head = requests.head(server.url + path, headers={"Accept-Encoding": "identity"}, timeout=SECONDS)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_another_method_is_told_which_there_are(server: ExporterServer, method: str) -> None:
    answer = requests.request(method, f"{server.url}/metrics", timeout=SECONDS)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json() == {"error": "only GET and HEAD are answered"}


@pytest.mark.parametrize(
    ("verdict", "healthy", "ready"),
    [
        (Verdict.UNKNOWN, 200, 503),
        (Verdict.HEALTHY, 200, 200),
        (Verdict.DEGRADED, 200, 200),
        (Verdict.UNHEALTHY, 503, 503),
        (Verdict.UNHEALTHY, 503, 200),
    ],
)
def test_healthz_goes_by_the_verdict_and_readyz_by_what_trading_needs(
    registry: CollectorRegistry, verdict: Verdict, healthy: int, ready: int
) -> None:
    health = Health(verdict, (), ready=ready == 200)
    server = ExporterServer(registry, host="127.0.0.1", port=0, health=lambda: health, status=dict)
    try:
        assert get(server, "/healthz").status_code == healthy
        answer = get(server, "/readyz")
        assert (answer.status_code, answer.json()) == (ready, {"ready": ready == 200, "status": verdict.value})
    finally:
        server.close()


def test_a_collector_that_raises_is_a_500_that_names_the_error_and_is_logged_once(
    registry: CollectorRegistry, messages: list[str]
) -> None:
    class Broken:
        def collect(self) -> Iterator[Any]:
            raise KeyError("secret")
            yield

    registry.register(Broken())
    server = ExporterServer(registry, host="127.0.0.1", port=0, health=lambda: HEALTH, status=dict)
    try:
        for _ in range(3):
            answer = get(server)
            assert (answer.status_code, answer.json()) == (500, {"error": "/metrics: KeyError; the log says more"})
        assert get(server, "/healthz").ok
    finally:
        server.close()
    assert messages.count("exporter: /metrics cannot be answered") == 1


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (b"GET\r\n\r\n", 400, "the request line is malformed"),
        (b"GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the request line is malformed"),
        (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the request line is malformed"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "the request line is malformed"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400, "the Host header is missing"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "the header host is there twice"),
        (b"GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: b\r\n\tfolded\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \x1b[31m\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, "a header is malformed"),
        (b"GET /metrics HTTP/1.1\nHost: x\r\n\r\n", 400, "the request line is malformed"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \rb\r\n\r\n", 400, "a header is malformed"),
        (b"\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the request is malformed"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
            400,
            "the header authorization is there twice",
        ),
        (b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", 505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
        (b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the address is malformed"),
        (b"GET /?" + b"a=1&" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the address is malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length is no number"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413, "requests have no body here"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 413, "requests have no body here"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 413, "requests have no body here"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", 431, "more than 64 headers"),
        (b"GET /" + b"a" * 100_000, 414, "the address is longer than 16384 bytes"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000, 431, "the headers are longer than 16384 bytes"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_the_reason_and_the_connection_closed(
    server: ExporterServer, said: bytes, status: int, error: str
) -> None:
    head, _, body = say(server, said).partition(b"\r\n\r\n")
    assert (status_of(head), json.loads(body)) == (status, {"error": error})
    assert b"Connection: close" in head
    assert get(server, "/healthz").ok


@pytest.mark.parametrize(
    "field",
    [
        b"A: " + b" \t" * 8_000 + b"\x00",
        b"A: " + (b" " * 30 + b"b") * 500,
        b"\r\n".join([b"A:" + b" " * 31 + b"\x80" * 200] * 62),
        b"A" * 16_000,
        b"a:\r\n" * 4_000,
    ],
)
def test_no_head_takes_long_to_be_read(field: bytes) -> None:
    # h11 alone takes 0.9 s for the first of them, in which the bot's loop would wait.
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"
    took = []
    for _ in range(3):
        begun = time.thread_time()
        with suppress(RefusedError):
            next_request(h11.Connection(h11.SERVER), head)
        took.append(time.thread_time() - begun)
    assert min(took) < 0.003


@pytest.mark.parametrize(
    "line", [b"CONNECT localhost:1 HTTP/1.1", b"GET /healthz HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c"]
)
def test_a_connection_becomes_no_tunnel_and_speaks_nothing_but_http_1(server: ExporterServer, line: bytes) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = say(server, line + b"\r\nHost: localhost\r\n\r\n" + ask)
    assert status_of(answer) in (200, 404)
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.count(b"Connection: keep-alive") == 1


def test_a_body_of_many_megabytes_is_refused_before_it_is_read(server: ExporterServer) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as client:
        client.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000)
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_connection_serves_several_requests_and_ends_when_it_is_asked_to(server: ExporterServer) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    answer = say(server, (ask + b"\r\n") * 3 + ask + b"Connection: close\r\n\r\n" + ask + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b"Connection: keep-alive") == 3


def test_http_1_0_ends_after_one_answer(server: ExporterServer) -> None:
    assert status_of(say(server, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
