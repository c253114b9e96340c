"""The steps of docs/existing-prometheus.md, as they stand there, with servers of a person's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_exporter import BotExporter

from tests.desk.render.test_existing import THEIRS, merged
from tests.e2e.conftest import free_ports

PAGE = Path(__file__).resolve().parents[2] / "docs" / "existing-prometheus.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{margin}", "", text, flags=re.MULTILINE) for margin, text in found]


@pytest.mark.servers
def test_the_steps_lead_from_nothing_to_a_bot_that_is_watched(tmp_path: Path, tools: Tools) -> None:
    port, bot_port = free_ports(2)
    write, check_prometheus, check_alertmanager, for_kubernetes = blocks("bash")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{tools.promtool.parent}:{os.environ['PATH']}",
    }

    def typed(command: str) -> None:
        command = command.replace("8700", str(bot_port))
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=environment, check=True, timeout=60)

    typed(write)
    settings: dict[str, Any] = yaml.safe_load(blocks("yaml")[0])
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    typed(check_prometheus)
    ours = yaml.safe_load((tmp_path / "nightdesk/alertmanager/merge.yml").read_text())
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(merged(THEIRS, ours)))
    typed(check_alertmanager)
    command: list[str | Path] = [
        *(tools.prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def value(query: str) -> str:
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=5)
            found = answer.json()["data"]["result"]
        except (requests.ConnectionError, KeyError, ValueError):  # it starts yet
            return ""
        return str(found[0]["value"][1]) if found else ""

    def awaited(query: str, wanted: str) -> None:
        deadline = time.monotonic() + 60
        while value(query) != wanted:
            assert time.monotonic() < deadline, (query, (tmp_path / "log").read_text())
            time.sleep(0.2)

    up = re.search(r"`(up\{[^`]*\})` is 1", PAGE.read_text())
    assert up is not None
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as prometheus,
    ):
        try:
            with BotExporter("mine", symbols=[("BTC/USDT", "1h")], port=bot_port):
                awaited(up[1], "1")
                awaited("count(bot:tradebot_expected:info)", "1")
                assert value('count(ALERTS{bot!="mine"})') == ""
            awaited('count(ALERTS{alertname="TradebotDown",bot="mine",alertstate="pending"})', "1")
        finally:
            prometheus.terminate()
    typed(for_kubernetes)
    assert (tmp_path / "nightdesk/kubernetes/podmonitor.yaml").is_file()
    assert not (tmp_path / "nightdesk/scrape/nightdesk.yml").exists()
