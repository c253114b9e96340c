"""The parts of the static `alertmanager.yml` that come from the channels' modules: receivers, and what is global.

`python -m nightdesk.render.receivers`, which `make docs` runs, writes them into the checkout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from textwrap import indent
from typing import TYPE_CHECKING

from nightdesk_alerts.channels import known_channels
from nightdesk_core.files import write_atomic

from nightdesk.assets import assets_folder

if TYPE_CHECKING:
    from nightdesk_alerts.channel import Channel

PAGE = "page"
RECEIVERS = (PAGE, "notice", "event")
"""The receivers that have an entry for each channel."""
WATCHDOG = "watchdog"

_PART = re.compile(
    r"(?P<head>^(?P<margin> *)# BEGIN (?P<name>\w+): [^\n]*\n).*?(?P<tail>^ *# END (?P=name)$)",
    re.DOTALL | re.MULTILINE,
)


def channels_by_kind() -> dict[str, list[type[Channel]]]:
    """Return all channels by Alertmanager's word for their list in a receiver."""
    found: defaultdict[str, list[type[Channel]]] = defaultdict(list)
    for channel in known_channels():
        found[channel.receiver_kind].append(channel)
    return dict(found)


def with_channels(text: str) -> str:
    """Return the text of a static `alertmanager.yml` with the parts between `# BEGIN` and `# END` as they should be."""
    kinds = channels_by_kind()
    parts = {
        "global": "".join(channel.receiver_global for channel in known_channels()),
        "page": "".join(_whole(kind, channels) for kind, channels in kinds.items()),
        "notice": "".join(f"{kind}: *{_anchor(kind)}\n" for kind in kinds),
        "event": "".join(_told_once(kind, channels) for kind, channels in kinds.items()),
    }

    def written(part: re.Match[str]) -> str:
        return part["head"] + indent(parts[part["name"]], part["margin"]) + part["tail"]

    return _PART.sub(written, text)


def _whole(kind: str, channels: list[type[Channel]]) -> str:
    entries = (f"  - &{channel.name}_message\n{indent(channel.receiver, '    ')}" for channel in channels)
    return f"{kind}: &{_anchor(kind)}\n{''.join(entries)}"


def _told_once(kind: str, channels: list[type[Channel]]) -> str:
    entries = (f"  - <<: *{channel.name}_message\n    send_resolved: false\n" for channel in channels)
    return f"{kind}:\n{''.join(entries)}"


def _anchor(kind: str) -> str:
    return kind.removesuffix("_configs")


if __name__ == "__main__":
    file = assets_folder() / "alertmanager" / "alertmanager.yml"
    write_atomic(file, with_channels(file.read_text("utf-8")).encode())
