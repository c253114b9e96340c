"""What a service's answer over HTTP means: delivered, to be tried again and when, or refused for good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError

from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later, Refused

_TOO_EARLY = frozenset({408, 425, 429})
_LONGEST_WORDS = 100


class WebResponse(NamedTuple):
    """A status, headers whose names are in any case, and the first bytes of a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, `None` where it is none."""
        try:
            return parse_json(self.body, source="the answer")
        except InputError:
            return None


def judge(answer: WebResponse, *, wall: float, words: str = "", after_seconds: Any = None) -> DeliveryOutcome:
    """Return what an answer means.

    `words` are the service's own, `after_seconds` what its body says of when to come back: it is more exact than the
    header. A redirect is refused: what follows it would carry the message elsewhere.
    """
    if 200 <= answer.status < 300:
        return Delivered()
    problem = f"HTTP {answer.status}" + (f", {words[:_LONGEST_WORDS]}" if words else "")
    if answer.status in _TOO_EARLY or answer.status >= 500:
        found = _seconds(after_seconds)
        return Later(problem, retry_after(answer.headers, wall=wall) if found is None else found)
    return Refused(problem)


def retry_after(headers: Mapping[str, str], *, wall: float) -> float | None:
    """Return what `Retry-After` says, in seconds from now, be it a number or a date; `None` for nothing."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    found = _seconds(text)
    if found is not None:
        return found
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - wall, 0.0)


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
