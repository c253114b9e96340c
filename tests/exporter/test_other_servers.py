"""The exporter together with what a bot has already: its registry, its web server, a Pushgateway."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest
import requests
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import BotExporter
from nightdesk_exporter.errors import ExporterError, WebConfigError
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.certificates import Authority


def quiet(name: str = "mine", **more: Any) -> BotExporter:
    return BotExporter(name, symbols=[], port=more.pop("port", None), **more)


def families(text: str) -> list[str]:
    return [family.name for family in text_string_to_metric_families(text)]


# A registry of the bot's own.


@pytest.mark.parametrize("theirs", [REGISTRY, CollectorRegistry()], ids=["the default one", "an empty one"])
def test_both_ends_show_theirs_beside_ours_and_each_once(theirs: CollectorRegistry) -> None:
    orders = Counter("my_orders", "Orders.", registry=theirs)
    before = families(generate_latest(theirs).decode())
    try:
        with quiet(registry=theirs, port=0) as exporter:
            exporter.heartbeat()
            orders.inc()
            ours = requests.get(f"{exporter.url}/metrics", timeout=5).text
            for shown in (ours, generate_latest(theirs).decode()):
                names = families(shown)
                assert {"my_orders", "tradebot_heartbeat_timestamp_seconds", "python_info"} <= set(names)
                assert len(names) == len(set(names))
        assert families(generate_latest(theirs).decode()) == before, "ours are gone with the bot"
    finally:
        theirs.unregister(orders)


def test_a_collector_of_theirs_that_raises_takes_nothing_else_with_it() -> None:
    class Broken:
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> Iterator[Metric]:
            raise OSError("no such device")
            yield

    theirs = CollectorRegistry()
    theirs.register(Broken())
    Counter("my_orders", "Orders.", registry=theirs)
    with quiet(registry=theirs, port=0) as exporter:
        shown = families(requests.get(f"{exporter.url}/metrics", timeout=5).text)
        assert {"my_orders", "tradebot_collector_errors"} <= set(shown)
        assert "collector_failing" in [issue.name for issue in exporter.health().issues]


def test_two_exporters_in_one_registry_are_refused_with_what_to_do() -> None:
    theirs = CollectorRegistry(auto_describe=True)
    with quiet("one", registry=theirs):
        with pytest.raises(ExporterError, match="Give each bot a registry of its own"), quiet("other", registry=theirs):
            pytest.fail("two in one")
        assert "tradebot_build_info" in generate_latest(theirs).decode()


# Nothing served, and pages in somebody else's server.


def test_without_a_port_nothing_is_served_and_all_else_works(tmp_path: Path) -> None:
    with quiet(status_file=tmp_path / "status.json") as exporter:
        exporter.heartbeat()
        with pytest.raises(RuntimeError, match="port=None"):
            _ = exporter.url
        assert not any(thread.name == "nightdesk-exporter" for thread in threading.enumerate())
    assert (tmp_path / "status.json").exists()


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


def by_asgi(exporter: BotExporter) -> Ask:
    app = exporter.asgi_app()

    def ask(path: str, *, method: str = "GET", root: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        bare, _, query = path.partition("?")
        named = {"host": "localhost", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": root + bare,
            "root_path": root,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        asyncio.run(app(scope, receive, send))
        start, body = sent
        got = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], got, body["body"]

    return ask


def by_wsgi(exporter: BotExporter) -> Ask:
    app = validator(exporter.wsgi_app())

    def ask(path: str, *, method: str = "GET", root: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
        started: list[Any] = []
        bare, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": root,
            "PATH_INFO": bare,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": __import__("io").BytesIO(),
            "wsgi.errors": __import__("io").StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "HTTP_HOST": "localhost",
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        result = app(environ, lambda status, got, _=None: started.append((status, got)) or (lambda _: None))  # type: ignore[func-returns-value]
        body = b"".join(result)
        result.close()  # type: ignore[attr-defined]
        status, got = started[0]
        return int(status.split()[0]), {name.lower(): value for name, value in got}, body

    return ask


@pytest.fixture(params=[by_asgi, by_wsgi], ids=["asgi", "wsgi"])
def by(request: pytest.FixtureRequest) -> Callable[[BotExporter], Ask]:
    found: Callable[[BotExporter], Ask] = request.param
    return found


def test_the_same_pages_are_served(by: Callable[[BotExporter], Ask]) -> None:
    with quiet() as exporter:
        exporter.heartbeat()
        ask = by(exporter)
        assert ask("/")[2].startswith(b"<!doctype html>")
        assert b"tradebot_heartbeat_timestamp_seconds" in ask("/metrics")[2]
        assert families(ask("/metrics?name[]=tradebot_heartbeat_limit_seconds")[2].decode()) == [
            "tradebot_heartbeat_limit_seconds"
        ]
        assert ask("/livez")[0] == 200
        assert ask("/metrics", **{"accept-encoding": "gzip"})[1]["content-encoding"] == "gzip"
        assert ask("/nothing")[0] == 404
        assert ask("/metrics", method="POST")[0] == 405
        status, headers, body = ask("/status", method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0
        assert ask("/livez", root="/bot")[0] == 200
        assert ask("", root="/bot")[1]["location"] == "/bot/"
    assert ask("/livez")[0] == 503


def test_the_same_names_are_answered(by: Callable[[BotExporter], Ask]) -> None:
    with quiet(allowed_hosts=["bot.example"]) as exporter:
        ask = by(exporter)
        answers = {
            host: ask("/status", host=host)[0] for host in ("localhost", "127.0.0.1:80", "bot.example", "evil.example")
        }
        assert answers == {"localhost": 200, "127.0.0.1:80": 200, "bot.example": 200, "evil.example": 421}
        assert (
            ask("/status", **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "origin": "https://evil"})[0]
            == 403
        )


def test_the_same_passwords_are_asked_for(by: Callable[[BotExporter], Ask], tmp_path: Path) -> None:
    import base64

    import bcrypt

    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  ann: {hashed}\n")
    with quiet(web_config_file=tmp_path / "web.yml") as exporter:
        ask = by(exporter)
        assert ask("/metrics")[0] == 401
        assert ask("/livez")[0] == 200
        assert ask("/metrics", authorization="Basic " + base64.b64encode(b"ann:wrong").decode())[0] == 401
        assert ask("/metrics", authorization="Basic " + base64.b64encode(b"ann:correct horse").decode())[0] == 200


def test_tls_of_the_file_is_refused_where_another_server_holds_the_connections(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("server")
    (tmp_path / "web.yml").write_text(f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}\n")
    with pytest.raises(WebConfigError, match="sees to TLS"):
        quiet(web_config_file=tmp_path / "web.yml").asgi_app()


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(NightdeskError, match="allowed_hosts"):
        quiet(allowed_hosts=["http://x"]).wsgi_app()


def test_a_real_server_serves_it() -> None:
    class Silent(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with quiet() as exporter, make_server("127.0.0.1", 0, exporter.wsgi_app(), handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            answer = requests.get(f"http://127.0.0.1:{server.server_port}/healthz", timeout=5)
            assert answer.json()["status"] == "unknown"
        finally:
            server.shutdown()
            thread.join()
