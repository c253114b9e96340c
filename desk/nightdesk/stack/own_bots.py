"""Which bots of a person's own the servers are for: those of the settings, and those that run on this machine."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from nightdesk_core.errors import NightdeskError

from nightdesk.bots import KnownBots
from nightdesk.settings import Settings


class NoOwnBotError(NightdeskError):
    """There is no bot that the servers could be for."""

    exit_code = 6


def own_bots(settings: Settings, known: KnownBots) -> dict[str, str]:
    """Return the bots' addresses by name; what the settings say of one goes before what it says of itself.

    Raises `NoOwnBotError` where there is none. A bot whose exporter asks for TLS is left to the settings: how it is
    asked must stand there, too.
    """
    found: dict[str, str] = {}
    for bot in known.bots:
        parts = urlsplit(bot.url or "")
        if bot.serves and parts.scheme == "http" and parts.port:
            found.setdefault(bot.name, parts.netloc)
    if "name" in settings.bot.model_fields_set:
        found.setdefault(settings.bot.name, settings.address("bot"))
    found |= settings.stack.bots
    if not found:
        raise NoOwnBotError(
            "there is no bot to look after: start yours first, or name it in the settings (stack.bots, as"
            " `mine: 127.0.0.1:8700`); `nightdesk init` writes such a file"
        )
    return found


def for_servers(bots: dict[str, str]) -> list[str]:
    """Return the assignments of settings by which only the servers run, for these bots, at the wall's speed."""
    return ["sandbox.enabled=false", f"stack.bots={json.dumps(bots)}"]
