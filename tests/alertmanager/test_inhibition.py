"""Which alert mutes which, of every pair that there is, by a real Alertmanager."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from nightdesk.settings import Settings
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.catalogue.declaration import AlertRule, MutedIn
from nightdesk_alerts.mutes import muted

from tests.alertmanager.test_delivery import alert, free_port, post, running_alertmanager, until_ready

pytestmark = pytest.mark.servers

CONFIG = Path(__file__).resolve().parents[2] / "alertmanager" / "alertmanager.yml"
OF_A_BOT = [rule for alert in ALERTS if alert.of_a_bot for rule in alert.rules]
STACK = [rule for alert in ALERTS if not alert.of_a_bot for rule in alert.rules]
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def is_inhibited(rule: AlertRule, *, by: AlertRule) -> bool:
    """Return whether the catalogue has Alertmanager mute `rule` while `by` fires for the same bot."""
    return muted(rule, by=by) is MutedIn.INHIBITION


def matches(rule: AlertRule, matchers: list[str]) -> bool:
    labels = {
        "alertname": rule.name,
        "severity": rule.severity,
        **({"bot": "btc"} if rule.declaration.of_a_bot else {}),
    }
    for matcher in matchers:
        found = _MATCHER.fullmatch(matcher)
        assert found is not None, matcher
        name, operator, value = found.groups()
        label = labels.get(name, "")
        same = re.fullmatch(value, label) if "~" in operator else value == label
        if bool(same) == operator.startswith("!"):
            return False
    return True


def inhibits(inhibition: dict[str, Any], rule: AlertRule, *, by: AlertRule) -> bool:
    return (
        matches(by, inhibition["source_matchers"])
        and matches(rule, inhibition["target_matchers"])
        and ("alertname" not in inhibition["equal"] or by.name == rule.name)
    )


def test_alertmanager_inhibits_what_the_catalogue_says_and_nothing_else() -> None:
    inhibitions = yaml.safe_load(CONFIG.read_text("utf-8"))["inhibit_rules"]
    wrong = [
        f"alertmanager/alertmanager.yml {'inhibits' if found else 'does not inhibit'} {rule.name} ({rule.severity}) by"
        f" {by.name} ({by.severity})"
        for rule, by in permutations([*OF_A_BOT, *STACK], 2)
        if (found := any(inhibits(each, rule, by=by) for each in inhibitions)) != is_inhibited(rule, by=by)
    ]
    assert wrong == []


def without_bot(rule: AlertRule) -> dict[str, Any]:
    found = alert(rule.name, rule.severity, "")
    del found["labels"]["bot"]
    return found


def shown(url: str) -> dict[tuple[str, str, str], bool]:
    """Return every alert by bot, name and severity, and whether it is muted."""
    found = requests.get(f"{url}/api/v2/alerts", timeout=60).json()
    labels = [one["labels"] for one in found]
    muted = [bool(one["status"]["inhibitedBy"]) for one in found]
    keys = [(label.get("bot", ""), label["alertname"], label["severity"]) for label in labels]
    return dict(zip(keys, muted, strict=True))


_PAIRS_AT_ONCE = 500
"""Alertmanager holds every alert against every other of its inhibitions: all pairs at once take it a minute."""


async def test_every_alert_mutes_of_its_own_bot_what_follows_from_it_and_nothing_else(
    tools: Tools, tmp_path: Path
) -> None:
    # Each pair is a bot of its own, so that no third alert has a say.
    pairs = {str(number): pair for number, pair in enumerate(permutations(OF_A_BOT, 2))}
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = dict(list(pairs.items())[start : start + _PAIRS_AT_ONCE])
        found = await shown_of(some, tools, tmp_path / str(start))
        wrong = [
            (by, rule)
            for bot, (by, rule) in some.items()
            if found[bot, rule.name, rule.severity] != is_inhibited(rule, by=by)
        ]
        assert wrong == []
        assert len(found) == 2 * len(some) + len(STACK)
        # The stack's own, Watchdog among them, have no bot: nothing mutes them, and they mute nothing.
        assert not any(found["", each.name, each.severity] for each in STACK)


async def shown_of(
    pairs: Mapping[str, tuple[AlertRule, ...]], tools: Tools, home: Path
) -> dict[tuple[str, str, str], bool]:
    """Return what an Alertmanager of its own shows of the pairs, each a bot, and of the stack's alerts."""
    settings = Settings.model_validate({"home": home, "stack": {"ports": {"alertmanager": free_port()}}})
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        alerts = [alert(each.name, each.severity, bot) for bot, pair in pairs.items() for each in pair]
        for start in range(0, len(alerts), 200):  # a few at a time: a busy machine takes seconds for all
            await post(url, alerts[start : start + 200])
        await post(url, [without_bot(each) for each in STACK])
        return shown(url)
