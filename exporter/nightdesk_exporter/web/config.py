"""The web configuration in force: TLS, users, headers, rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nightdesk_exporter.web.rate import DEFAULT_RATE, Rate

if TYPE_CHECKING:
    import ssl


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
    asks_for_certificates: bool = False
    """Whether nobody is let in without a certificate of an authority that is named."""
