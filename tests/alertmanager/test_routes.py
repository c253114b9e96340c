from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "alertmanager" / "alertmanager.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
ALERTS: set[tuple[str, str]] = {
    (rule["alert"], rule["labels"]["severity"])
    for file in (ROOT / "prometheus" / "rules").glob("*.yml")
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def receivers_of(tools: Tools, expected: str, **labels: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(tools.amtool),
        "config",
        "routes",
        "test",
        f"--config.file={CONFIG}",
        f"--verify.receivers={expected}",
    ]
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run([*command, *pairs], capture_output=True, text=True, check=False)


def route_of(alertname: str, severity: str) -> dict[str, Any]:
    """The first route whose matchers hold, with what it inherits."""
    labels = {"alertname": alertname, "severity": severity}
    root: dict[str, Any] = {key: value for key, value in DOCUMENT["route"].items() if key != "routes"}
    routes: list[dict[str, Any]] = DOCUMENT["route"]["routes"]
    for route in routes:
        parts = [re.fullmatch(r'(\w+)=(~?)"(.*)"', matcher) for matcher in route["matchers"]]
        if all(
            part and re.fullmatch(part[3] if part[2] else re.escape(part[3]), labels.get(part[1], "")) for part in parts
        ):
            return root | route
    return root


def test_amtool_accepts_the_configuration(tools: Tools) -> None:
    done = subprocess.run([tools.amtool, "check-config", CONFIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("alertname", "severity"), sorted(ALERTS))
def test_an_alert_reaches_the_receiver_of_its_kind(tools: Tools, alertname: str, severity: str) -> None:
    instant = {"TradebotGuardPaused", "TradebotGuardReduced", "TradebotKillSwitchActive"}
    by_severity = {"critical": "page", "warning": "notice", "info": "event", "none": "watchdog"}
    expected = "page" if alertname in instant else by_severity[severity]
    expected = "event" if alertname == "TradebotModelRolledBack" else expected
    labels = {"alertname": alertname, "severity": severity}
    done = receivers_of(tools, expected, **labels, **({"bot": "btc"} if alertname.startswith("Tradebot") else {}))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_severity_that_nobody_foresaw_is_shown(tools: Tools) -> None:
    assert receivers_of(tools, "notice", alertname="Unheard", severity="odd").returncode == 0
    assert receivers_of(tools, "page", alertname="Unheard", severity="odd").returncode == 1


@pytest.mark.parametrize(
    ("alertname", "severity", "waits", "group_by"),
    [
        ("TradebotGuardPaused", "critical", ("0s", "1s", "1h"), ["alertname", "bot"]),
        ("TradebotGuardReduced", "warning", ("0s", "1s", "1h"), ["alertname", "bot"]),
        ("TradebotKillSwitchActive", "critical", ("0s", "1s", "1h"), ["alertname", "bot"]),
        ("TradebotDown", "critical", ("5s", "1m", "1h"), ["alertname"]),
        ("TradebotDrawdownHigh", "critical", ("5s", "1m", "1h"), ["alertname", "bot"]),
        ("TradebotDrawdownHigh", "warning", ("30s", "5m", "12h"), ["alertname", "bot"]),
        ("TradebotModelPromoted", "info", ("1s", "5m", "5d"), ["alertname", "bot"]),
        ("TradebotModelRolledBack", "warning", ("1s", "5m", "5d"), ["alertname", "bot"]),
    ],
)
def test_waits_intervals_and_repeats_are_the_catalogues(
    alertname: str, severity: str, waits: tuple[str, str, str], group_by: list[str]
) -> None:
    route = route_of(alertname, severity)
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == waits
    assert route["group_by"] == group_by


def test_every_alert_that_the_configuration_names_has_a_rule() -> None:
    named = set(re.findall(r"\b(?:Tradebot\w+|Watchdog)", CONFIG.read_text()))
    assert named <= {name for name, _ in ALERTS}


def test_inhibition_asks_for_a_bot_on_both_sides() -> None:
    """A missing label equals an empty one: without this an alert of the stack would mute another."""
    for rule in DOCUMENT["inhibit_rules"]:
        assert 'bot=~".+"' in rule["source_matchers"]
        assert 'bot=~".+"' in rule["target_matchers"]
        assert "bot" in rule["equal"]
