"""A real Prometheus with the rendered configuration of a replay."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from nightdesk.passwords import url_with_login
from nightdesk.render.configuration import Rendered, render
from nightdesk.settings import Settings
from nightdesk.stack.servers import prometheus_command
from nightdesk.stack.tools import Tools

pytestmark = pytest.mark.servers

PORTS = ("prometheus", "bot", "alertmanager", "pushgateway")


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def awaited(found: Callable[[], Any], *, seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come to be in time")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    return Settings.model_validate({"home": tmp_path_factory.mktemp("home"), "stack": {"ports": ports}})


@pytest.fixture(scope="module")
def rendered(settings: Settings) -> Rendered:
    rendered = render(settings, out=settings.home / "rendered")
    liveness = rendered.out / "prometheus/rules/liveness.yml"
    # Only the wait is shortened further.
    liveness.write_text(liveness.read_text().replace("for: 5s", "for: 1s"))
    return rendered


@pytest.fixture(scope="module")
def prometheus(tools: Tools, settings: Settings, rendered: Rendered) -> Iterator[str]:
    url = url_with_login(settings, "prometheus")
    with (settings.home / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(prometheus_command(settings, tools, rendered), stdout=log, stderr=subprocess.STDOUT)
        try:
            awaited(lambda: requests.get(f"{url}/-/ready", timeout=1).ok)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def rules(url: str) -> list[dict[str, Any]]:
    groups = requests.get(f"{url}/api/v1/rules", timeout=5).json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def firing(url: str) -> dict[str, dict[str, str]]:
    alerts = requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"}


def test_every_rule_is_evaluated_without_an_error(prometheus: str) -> None:
    awaited(lambda: all(rule["health"] != "unknown" for rule in rules(prometheus)))
    assert {rule["health"] for rule in rules(prometheus)} == {"ok"}


def test_a_bot_that_does_not_answer_is_an_alert_with_exactly_its_identity(prometheus: str) -> None:
    labels = awaited(lambda: firing(prometheus).get("TradebotDown"))
    assert labels == {"alertname": "TradebotDown", "severity": "critical", "bot": "btc"}
    assert firing(prometheus)["Watchdog"] == {"alertname": "Watchdog", "severity": "none"}


def test_every_expression_of_the_dashboards_is_answered(prometheus: str, rendered: Rendered) -> None:
    for file in (rendered.out / "grafana/dashboards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "4s").replace("$bot", ".+")
                answer = requests.get(f"{prometheus}/api/v1/query", params={"query": query}, timeout=5).json()
                assert answer["status"] == "success", f"{panel['title']}: {answer.get('error')}"
                assert not answer.get("warnings"), panel["title"]
