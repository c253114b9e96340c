"""What the bot leaves out by itself is what Alertmanager inhibits: for every two alerts of the health check."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from typing import Any

import yaml
from nightdesk_exporter.alert_mutes import mutes
from nightdesk_exporter.alert_names import ALERTS
from nightdesk_exporter.health import Alert

CHECKOUT = Path(__file__).resolve().parents[2]
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def matches(alert: Alert, matchers: list[str]) -> bool:
    labels = {"alertname": alert.name, "severity": alert.severity, "bot": "btc"}
    for matcher in matchers:
        found = _MATCHER.fullmatch(matcher)
        assert found is not None, matcher
        name, operator, value = found.groups()
        same = re.fullmatch(value, labels[name]) if "~" in operator else value == labels[name]
        if bool(same) == operator.startswith("!"):
            return False
    return True


def inhibits(rule: dict[str, Any], cause: Alert, other: Alert) -> bool:
    return (
        matches(cause, rule["source_matchers"])
        and matches(other, rule["target_matchers"])
        and ("alertname" not in rule["equal"] or cause.name == other.name)
    )


def test_the_bot_leaves_out_what_alertmanager_inhibits() -> None:
    rules = yaml.safe_load((CHECKOUT / "alertmanager" / "alertmanager.yml").read_text("utf-8"))["inhibit_rules"]
    pairs = list(permutations(ALERTS.values(), 2))
    by_alertmanager = {pair for pair in pairs if any(inhibits(rule, *pair) for rule in rules)}
    assert {pair for pair in pairs if mutes(*pair)} == by_alertmanager
    assert len(by_alertmanager) > 20
