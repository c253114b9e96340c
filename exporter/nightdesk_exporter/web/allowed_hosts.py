"""The check of the Host header against DNS rebinding: a web site that a browser shows must not read a bot beside it.

Such a site points its own name at the bot's address once it is loaded, and to the browser our answers are then its own.
All that gives it away is its name in the Host header. Where a password is needed the site has none, and where TLS is
spoken it has no certificate: there any name will do.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from nightdesk_core.browsers import is_address, is_local

_PORT = re.compile(r":[0-9]{0,5}$")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PRIVATE = (".internal", ".local", ".home.arpa")
"""Ends of names that are reserved: none of them is on the internet."""


def host_problems(hosts: Sequence[str]) -> list[str]:
    """Return what is wrong with a list of allowed hosts: a line for each that could never match."""
    return [
        f"{host!r} is no host name: give bot.example for that name, .example for all below it, or * for any; no port"
        for host in hosts
        if host != "*" and not _NAME.fullmatch(_plain(host).removeprefix(".")) and not is_address(_plain(host))
    ]


class AllowedHosts:
    """The names by which a server answers. Addresses, localhost and the names under it are always among them.

    `named` are the others: a name, `.example` for all below it, or `*` for any. Where it is `None` it depends on who
    reaches the server. On loopback there are no others. On other addresses there are those that no web site on the
    internet has: names without a dot, as containers have them, names that end in .internal, .local or .home.arpa, and
    the machine's own.
    """

    def __init__(self, named: Sequence[str] | None, *, loopback: bool) -> None:
        self._named = None if named is None else tuple(_plain(host) for host in named)
        self._own = "" if loopback else socket.gethostname().lower()
        self._loopback = loopback

    def allows(self, host: str) -> bool:
        """Return whether a Host header, with or without a port, is one of them."""
        name = _plain(_PORT.sub("", host))
        if is_local(host):
            return True
        if self._named is not None:
            return any(_is_named(name, allowed) for allowed in self._named)
        if self._loopback or not _NAME.fullmatch(name):
            return False
        return "." not in name or name.endswith(_PRIVATE) or name == self._own


def _is_named(name: str, allowed: str) -> bool:
    return allowed in ("*", name) or (allowed.startswith(".") and name.endswith(allowed))


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
