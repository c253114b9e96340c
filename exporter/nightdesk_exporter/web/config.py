"""The web configuration file, in the format of Prometheus' exporter-toolkit: TLS, users, headers, rate.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightdesk_exporter.errors import WebConfigError
from nightdesk_exporter.web.fields import Fields
from nightdesk_exporter.web.rate import DEFAULT_RATE, Rate
from nightdesk_exporter.web.tls import read_tls

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that the format allows, with the values that are allowed; none listed is any."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class WebConfig:
    """What a web configuration file says. `users` are bcrypt hashes by name; no user is no password."""

    tls: ssl.SSLContext | None = None
    allowed_sans: frozenset[str] = frozenset()
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    rate: Rate = DEFAULT_RATE
    files: tuple[Path, ...] = ()
    """The files that were read besides the configuration file itself."""


def read_web_config(path: Path) -> WebConfig:
    """Return what the file says, its certificates loaded; relative paths in it are beside it.

    Raises `WebConfigError` with every problem and its key.
    """
    fields = Fields(_document(path))
    tls = read_tls(fields.section("tls_server_config"), folder=path.parent)
    http = fields.section("http_server_config")
    http.boolean("http2")  # with TLS the toolkit offers HTTP/2; it is not spoken here, and no client needs it
    headers = _read_headers(http.section("headers"))
    users = _read_users(fields.section("basic_auth_users"))
    rate = _read_rate(fields.section("rate_limit"))
    if problems := fields.problems():
        raise WebConfigError(path, problems)
    return WebConfig(tls.context, tls.allowed_sans, users, headers, rate, tls.files)


def _document(path: Path) -> Mapping[Any, Any]:
    import yaml  # only who has such a file pays for it

    class StrictLoader(yaml.SafeLoader):
        """Refuses a key that is there twice: the first would be ignored silently."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's own
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise WebConfigError(path, [f"{key.value}: is there twice (line {key.start_mark.line + 1})"])
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        document = yaml.load(path.read_text(encoding="utf-8"), StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise WebConfigError(path, [f"cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise WebConfigError(path, [f"is not UTF-8 (byte {error.start})"]) from error
    except (yaml.YAMLError, TypeError) as error:
        # What the parser quotes may be a password's hash or a key.
        mark = getattr(error, "problem_mark", None)
        raise WebConfigError(path, ["is not YAML" + (f" (line {mark.line + 1})" if mark else "")]) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise WebConfigError(path, ["must hold keys and values at its top level"])
    return document


def _read_headers(fields: Fields) -> tuple[tuple[str, str], ...]:
    headers = []
    for name, allowed in _HEADERS.items():
        value = fields.text(name)
        if allowed and value and value not in allowed:
            fields.wrong(name, f"must be {' or '.join(allowed)}")
        if not value.isprintable() or not value.isascii():
            fields.wrong(name, "must be one line of ASCII")
        if value:
            headers.append((name, value))
    return tuple(headers)


def _read_users(fields: Fields) -> dict[str, str]:
    users = {}
    for name in fields.names():
        value = fields.text(name)
        if not _BCRYPT.fullmatch(value):
            fields.wrong(name, "is no bcrypt hash (htpasswd -nBC 10 '' makes one)")
        if not name or ":" in name:
            fields.wrong(name, "cannot be a user's name: it is empty or holds a colon")
        users[name] = value
    if users:
        try:
            import bcrypt  # noqa: F401 - used where passwords are compared; missing, it is to be found now
        except ImportError:
            fields.wrong("", "needs the package bcrypt: pip install 'nightdesk[web]'")
    return users


def _read_rate(fields: Fields) -> Rate:
    interval, burst = fields.text("interval"), fields.integer("burst")
    if not fields.given:
        return DEFAULT_RATE
    parts = _DURATION.findall(interval)
    if interval != "0" and (not parts or "".join(number + unit for number, unit in parts) != interval):
        fields.wrong("interval", "must be a duration such as 100ms or 1s; 0 is no limit")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds > 0 and burst < 1:
        fields.wrong("burst", "must be at least 1: otherwise nobody is answered")
    return Rate(seconds, burst)
