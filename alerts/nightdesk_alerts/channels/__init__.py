"""The places that messages go to, a module each. A module that lies here is a channel; one more is registered by that.

Names that begin with an underscore are none.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightdesk_alerts.channel import Channel


@cache
def known_channels() -> tuple[type[Channel], ...]:
    """Return every channel that there is a module for: chats first, then by name."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__) if found.name[0] != "_"]
    channels: list[type[Channel]] = [module.CHANNEL for module in modules]
    return tuple(sorted(channels, key=lambda channel: (channel.role, channel.name)))
