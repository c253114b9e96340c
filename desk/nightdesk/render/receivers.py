"""What an Alertmanager that a person has already needs for our alerts: receivers, a route, what mutes what, templates.

It is a file to be merged: each of its lists is added to the one of the same name. Every receiver has a name of its own
there, and neither the route nor the rules that mute touch any alert but ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nightdesk_core.clock import TimeScale
from nightdesk_core.files.yaml_text import parse_yaml

from nightdesk.channels import Channels
from nightdesk.render.alertmanager import alertmanager_files
from nightdesk.render.files import Files, yaml_file
from nightdesk.render.rules import rules_of

FILE = "alertmanager/merge.yml"
"""The file to merge."""
PREFIX = "nightdesk-"
"""What our receivers' names begin with in somebody else's configuration."""

_OWN = "alertmanager/alertmanager.yml"
_OF_A_BOT = 'alertname=~"Tradebot.+"'
_WATCHDOG = "Watchdog"


def receivers_to_merge(found: Channels, assets: Path, *, rules: Files, out: Path) -> Files:
    """Return the files of the folder `alertmanager`, which will lie in `out`: `FILE`, and those that it names.

    `rules` are the files of rules whose alerts are ours. Raises what rendering our own Alertmanager's configuration
    raises.
    """
    files = alertmanager_files(found, assets, scale=TimeScale(), out=out)
    own = parse_yaml(files.pop(_OWN).content.decode(), source=_OWN)
    document = {
        "templates": [str(out / "alertmanager" / "templates" / "*.tmpl")],
        "route": {"routes": _routes(own["route"], _others(rules))},
        "inhibit_rules": [_of_ours(rule) for rule in own["inhibit_rules"]],
        "receivers": [_alone(receiver, own["global"]) for receiver in own["receivers"]],
    }
    head = "Written by `nightdesk rules`, to be merged into alertmanager.yml."
    return {**files, FILE: yaml_file(document, head=head)}


def _others(rules: Files) -> list[str]:
    """Return the alerts that are about no bot."""
    found = [rule for name, file in rules.items() for rule in rules_of(name, file)]
    names = {rule["alert"] for rule in found if "alert" in rule} - {_WATCHDOG}
    return sorted(name for name in names if not name.startswith("Tradebot"))


def _routes(route: dict[str, Any], others: list[str]) -> list[dict[str, Any]]:
    """Return our tree of routes below one that takes our alerts alone, and beside it the heartbeat's."""
    ours = _renamed(route)
    ours["matchers"] = [f'alertname=~"{"|".join(("Tradebot.+", *others))}"']
    heartbeat = [child for child in ours.get("routes", []) if child["matchers"] == [f'alertname="{_WATCHDOG}"']]
    if heartbeat:
        ours["routes"] = [child for child in ours["routes"] if child not in heartbeat]
    # Other people's rules have an alert of that name, too, and whoever waits for it is to have it still.
    return [*({**child, "continue": True} for child in heartbeat), ours]


def _renamed(route: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {"receiver": PREFIX + route["receiver"]}
    if "routes" in route:
        changes["routes"] = [_renamed(child) for child in route["routes"]]
    return route | changes


def _of_ours(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule that mutes, of which neither side is an alert of somebody else's."""
    return rule | {side: [_OF_A_BOT, *rule[side]] for side in ("source_matchers", "target_matchers")}


def _alone(receiver: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """Return a receiver that needs nothing of the section `global`, where a mail server of the person's own stands."""
    found = receiver | {"name": PREFIX + receiver["name"]}
    mail = {key.removeprefix("smtp_"): value for key, value in common.items() if key.startswith("smtp_")}
    if "email_configs" in found:
        found["email_configs"] = [mail | entry for entry in found["email_configs"]]
    return found
