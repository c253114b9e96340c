"""The rules for somebody else's Prometheus: under its names, and with an inventory of what there should be."""

from __future__ import annotations

import re
import stat
import subprocess
import time
from pathlib import Path

import pytest
import requests
import yaml
from nightdesk.assets import assets_folder
from nightdesk.cli.main import app
from nightdesk.render.files import RenderError
from nightdesk.render.rules import JOBS, PARTS, SERVERS, Inventory, rule_files
from nightdesk.stack.tools import Tools
from nightdesk_core.clock import TimeScale
from nightdesk_exporter import BotExporter
from typer.testing import CliRunner

from tests.e2e.conftest import free_ports


def test_the_rules_name_no_job_but_those_that_can_be_renamed_nor_any_other_way() -> None:
    text = "".join(file.read_text() for file in (assets_folder() / "prometheus" / "rules").glob("*.yml"))
    assert {name for _, name in re.findall(r"""\bjob=(["'])(\w+)\1""", text)} <= set(JOBS)
    assert re.findall(r"\bjob *(?:=~|!=|!~)", text) == []
    assert set(re.findall(r'nightdesk_expected:info\{server="(\w+)"', text)) == set(SERVERS)


def test_a_job_of_another_name_takes_the_place_of_ours_wherever_it_is_asked_for() -> None:
    ours = rule_files(assets_folder(), Inventory())
    renamed = rule_files(assets_folder(), Inventory(), jobs={"tradebot": "crypto/bots"})
    for name, file in ours.items():
        assert renamed[name].content == file.content.replace(b'job="tradebot"', b'job="crypto/bots"').replace(
            b"job='tradebot'", b"job='crypto/bots'"
        )
    assert ours["liveness.yml"] != renamed["liveness.yml"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_can_be_left_out(part: str) -> None:
    left = rule_files(assets_folder(), Inventory(), without=[part])
    assert set(rule_files(assets_folder(), Inventory())) - set(left) == set(PARTS[part])


@pytest.mark.parametrize("name", ['a"b', "", "a b", "a'", "{{x}}", "a\n", "\u202e"])
def test_a_name_that_would_be_another_expression_is_refused(name: str) -> None:
    with pytest.raises(RenderError, match="cannot stand for a job"):
        rule_files(assets_folder(), Inventory(), jobs={"tradebot": name})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bot", "a", "--without", "retain"], "the rules know no part 'retain', but retrain, stack"),
        (["--bot", "a", "--server", "grafana"], "the rules know no server 'grafana'"),
        (["--bot", "a", "--job", "trade=x"], "the rules know no job 'trade'"),
        (["--bot", "a", "--job", "tradebot"], "--job tradebot: write OURS=YOURS"),
        (["--bot", "a", "--retrained", "b"], "there is no --bot of that name"),
        ([], "name each bot that there should be"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["rules", "--out", "rules", *arguments])
    assert said in str(done.exception)
    assert not (tmp_path / "rules").exists()


def test_the_command_writes_rules_that_prometheus_s_user_can_read_and_promtool_takes(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "somebody's").mkdir()
    (tmp_path / "somebody's/file").write_text("x")
    refused = CliRunner().invoke(app, ["rules", "--out", "somebody's", "--bot", "a"])
    assert "neither empty nor" in str(refused.exception)
    for arguments in (["--bot", "ä b"], ["--bot", "a", "--bot", "b", "--retrained", "b", "--without", "stack"]):
        done = CliRunner().invoke(app, ["rules", "--out", "rules", *arguments])
        assert done.exit_code == 0, done.exception
        files = sorted((tmp_path / "rules").glob("*.yml"))
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o644 for file in files)
        assert stat.S_IMODE((tmp_path / "rules").stat().st_mode) == 0o755
        subprocess.run([tools.promtool, "check", "rules", "--lint=all", "--lint-fatal", *files], check=True)
    assert not (tmp_path / "rules/stack.yml").exists(), "what was written before and is not wanted any more is gone"
    assert "rule_files: [" in done.stdout


@pytest.mark.servers
def test_with_nothing_but_an_exporter_no_alert_of_the_desk_s_own_parts_fires_and_a_dead_bot_s_does(
    tmp_path: Path, tools: Tools
) -> None:
    port, bot_port = free_ports(2)
    (tmp_path / "rules").mkdir()
    # A day of it in some 15 s.
    rules = rule_files(assets_folder(), Inventory(("mine",)), scale=TimeScale(7200), jobs={"tradebot": "crypto"})
    for name, file in rules.items():
        (tmp_path / "rules" / name).write_bytes(file.content)
    document = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {
                "job_name": "crypto",
                "static_configs": [{"targets": [f"127.0.0.1:{bot_port}"], "labels": {"bot": "mine"}}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(document))
    command: list[str | Path] = [
        tools.prometheus,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def firing() -> set[str]:
        found = requests.get(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as prometheus:
        try:
            with BotExporter("mine", symbols=[("BTC/USDT", "1s")], port=bot_port) as exporter:
                exporter.model("v1", trained_at=time.time())
                seen: set[str] = set()
                for number in range(200):
                    exporter.heartbeat()
                    exporter.candle("BTC/USDT", "1s", close_time=time.time())
                    exporter.decision("BTC/USDT")
                    exporter.equity(10_000.0)
                    time.sleep(0.1)
                    # Scaled by so much, the first seconds before Prometheus has found its target are a target missed.
                    if number >= 120 and number % 10 == 0:
                        seen |= firing()
                assert seen == {"Watchdog"}
            deadline = time.monotonic() + 60
            while "TradebotDown" not in firing():
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
        finally:
            prometheus.terminate()
