from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_exporter.metrics.catalogue import METRICS

FOLDER = Path(__file__).resolve().parents[2] / "grafana"
DASHBOARDS = {file: json.loads(file.read_text()) for file in sorted((FOLDER / "dashboards").glob("*.json"))}
PANELS = [(file.stem, panel) for file, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
EXPRESSIONS = [(name, target["expr"]) for name, panel in PANELS for target in panel["targets"]]


def substituted(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$bot", ".+")


def test_every_expression_is_promql(tools: Tools, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:expression:{number}", "expr": substituted(expression)}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([tools.promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(EXPRESSIONS)} rules found" in done.stdout


def test_every_metric_of_a_panel_is_in_the_catalogue_or_recorded_by_a_rule() -> None:
    recorded = {
        rule["record"]
        for file in (FOLDER.parent / "prometheus" / "rules").glob("*.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    known = {metric.full_name for metric in METRICS.values()} | recorded | {"up", "ALERTS"}
    for _, expression in EXPRESSIONS:
        named = set(re.findall(r"([A-Za-z_:][\w:]*)\{", expression))
        assert named, expression
        assert named <= known, expression


def test_every_expression_asks_for_the_chosen_bots() -> None:
    for _, expression in EXPRESSIONS:
        selectors = re.findall(r"\{([^}]*)\}", expression)
        assert all('bot=~"$bot' in selector for selector in selectors), expression


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=[file.stem for file in DASHBOARDS])
def test_panels_lie_within_24_columns_and_none_covers_another(dashboard: dict[str, Any]) -> None:
    grids = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for title, grid in grids:
        assert 0 <= grid["x"] < grid["x"] + grid["w"] <= 24, title
        assert grid["h"] > 0, title
    for (one, a), (other, b) in itertools.combinations(grids, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} and {other}"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_panels_and_provisioning_name_the_same_data_source() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    uids = {source["uid"] for source in provisioned}
    for name, panel in PANELS:
        assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == uids, name
