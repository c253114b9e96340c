"""Which alert mutes which, of every pair that there is, by a real Alertmanager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from nightdesk.settings import Settings
from nightdesk.stack.tools import Tools

from tests.alertmanager.test_delivery import alert, free_port, post, running_alertmanager, until_ready
from tests.alertmanager.test_routes import ALERTS

pytestmark = pytest.mark.servers

GONE = {"TradebotDown", "TradebotTargetMissing"}
SHOWN_OF_A_BOT_THAT_IS_GONE = {
    *GONE,
    "TradebotKillSwitchActive",
    "TradebotGuardPaused",
    "TradebotModelPromoted",
    "TradebotModelKept",
    "TradebotModelRolledBack",
}
FOLLOWS_FROM = {
    "TradebotLoopStalled": {
        "TradebotExchangeDisconnected",
        "TradebotCandleStale",
        "TradebotSnapshotStale",
        "TradebotModelNotLoaded",
    },
    "TradebotExchangeDisconnected": {
        "TradebotCandleStale",
        "TradebotSnapshotStale",
        "TradebotModelNotLoaded",
        "TradebotExchangeErrorRatioHigh",
        "TradebotWebsocketFlapping",
    },
    "TradebotCandleStale": {"TradebotSnapshotStale"},
    "TradebotKillSwitchActive": {"TradebotNoTrades"},
    "TradebotGuardPaused": {"TradebotNoTrades"},
}

Kind = tuple[str, str]
"""An alert's name and severity."""

KINDS: list[Kind] = sorted((name, severity) for name, severity in ALERTS if name.startswith("Tradebot"))
STACK: list[Kind] = sorted((name, severity) for name, severity in ALERTS if not name.startswith("Tradebot"))


def is_muted(source: Kind, target: Kind) -> bool:
    """Return whether the catalogue has `source` mute `target` of the same bot."""
    (source_name, source_severity), (name, severity) = source, target
    if source_name == name:
        return source_severity == "critical" and severity in {"warning", "info"}
    if source_name in GONE:
        return name not in SHOWN_OF_A_BOT_THAT_IS_GONE
    if name == "TradebotUnhealthy" and source_severity == "critical":
        return True
    return name in FOLLOWS_FROM.get(source_name, set())


def without_bot(kind: Kind) -> dict[str, Any]:
    found = alert(*kind, "")
    del found["labels"]["bot"]
    return found


def shown(url: str) -> dict[tuple[str, str, str], bool]:
    """Return every alert by bot, name and severity, and whether it is muted."""
    found = requests.get(f"{url}/api/v2/alerts", timeout=10).json()
    labels = [one["labels"] for one in found]
    muted = [bool(one["status"]["inhibitedBy"]) for one in found]
    keys = [(label.get("bot", ""), label["alertname"], label["severity"]) for label in labels]
    return dict(zip(keys, muted, strict=True))


async def test_every_alert_mutes_of_its_own_bot_what_follows_from_it_and_nothing_else(
    tools: Tools, tmp_path: Path
) -> None:
    # Each pair is a bot of its own, so that no third alert has a say.
    pairs = {f"{i}-{j}": (a, b) for i, a in enumerate(KINDS) for j, b in enumerate(KINDS) if i != j}
    ports = {"alertmanager": free_port()}
    settings = Settings.model_validate({"home": tmp_path, "stack": {"ports": ports}})
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        await post(url, [alert(*kind, bot) for bot, pair in pairs.items() for kind in pair])
        await post(url, [without_bot(kind) for kind in STACK])
        found = shown(url)

    wrong = [
        (source, target) for bot, (source, target) in pairs.items() if found[bot, *target] != is_muted(source, target)
    ]
    assert wrong == []
    assert len(found) == 2 * len(pairs) + len(STACK)
    # The stack's own, Watchdog among them, have no bot: nothing mutes them, and they mute nothing.
    assert not any(found["", *kind] for kind in STACK)


def test_nothing_is_said_to_follow_from_an_alert_that_does_not_exist() -> None:
    names = {name for name, _ in KINDS} | {"TradebotModelRolledBack"}
    named = (
        SHOWN_OF_A_BOT_THAT_IS_GONE | set(FOLLOWS_FROM) | {name for found in FOLLOWS_FROM.values() for name in found}
    )
    assert named <= names
