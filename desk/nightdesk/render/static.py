"""What the channels' modules have in files that are otherwise written by hand, between a line BEGIN and a line END.

`python -m nightdesk.render.static`, which `make docs` runs, writes it into the checkout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from nightdesk_alerts.channels import known_channels
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.reader import read_text

from nightdesk.assets import assets_folder

if TYPE_CHECKING:
    from nightdesk_alerts import Channel

PAGE = "page"
RECEIVERS = (PAGE, "notice", "event")
"""Alertmanager's receivers that have an entry for each channel."""
WATCHDOG = "watchdog"

_PART = re.compile(
    r"(?P<head>^(?P<margin> *)(?:#|<!--) BEGIN (?P<name>\w+): [^\n]*\n).*?(?P<tail>^ *(?:#|<!--) END (?P=name)\b)",
    re.DOTALL | re.MULTILINE,
)


def channels_by_kind() -> dict[str, list[type[Channel]]]:
    """Return all channels by Alertmanager's word for their list in a receiver."""
    found: defaultdict[str, list[type[Channel]]] = defaultdict(list)
    for channel in known_channels():
        found[channel.receiver_kind].append(channel)
    return dict(found)


def with_channels(text: str, parts: dict[str, str]) -> str:
    """Return the text of a file with its parts, by name, as they should be."""

    def written(part: re.Match[str]) -> str:
        return part["head"] + indent(parts[part["name"]], part["margin"]) + part["tail"]

    return _PART.sub(written, text)


def static_parts() -> dict[str, dict[str, str]]:
    """Return the parts by their names, by the files that have them, whose paths are relative to the checkout."""
    return {
        "alertmanager/alertmanager.yml": _alertmanager(),
        "docker-compose.yml": _compose(),
        "docs/alerts.md": {"channels": _table()},
    }


def _alertmanager() -> dict[str, str]:
    kinds = channels_by_kind()
    return {
        "global": "".join(channel.receiver_global for channel in known_channels()),
        "page": "".join(_whole(kind, channels) for kind, channels in kinds.items()),
        "notice": "".join(f"{kind}: *{_anchor(kind)}\n" for kind in kinds),
        "event": "".join(_told_once(kind, channels) for kind, channels in kinds.items()),
    }


def _whole(kind: str, channels: list[type[Channel]]) -> str:
    entries = (f"  - &{channel.name}_message\n{indent(channel.receiver, '    ')}" for channel in channels)
    return f"{kind}: &{_anchor(kind)}\n{''.join(entries)}"


def _told_once(kind: str, channels: list[type[Channel]]) -> str:
    entries = (f"  - <<: *{channel.name}_message\n    send_resolved: false\n" for channel in channels)
    return f"{kind}:\n{''.join(entries)}"


def _anchor(kind: str) -> str:
    return kind.removesuffix("_configs")


def _compose() -> dict[str, str]:
    keys = {
        setting.secret.deployed_as or setting.key: setting.usual_key
        for channel in known_channels()
        for setting in channel.settings().values()
        if setting.secret
    }
    return {
        "touch": f"#   (cd secrets && touch {' '.join(keys)})\n",
        "settings": "".join(f"- --set=operations.alerts.{key}=/run/secrets/{name}\n" for name, key in keys.items()),
        "channels": f"x-channels: &channels [{', '.join(keys)}]\n",
        "secrets": "".join(f"{name}:\n  file: ${{NIGHTDESK_SECRETS:-./secrets}}/{name}\n" for name in keys),
    }


def _table() -> str:
    rows = ["| channel | how to make it | keys |", "|---|---|---|"]
    for channel in known_channels():
        keys = ", ".join(f"`{setting.usual_key}`" for setting in channel.settings().values())
        rows.append(f"| {channel.title} | {channel.how} | {keys} |")
    return "\n".join(rows) + "\n"


def main(checkout: Path) -> None:
    """Write the parts into a checkout."""
    for name, parts in static_parts().items():
        file = checkout / name
        write_atomic(file, with_channels(read_text(file), parts).encode(), readers="all")


if __name__ == "__main__":
    main(assets_folder())
