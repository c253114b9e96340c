"""By which names the exporter answers without a password, on loopback and on a network: DNS rebinding."""

from __future__ import annotations

import socket
import string
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_exporter import BotExporter
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.web.allowed_hosts import AllowedHosts
from prometheus_client import CollectorRegistry

SECONDS = 10
ALWAYS = [
    "127.0.0.1",
    "127.0.0.1:{port}",
    "10.0.0.7:1",
    "[::1]:{port}",
    "[fe80::1]",
    "localhost",
    "LocalHost.:{port}",
    "bot.localhost",
]
ON_A_NETWORK = ["bot", "bot:8700", "BOT.:8700", "my_bot-1", "bot.trading.svc.cluster.local:8700", "ip-1.eu.internal"]
NEVER = [
    "evil.example",
    "evil.example:{port}",
    "EVIL.example.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "bot.local.evil.example",
    "evil.example:{port}:{port}",
    "user@localhost",
    "localhost, evil.example",
    "localhost..",
    "[evil]",
    "[::1]evil.example",
    "::1:8700:evil",
    "-",
    "a b",
    "",
]
PATHS = ["/", "/status", "/metrics", "/healthz", "/livez", "/readyz", "/nothing"]
Serve = Callable[..., ExporterServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(host: str = "0.0.0.0", allowed: list[str] | None = None) -> ExporterServer:
        server = ExporterServer(
            CollectorRegistry(),
            host=host,
            port=0,
            health=lambda: Health(Verdict.HEALTHY, ()),
            status=dict,
            page=lambda: "<p>10,000 USDT</p>",
            allowed_hosts=allowed,
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def status(server: ExporterServer, head: str) -> int:
    """Return the status of the answer to a request whose line and headers are these; `{port}` is the server's."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(head.format(port=port).encode("latin-1") + b"\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert b"10,000" not in answer or b" 200 " in answer
    return int(answer.split(b" ", 2)[1])


def asked_as(server: ExporterServer, host: str, path: str = "/") -> int:
    return status(server, f"GET {path} HTTP/1.1\r\nHost: {host}")


@pytest.mark.parametrize("host", [*ALWAYS, *ON_A_NETWORK, socket.gethostname()])
def test_on_a_network_it_answers_to_names_that_no_web_site_on_the_internet_has(serve: Serve, host: str) -> None:
    assert asked_as(serve(), host) == 200


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "0.0.0.0"])
def test_no_web_site_is_answered_on_any_path(serve: Serve, listens_on: str) -> None:
    server = serve(listens_on)
    answers = {(host, path): asked_as(server, host, path) for host in NEVER for path in PATHS}
    assert [found for found, code in answers.items() if code not in (400, 421)] == []


@pytest.mark.parametrize("host", ON_A_NETWORK)
def test_on_loopback_it_answers_to_no_name_of_a_network(serve: Serve, host: str) -> None:
    # Whoever owns the network that a laptop is in answers for such names, too.
    assert asked_as(serve("127.0.0.1"), host) == 421


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "0.0.0.0"])
def test_the_hosts_that_are_named_are_those_that_are_answered(serve: Serve, listens_on: str) -> None:
    server = serve(listens_on, ["Bot.Example.", ".desk.example"])
    for host in [*ALWAYS, "bot.example:{port}", "BOT.EXAMPLE.", "a.desk.example", "a.b.desk.example:1"]:
        assert asked_as(server, host) == 200
    for host in [*NEVER, "bot", "nas.local", "desk.example", "x.bot.example", "evildesk.example"]:
        assert asked_as(server, host) in (400, 421)


def test_a_star_allows_any_name(serve: Serve) -> None:
    assert asked_as(serve(allowed=["*"]), "evil.example") == 200


@pytest.mark.parametrize("host", ["bot:8700", "http://bot", "", ".", "*.example", "a b", "bot/metrics", "bötchen"])
def test_a_host_that_could_never_match_stops_the_start_and_is_named(host: str) -> None:
    with (
        pytest.raises(ExporterError, match="is no host name: give"),
        BotExporter("btc", symbols=[("BTC/USDT", "1h")], port=0, allowed_hosts=[host]),
    ):
        pass


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost/ HTTP/1.1\r\nHost: evil.example", 421),
        ("GET http://localhost@evil.example/ HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost:{port}/healthz HTTP/1.1\r\nHost: localhost:{port}", 200),
        ("GET http://localhost HTTP/1.1\r\nHost: localhost", 200),
        ("GET //evil.example/healthz HTTP/1.1\r\nHost: localhost", 404),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost", 421),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=localhost", 421),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example", 200),
        ("GET http://evil.example/healthz HTTP/1.0", 421),
        ("GET /healthz HTTP/1.0", 200),
    ],
)
def test_what_counts_is_whom_the_request_is_made_to_not_what_a_proxy_says(serve: Serve, head: str, code: int) -> None:
    assert status(serve(), head) == code


_NAMES = st.text(string.ascii_letters + string.digits + "-._:[]@*", min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(_NAMES, st.booleans())
def test_no_name_below_a_public_suffix_is_ever_allowed(name: str, loopback: bool) -> None:
    hosts = AllowedHosts(None, loopback=loopback)
    assert not hosts.allows(f"{name}.evil.example")
    assert not hosts.allows(f"{name}.com:8700")
