"""The services that the inbox stands in for over HTTP, a module each. A module that lies here is one, by its name.

Mail is the one channel besides: it has a server of its own.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightdesk_sandbox.inbox.service import Service


@cache
def known_services() -> tuple[type[Service], ...]:
    """Return every service that there is a module for, by name."""
    names = sorted(found.name for found in iter_modules(__path__))
    return tuple(import_module(f"{__name__}.{name}").SERVICE for name in names)
