"""Metrics pushed to a Pushgateway, by a stand-in that keeps what it gets as the real one does."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from nightdesk_exporter import BotExporter
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.push import PushTo

from tests.exporter.conftest import until


class Gateway(ThreadingHTTPServer):
    """Keeps each push: path, login, body; answers with `status`."""

    def __init__(self) -> None:
        self.pushes: list[tuple[str, str, str]] = []
        self.status = 200
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                login = self.headers.get("Authorization", "").removeprefix("Basic ")
                gateway.pushes.append((self.path, base64.b64decode(login).decode(), body))
                self.send_response(gateway.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_bot_that_serves_nothing_is_seen_by_what_it_pushes(gateway: Gateway) -> None:
    to = f"http://ann:s3cret@127.0.0.1:{gateway.server_port}"
    with BotExporter("mine", symbols=[], port=None, push_to=PushTo(to, interval_seconds=1.0)) as exporter:
        exporter.heartbeat()
        until(lambda: len(gateway.pushes) >= 2, "two pushes")
    path, login, body = gateway.pushes[-1]
    assert sorted(path.split("/")) == sorted(["", "metrics", "job", "tradebot", "bot", "mine"])
    assert login == "ann:s3cret"
    assert "tradebot_heartbeat_timestamp_seconds" in body
    assert "process_start_time_seconds" in body


def test_its_end_is_pushed_too(gateway: Gateway) -> None:
    with BotExporter("mine", symbols=[], port=None, push_to=f"http://127.0.0.1:{gateway.server_port}") as exporter:
        until(lambda: len(gateway.pushes) == 1, "the first push")
        exporter.equity(4321.0)
    assert "4321.0" in gateway.pushes[-1][2]


def test_what_cannot_be_pushed_is_counted_and_logged_once_without_the_password(
    gateway: Gateway, messages: list[str]
) -> None:
    gateway.status = 400
    to = PushTo(f"http://ann:s3cret@127.0.0.1:{gateway.server_port}", interval_seconds=1.0)
    with BotExporter("mine", symbols=[], port=None, push_to=to) as exporter:
        failed = "tradebot_pushes_failed_total"
        until(lambda: (exporter.registry.get_sample_value(failed) or 0) >= 2, "two failures")
        gateway.status = 200
        until(lambda: "the metrics are pushed again" in messages, "it is told that it works again")
    assert sum("were not pushed (HTTP 400)" in line for line in messages) == 1
    assert not any("s3cret" in line for line in messages)


@pytest.mark.parametrize("url", ["", "127.0.0.1:9091", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ExporterError, match="push_to is no address"):
        PushTo(url)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 31.0, float("nan"), float("inf")])
def test_an_interval_by_which_the_rules_would_take_it_for_dead_is_refused(seconds: float) -> None:
    with pytest.raises(ExporterError, match="between 1 s and 30 s"):
        PushTo("http://gateway:9091", interval_seconds=seconds)
