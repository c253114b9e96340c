"""What of each server may be asked through the page server: all that shows, and of what changes only silences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from nightdesk.passwords import Guarded

_READING = ("GET", "HEAD")
# Profiles stop the server for seconds, and hold what is in its memory.
_NEVER = re.compile(r"/debug(/|$)")


@dataclass(frozen=True)
class Upstream:
    """A server. `writes` are what may be asked by other methods than GET: pairs of method and pattern of the path."""

    server: Guarded
    title: str
    start: str
    writes: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def allows(self, method: str, path: str) -> bool:
        """Return whether a request is passed on; `path` is as it was sent, without the server's prefix."""
        plain = unquote(path)
        # A path that the server would tidy up first would be another one there than here.
        if not path.startswith("/") or "//" in plain or "\\" in plain or {".", ".."} & set(plain.split("/")):
            return False
        if method in _READING:
            return not _NEVER.match(plain)
        return any(method == allowed and pattern.fullmatch(path) for allowed, pattern in self.writes)


UPSTREAMS: tuple[Upstream, ...] = (
    Upstream(
        "prometheus",
        "Prometheus",
        "/classic/alerts",
        # Questions that are too long for an address are posted.
        (("POST", re.compile(r"/api/v1/(query|query_range|query_exemplars|format_query|parse_query|labels|series)")),),
    ),
    Upstream(
        "alertmanager",
        "Alertmanager",
        "/",
        (("POST", re.compile(r"/api/v2/silences")), ("DELETE", re.compile(r"/api/v2/silence/[0-9a-fA-F-]{36}"))),
    ),
    Upstream("pushgateway", "Pushgateway", "/"),
)
