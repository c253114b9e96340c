"""The server, over real HTTP."""

from __future__ import annotations

import socket
import threading

import pytest
import requests
from nightdesk_exporter import BotExporter
from nightdesk_exporter.errors import ExporterError

from tests.exporter.conftest import BTC, Clock, tell_everything


def test_healthz_says_200_while_the_bot_works_and_503_with_the_reason_when_it_does_not(
    full: BotExporter, clock: Clock
) -> None:
    with full:
        answer = requests.get(f"{full.url}/healthz", timeout=5)
        assert (answer.status_code, answer.json()) == (200, {"status": "healthy", "issues": []})
        full.kill_switch(active=True, reason="a test")
        answer = requests.get(f"{full.url}/healthz", timeout=5)
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        full.kill_switch(active=False)
        full.no_model()
        answer = requests.get(f"{full.url}/healthz?verbose=1", timeout=5)
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unhealthy",
            "issues": [
                {
                    "name": "model_missing",
                    "verdict": "unhealthy",
                    "cause": "no valid model is loaded: the bot does not trade",
                    "since": "2019-10-17T09:00:00Z",
                    "limit": None,
                    "alert": "TradebotModelMissing",
                }
            ],
        }


def test_status_is_the_status_file_s_sections_as_of_now(full: BotExporter, clock: Clock) -> None:
    with full:
        clock.now += 43_200
        answer = requests.get(f"{full.url}/status", timeout=5)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == full.status()
    assert full.status()["bot"]["running"] is False
    assert answer.json()["model"]["age_days"] == 1.5


def test_status_says_since_when_the_verdict_holds_and_of_each_symbol_s_candle_and_the_stream(
    exporter: BotExporter, clock: Clock
) -> None:
    bot = exporter.status()["bot"]
    assert (bot["health"], bot["health_since"]) == ("unknown", "2019-10-17T09:00:00Z")
    assert bot["candles"] == [{"symbol": BTC, "timeframe": "1h", "received_at": None, "close_time": None}]
    assert bot["websocket_changed_at"] is None
    clock.now += 60
    tell_everything(exporter)
    clock.now += 30
    exporter.status()
    clock.now += 30
    exporter.heartbeat()
    bot = exporter.status()["bot"]
    assert (bot["health"], bot["health_since"]) == ("healthy", "2019-10-17T09:01:30Z")
    assert bot["candles"] == [
        {
            "symbol": BTC,
            "timeframe": "1h",
            "received_at": "2019-10-17T09:01:00Z",
            "close_time": "2019-10-17T08:59:50Z",
        }
    ]
    assert bot["websocket_changed_at"] == "2019-10-17T09:01:00Z"


def test_another_path_is_told_which_there_are(full: BotExporter) -> None:
    with full:
        answer = requests.get(f"{full.url}/metric", timeout=5)
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "there is no /metric; try /, /metrics, /healthz, /livez, /readyz or /status"},
    )


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ExporterError) as raised, BotExporter("btc", symbols=[], port=port):
            pytest.fail("two listen on one port")
    assert str(raised.value) == f"the exporter cannot listen on 127.0.0.1:{port} (Address already in use)"


def test_once_closed_it_serves_no_more_and_leaves_no_thread(exporter: BotExporter) -> None:
    before = threading.active_count()
    with exporter:
        url = exporter.url
        assert requests.get(f"{url}/healthz", timeout=5).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/healthz", timeout=5)
    assert threading.active_count() == before
    host, port = url.removeprefix("http://").split(":")
    with BotExporter("btc", symbols=[], host=host, port=int(port)) as again:
        assert again.url == url


def test_a_client_that_says_nothing_does_not_keep_others_waiting(full: BotExporter) -> None:
    with full:
        host, port = full.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            assert requests.get(f"{full.url}/metrics", timeout=5).ok
