"""The static rules, by promtool and by the habits that promtool does not know."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.cli.main import app
from nightdesk.stack.tools import Tools
from nightdesk_exporter.metrics.catalogue import METRICS
from typer.core import TyperGroup as Group
from typer.main import get_command

FOLDER = Path(__file__).resolve().parents[2] / "prometheus"
RULE_FILES = sorted((FOLDER / "rules").glob("*.yml"))
TEST_FILES = sorted((FOLDER / "tests").glob("*_test.yml"))
RULES: list[dict[str, Any]] = [
    rule for file in RULE_FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
def test_promtool_passes(tools: Tools, file: Path) -> None:
    done = subprocess.run([tools.promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_configuration_and_rules(tools: Tools) -> None:
    done = subprocess.run(
        [tools.promtool, "check", "config", "--lint=all", "--lint-fatal", FOLDER / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


@pytest.mark.parametrize("file", sorted((FOLDER / "runbooks").glob("*.md")), ids=lambda file: file.stem)
def test_a_runbook_has_its_four_parts_and_none_is_empty(file: Path) -> None:
    title, *parts = re.split(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)[1:]
    assert title == file.stem
    assert parts[1::2] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(len(text.strip()) > 5 for text in parts[2::2])


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_an_alert_says_what_and_how_much_and_where_to_read_on(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"]
    assert len(notes["summary"]) <= 80
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    if rule["alert"].startswith("Tradebot"):
        assert "$labels.bot" in notes["description"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_keeps_no_target_and_multiplies_by_no_info(rule: dict[str, Any]) -> None:
    assert not re.search(r"\b(job|instance)\b(?!=)", rule["expr"])
    # An info metric may be held against another by its labels, but nothing may be multiplied by it.
    assert not ("_info" in rule["expr"] and re.search(r"[*/]|\bgroup_(left|right)\b", rule["expr"]))
    assert "group_right" not in rule["expr"]
    # A selector outside an aggregation keeps `job` and `instance`: allowed only behind `unless on (bot)`.
    expression = re.sub(r"\w+:\w+:\w+", "", rule["expr"])
    expression = re.sub(r"(max|min|sum)( by \([\w, ]+\))?\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", "", expression)
    expression = re.sub(r"unless on \(bot\)\s+(last_over_time\()?\w+(\{[^}]*\})?", "", expression)
    assert not re.search(r"\btradebot_\w+|\bup\b", expression)


def test_every_metric_of_the_rules_is_in_the_catalogue() -> None:
    known = {metric.full_name for metric in METRICS.values()}
    text = "\n".join(str(rule) for rule in RULES)
    named = set(re.findall(r"(?<![\w:])tradebot_\w+(?=[\[{)\s])", text)) - {"tradebot_guard_state="}
    assert named
    assert named - known == set()


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_every_number_of_seconds_carries_its_marker(file: Path) -> None:
    """A bare number of 30 or more in an expression is a duration: rendering must know, or be told why not to."""
    for rule in (rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]):
        for line in rule["expr"].splitlines():
            code, _, comment = line.partition("#")
            for number in re.findall(r"(?<![\w.\[])(\d+(?:\.\d+)?)(?![\w.])", re.sub(r'"[^"]*"', "", code)):
                marked = comment.strip() == "seconds" or comment.strip().startswith("not scaled: ")
                assert float(number) < 30 or marked, line


def test_no_external_label_can_reach_an_alert() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert "external_labels" not in config["global"]
    assert config["alerting"]["alert_relabel_configs"] == [{"action": "labeldrop", "regex": "replica"}]


def test_every_command_that_a_runbook_names_exists() -> None:
    group = get_command(app)
    assert isinstance(group, Group)
    known = set(group.commands)
    for name, command in group.commands.items():
        known |= {f"{name} {inner}" for inner in command.commands} if isinstance(command, Group) else set()
    for file in (FOLDER / "runbooks").glob("*.md"):
        for words in re.findall(r"`nightdesk ([a-z]+(?: [a-z]+)?)", file.read_text()):
            # What follows a command without commands of its own is an argument, such as amtool's.
            name = words if isinstance(group.commands.get(words.split()[0]), Group) else words.split()[0]
            assert name in known, f"{file.name}: nightdesk {words}"
