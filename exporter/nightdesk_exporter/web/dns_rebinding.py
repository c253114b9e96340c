"""The check of the Host header against DNS rebinding: a web site that a browser shows must not read a bot beside it.

Such a site points its own name at 127.0.0.1 once it is loaded, and to the browser our answers are then its own. All
that gives it away is its name in the Host header. Where a password is needed the site has none, and where TLS is spoken
it has no certificate: there any name will do.
"""

from __future__ import annotations

import ipaddress
import re

_PORT = re.compile(r":[0-9]{0,5}$")


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def is_local(host: str) -> bool:
    """Return whether a Host header names what no web site is called: an address, localhost, or a name under it."""
    name = _PORT.sub("", host).lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
