"""What a server on this machine checks of a request, so that pages of other sites in a browser reach nothing.

A page may send requests wherever it likes, to 127.0.0.1, too; only what it reads of the answers is limited. Two ways
lead further. *Cross-site request forgery*: the request itself does harm, or comes with the browser's cookies. Browsers
say in `Sec-Fetch-Site` and `Origin` which page a request comes from, and no page can change that. *DNS rebinding*: a
site points its own name at 127.0.0.1 once it is loaded, and to the browser our answers are then its own. All that
gives it away is its name in the Host header. Where a password is needed the site has none, and where TLS is spoken it
has no certificate: there any name will do.

A cookie knows no port: to the browser every server on 127.0.0.1 is the same site, whoever runs it. So a request that
another port's page makes is refused like that of another site.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_PORT = re.compile(r":[0-9]{0,5}$")
_OWN = ("same-origin", "none")
"""`none` is the person: a typed address, a bookmark, a link in another program."""
_READING = ("GET", "HEAD")


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def is_local(host: str) -> bool:
    """Return whether a Host header names what no web site is called: an address, localhost, or a name under it."""
    name = _PORT.sub("", host).lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_address(name)


def is_address(name: str) -> bool:
    """Return whether a host's name, without a port, is an IP address; IPv6 may stand in brackets."""
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


def foreign_page(method: str, headers: Mapping[str, str]) -> str | None:
    """Return which other page a request comes from, for a message; `None` where it is the server's own, or none.

    A link that leads here from elsewhere is let through: the browser shows the answer to the person, and to no page.
    `headers` are looked up by names in small letters.
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and _place(origin) != host.lower():
        return f"a page of {origin!r}"
    site = headers.get("sec-fetch-site", "none")
    if site in _OWN or (method in _READING and _is_followed_link(headers)):
        return None
    return f"a page of another server (Sec-Fetch-Site: {site!r})"


def _is_followed_link(headers: Mapping[str, str]) -> bool:
    # A frame or an object is a navigation, too, but of no document of its own.
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
