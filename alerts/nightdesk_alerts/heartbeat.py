"""A heartbeat to somebody outside, who tells people when it stays away: the one thing that notices a dead machine.

Two kinds of service are spoken to. healthchecks.io, hosted or one's own, has an address for each check, and others
below it: /start and /fail. Uptime Kuma's push monitors have one address, and take the state as a parameter.

https://healthchecks.io/docs/http_api/
https://github.com/louislam/uptime-kuma/blob/master/server/routers/api-router.js
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from nightdesk_core.errors import NightdeskError

from nightdesk_alerts.addresses import url_problems

HeartbeatKind = Literal["", "healthchecks", "uptime_kuma"]
"""Empty: by the address."""

_KUMA = re.compile(r"/api/push/[^/]+/?$")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HEALTHCHECKS = re.compile(rf"/ping/[^/]+(?:/[^/]+)?/?$|/{_UUID}/?$", re.IGNORECASE)
_HOSTED = ("hc-ping.com", "hchk.io")
_ENDS = re.compile(r"/(?:start|fail|log|[0-9]{1,3})/?$")
_LONGEST_MESSAGE = 200
"""Of what Uptime Kuma shows in a line."""


class HeartbeatError(NightdeskError, ValueError):
    """A heartbeat is not what it can be. The message names no address: addresses hold secrets."""

    exit_code = 2


class Beat(StrEnum):
    """What a heartbeat says."""

    START = "start"
    UP = "up"
    DOWN = "down"


class HeartbeatRequest(NamedTuple):
    """What is asked for: with a body by POST, without by GET."""

    url: str
    parameters: Mapping[str, str]
    body: str | None


@dataclass(frozen=True)
class Heartbeat:
    """Where a heartbeat goes, what kind of service that is, and how often, in seconds of wall time.

    The service is to wait for longer than the interval: two of them and a minute, say. Raises `HeartbeatError` for an
    address that is none, or whose kind does not show in it and is not said, and for an interval below a second.
    """

    url: str = field(repr=False)
    kind: HeartbeatKind = ""
    interval_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what can never arrive, before a bot relies on it."""
        if not self.url or any(url_problems("heartbeat_url", self.url)):
            raise HeartbeatError("heartbeat_url is no address: it must read https://host/…")
        if not 1.0 <= self.interval_seconds < math.inf:
            raise HeartbeatError(f"the heartbeat's interval is {self.interval_seconds} s; it must be 1 s at least")
        found = self.kind or _kind(urlsplit(self.url))
        if found not in ("healthchecks", "uptime_kuma"):
            raise HeartbeatError(
                "heartbeat_url does not show what kind of service it belongs to: say healthchecks (success, /start and"
                " /fail below it) or uptime_kuma (?status=up&msg=&ping=)"
            )
        object.__setattr__(self, "kind", found)

    def request(self, beat: Beat, text: str, *, took_seconds: float | None) -> HeartbeatRequest | None:
        """Return how the service is told of a beat; `None` where it knows no such thing.

        `text` is for people; `took_seconds` is how long the last request took, which Uptime Kuma draws.
        """
        parts = urlsplit(self.url)
        if self.kind == "healthchecks":
            end = {Beat.START: "/start", Beat.UP: "", Beat.DOWN: "/fail"}[beat]
            path = _ENDS.sub("", parts.path).rstrip("/") + end
            return HeartbeatRequest(urlunsplit(parts._replace(path=path, fragment="")), {}, text)
        if beat is Beat.START:
            return None
        ping = "" if took_seconds is None else f"{took_seconds * 1000:.0f}"
        said = {"status": beat.value, "msg": text[:_LONGEST_MESSAGE] or "OK", "ping": ping}
        return HeartbeatRequest(urlunsplit(parts._replace(query="", fragment="")), said, None)


def _kind(parts: SplitResult) -> str:
    if _KUMA.search(parts.path):
        return "uptime_kuma"
    path = _ENDS.sub("", parts.path)
    if parts.hostname in _HOSTED or _HEALTHCHECKS.search(path):
        return "healthchecks"
    return ""
