from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_alerts.alert import new_alert
from nightdesk_alerts.catalogue import ALERTS, declared
from nightdesk_alerts.catalogue.declaration import AlertRule, Route

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "alertmanager" / "alertmanager.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
RULES = [rule for alert in ALERTS for rule in alert.rules]
ROUTES: dict[Route, tuple[str, tuple[str, str, str], list[str]]] = {
    Route.PAGE: ("page", ("5s", "1m", "1h"), ["alertname", "bot"]),
    Route.INSTANT: ("page", ("0s", "1s", "1h"), ["alertname", "bot"]),
    Route.FLEET: ("page", ("5s", "1m", "1h"), ["alertname"]),
    Route.NOTICE: ("notice", ("30s", "5m", "12h"), ["alertname", "bot"]),
    Route.EVENT: ("event", ("1s", "5m", "5d"), ["alertname", "bot"]),
    Route.HEARTBEAT: ("watchdog", ("0s", "1m", "1m"), ["alertname", "bot"]),
}
"""The receiver of each, its waits (for the group, its interval, its repeats), and what it is grouped by."""


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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.severity}")
def test_an_alert_reaches_the_receiver_of_its_route(tools: Tools, rule: AlertRule) -> None:
    receiver, _, _ = ROUTES[rule.declaration.route_of(rule.severity)]
    labels = {"alertname": rule.name, "severity": rule.severity}
    done = receivers_of(tools, receiver, **labels, **({"bot": "btc"} if rule.declaration.of_a_bot else {}))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_severity_that_nobody_foresaw_is_shown(tools: Tools) -> None:
    assert receivers_of(tools, "notice", alertname="Unheard", severity="odd").returncode == 0
    assert receivers_of(tools, "page", alertname="Unheard", severity="odd").returncode == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.severity}")
def test_waits_intervals_and_repeats_are_those_of_its_route(rule: AlertRule) -> None:
    _, waits, group_by = ROUTES[rule.declaration.route_of(rule.severity)]
    route = route_of(rule.name, rule.severity)
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == waits
    assert route["group_by"] == group_by


def test_what_has_a_route_of_its_own_is_what_the_requirements_say() -> None:
    assert {alert.name: alert.route for alert in ALERTS if alert.route is not None} == {
        "TradebotDiskUnwritable": Route.INSTANT,
        "TradebotDown": Route.FLEET,
        "TradebotGuardPaused": Route.INSTANT,
        "TradebotGuardReduced": Route.INSTANT,
        "TradebotKillSwitchActive": Route.INSTANT,
        "TradebotModelRolledBack": Route.EVENT,
    }


def test_every_alert_that_the_configuration_names_is_declared() -> None:
    named = set(re.findall(r"\b(?:Tradebot\w+|Watchdog)", CONFIG.read_text()))
    assert {name for name in named if declared(name) is None} == set()


def test_the_bot_itself_reminds_people_as_often_as_alertmanager() -> None:
    hours = {"1h": 3600.0, "12h": 43_200.0}
    for rule in RULES:
        _, (_, _, repeat), _ = ROUTES[rule.declaration.route_of(rule.severity)]
        if rule.declaration.of_a_bot and repeat in hours:
            labels = {"alertname": rule.name, "severity": rule.severity, "bot": "btc"}
            sent = new_alert(labels, summary="", description="", lasting=True, starts_at=0.0)
            assert sent.repeat_seconds == hours[repeat], rule.name


def test_inhibition_asks_for_a_bot_on_both_sides() -> None:
    """A missing label equals an empty one: without this an alert of the stack would mute another."""
    for rule in DOCUMENT["inhibit_rules"]:
        assert 'bot=~".+"' in rule["source_matchers"]
        assert 'bot=~".+"' in rule["target_matchers"]
        assert "bot" in rule["equal"]
