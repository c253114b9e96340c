"""`/` over real HTTP: its headers, TLS and passwords as for `/status`, and whom it does not answer."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
import requests
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.server import ExporterServer
from prometheus_client import CollectorRegistry

from tests.exporter.certificates import Authority

SECONDS = 10
HASH = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{desk: {HASH!r}}}\n"
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
Serve = Callable[..., ExporterServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve a page by a web configuration file of this text, or by none."""
    servers = []

    def start(text: str = "", *, host: str = "127.0.0.1") -> ExporterServer:
        file = tmp_path / "web.yml"
        file.write_text(text)
        server = ExporterServer(
            CollectorRegistry(),
            host=host,
            port=0,
            health=lambda: Health(Verdict.HEALTHY, ()),
            status=dict,
            page=lambda: "<p>10,000 USDT</p>",
            web_config_file=file if text else None,
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def test_the_page_is_html_that_is_not_kept_with_a_policy_that_lets_only_its_own_style_and_script_in(
    full: BotExporter,
) -> None:
    with full:
        answer = requests.get(full.url, timeout=SECONDS)
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def test_the_page_is_packed_for_who_takes_gzip_and_head_has_its_headers_alone(serve: Serve) -> None:
    server = serve()
    answer = requests.get(server.url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=SECONDS)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.raw.read(decode_content=False)) == b"<p>10,000 USDT</p>"
    plain = requests.get(server.url, headers={"Accept-Encoding": "identity"}, timeout=SECONDS)
    assert "Content-Encoding" not in plain.headers
    head = requests.head(server.url, headers={"Accept-Encoding": "identity"}, timeout=SECONDS)
    assert (head.headers, head.content) == (plain.headers, b"")
    assert plain.headers["Vary"] == "Accept-Encoding"


def test_a_header_of_the_web_configuration_file_takes_the_place_of_the_page_s(serve: Serve) -> None:
    server = serve("http_server_config: {headers: {Content-Security-Policy: \"default-src 'self'\"}}\n")
    with_port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(with_port[0], int(with_port[1]), timeout=SECONDS)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.headers.get_all("Content-Security-Policy") == ["default-src 'self'"]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    connection.close()


def test_the_page_needs_the_password_where_there_is_one(serve: Serve) -> None:
    server = serve(USERS)
    for auth, status in ((None, 401), (("desk", "wrong"), 401), (("desk", "correct horse"), 200)):
        answer = requests.get(f"{server.url}/", auth=auth, timeout=SECONDS)
        assert answer.status_code == status
        assert ("10,000" in answer.text) == (status == 200)
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_the_page_is_encrypted_where_there_is_a_certificate(serve: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    server = serve(TLS + USERS)
    auth = ("desk", "correct horse")
    assert requests.get(server.url, auth=auth, verify=str(authority.cert), timeout=SECONDS).ok
    assert requests.get(server.url, verify=str(authority.cert), timeout=SECONDS).status_code == 401
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url.replace("https", "http"), auth=auth, timeout=SECONDS)


def test_a_page_that_cannot_be_made_is_told_and_logged_with_its_cause(messages: list[str]) -> None:
    def broken() -> str:
        raise KeyError("equity")

    registry, health = CollectorRegistry(), Health(Verdict.HEALTHY, ())
    server = ExporterServer(registry, host="127.0.0.1", port=0, health=lambda: health, status=dict, page=broken)
    try:
        answer = requests.get(server.url, timeout=SECONDS)
    finally:
        server.close()
    assert (answer.status_code, answer.json()) == (500, {"error": "/: KeyError; the log says more"})
    assert "exporter: / cannot be answered" in messages


PATHS = ["/", "/status", "/metrics", "/healthz", "/livez", "/readyz", "/nothing"]
LOCAL = [
    "127.0.0.1",
    "127.0.0.1:{port}",
    "localhost:{port}",
    "LOCALHOST.:1",
    "bot.localhost",
    "[::1]:{port}",
    "10.0.0.7",
]
FOREIGN = [
    "evil.example",
    "evil.example:{port}",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[evil]",
    "bot",
    "",
]


def asked_as(server: ExporterServer, host: str, path: str = "/") -> requests.Response:
    """Ask for a path as a browser does that reached the server by the name `host`."""
    port = server.url.rpartition(":")[2]
    return requests.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host.format(port=port)}, timeout=SECONDS)


@pytest.mark.parametrize("host", LOCAL)
def test_a_server_on_loopback_answers_to_addresses_and_to_localhost(serve: Serve, host: str) -> None:
    assert asked_as(serve(), host).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", FOREIGN)
def test_a_server_on_loopback_without_passwords_answers_to_no_web_site_s_name(
    serve: Serve, host: str, path: str
) -> None:
    answer = asked_as(serve(), host, path)
    assert answer.status_code == 421
    assert "10,000" not in answer.text


def test_who_is_not_answered_is_told_what_to_do(serve: Serve) -> None:
    assert asked_as(serve(), "evil.example").json() == {
        "error": "'evil.example' is not answered without a password: ask for http://127.0.0.1 or http://localhost "
        "with the same port, name it in allowed_hosts, or set basic_auth_users"
    }


def test_where_there_are_passwords_any_name_will_do(serve: Serve) -> None:
    server = serve(USERS)
    assert asked_as(server, "bot.example").status_code == 401
    answer = requests.get(server.url, headers={"Host": "bot.example"}, auth=("desk", "correct horse"), timeout=SECONDS)
    assert answer.status_code == 200


def test_where_there_is_tls_any_name_will_do_as_no_web_site_has_the_certificate(serve: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    server = serve(TLS)
    answer = requests.get(server.url, headers={"Host": "bot.example"}, verify=str(authority.cert), timeout=SECONDS)
    assert answer.status_code == 200


def test_a_probe_that_speaks_http_1_0_without_a_name_is_answered(serve: Serve) -> None:
    host, _, port = serve().url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=["another origin", "another site", "another port", "a frame"],
)
def test_known_failure_22_a_page_that_floods_the_bot_s_port_uses_up_nothing_of_what_scrapes_need(
    serve: Serve, headers: dict[str, str]
) -> None:
    server = serve("rate_limit: {interval: 1h, burst: 3}\n")
    connection = requests.Session()  # a rate is one connection's
    for path in PATHS * 3:
        answer = connection.get(server.url.rstrip("/") + path, headers=headers, timeout=SECONDS)
        assert answer.status_code == 403
        assert "10,000" not in answer.text
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    codes = [connection.get(server.url, headers=each, timeout=SECONDS).status_code for each in ({}, followed, {}, {})]
    assert codes == [200, 200, 200, 429]


def test_a_runbook_is_answered_as_text_and_one_that_there_is_not_by_404(full: BotExporter) -> None:
    with full:
        answer = requests.get(f"{full.url}/runbooks/TradebotDrawdownHigh", timeout=SECONDS)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert answer.text.startswith("# TradebotDrawdownHigh\n")
        for path in ("runbooks/", "runbooks/Nothing", "runbooks/../rules/trading.yml", "runbooks/..%2f..%2fREADME"):
            assert requests.get(f"{full.url}/{path}", timeout=SECONDS).status_code == 404


def test_a_runbook_wants_the_password_of_the_page(serve: Serve) -> None:
    server = serve(USERS)
    assert requests.get(f"{server.url}/runbooks/TradebotDrawdownHigh", timeout=SECONDS).status_code == 401
