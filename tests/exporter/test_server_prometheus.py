"""A real Prometheus scrapes the exporter over TLS with a password, and its checker reads the text."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_exporter import BotExporter
from nightdesk_exporter.server import ExporterServer

from tests.exporter.certificates import Authority
from tests.exporter.conftest import until

pytestmark = pytest.mark.servers

PASSWORD = "correct horse"


@pytest.fixture
def server(full: BotExporter, tmp_path: Path) -> Iterator[ExporterServer]:
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("client")
    (tmp_path / "password").write_text(PASSWORD)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    tls = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "authority.pem"}
    document = {
        "tls_server_config": {**tls, "client_auth_type": "RequireAndVerifyClientCert"},
        "basic_auth_users": {"prometheus": hashed},
    }
    file = tmp_path / "web.yml"
    file.write_text(yaml.safe_dump(document))
    server = ExporterServer(
        full.registry, host="127.0.0.1", port=0, health=full.health, status=full.status, web_config_file=file
    )
    yield server
    server.close()


def scrape_config(server: ExporterServer, folder: Path, *, name: str, password_file: str) -> dict[str, Any]:
    return {
        "job_name": name,
        "scheme": "https",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "basic_auth": {"username": "prometheus", "password_file": str(folder / password_file)},
        "tls_config": {
            "ca_file": str(folder / "authority.pem"),
            "cert_file": str(folder / "client.crt"),
            "key_file": str(folder / "client.key"),
        },
        "static_configs": [{"targets": [server.url.removeprefix("https://")]}],
    }


def test_prometheus_scrapes_over_tls_with_a_password_and_not_with_a_wrong_one(
    tools: Tools, server: ExporterServer, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    jobs = [
        scrape_config(server, tmp_path, name="right", password_file="password"),
        scrape_config(server, tmp_path, name="wrong", password_file="wrong"),
    ]
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": jobs}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        str(tools.prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: _health(address) == {"right": "up", "wrong": "down"}, "both targets to be scraped")
        found = requests.get(f"http://{address}/api/v1/query", params={"query": "tradebot_equity"}, timeout=5).json()
        assert [float(each["value"][1]) for each in found["data"]["result"]] == [9_900.0]
        assert "401" in json.dumps(_targets(address))
    finally:
        process.terminate()
        process.wait(timeout=20)


def _health(address: str) -> dict[str, str]:
    try:
        return {target["labels"]["job"]: target["health"] for target in _targets(address)}
    except requests.RequestException:
        return {}


def _targets(address: str) -> list[dict[str, Any]]:
    answer = requests.get(f"http://{address}/api/v1/targets", timeout=5).json()
    targets: list[dict[str, Any]] = answer["data"]["activeTargets"]
    return targets


def test_promtool_finds_nothing_wrong_with_what_is_served(tools: Tools, full: BotExporter) -> None:
    with full:
        answer = requests.get(
            f"{full.url}/metrics", headers={"Accept-Encoding": "gzip"}, timeout=5, stream=True
        ).raw.read(decode_content=False)
    done = subprocess.run(
        [str(tools.promtool), "check", "metrics"],
        input=gzip.decompress(answer),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
