"""A message that reached the inbox, in the one form in which every channel is shown."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Channel = Literal["discord", "email"]
Status = Literal["firing", "resolved"]

_STATUS = re.compile(r"\b(firing|resolved)\b", re.IGNORECASE)
_AFTER_STATUS = re.compile(r"\[(?:FIRING|RESOLVED)[^\]]*\]\s*([A-Za-z_]\w*)", re.IGNORECASE)
_HEADLINE = re.compile(r"^(Resolved|Critical|Warning|Info): ([A-Za-z_]\w*)", re.IGNORECASE)
_SEVERITY = re.compile(r"\b(critical|warning|info)\b", re.IGNORECASE)


class Message(BaseModel):
    """One message. `id` rises with every message and is never given twice; `received_at` is ISO 8601 in UTC.

    `alertname`, `severity` and `status` are None where the message does not plainly say them. `html` is a mail's HTML,
    and `raw` all that was received.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    received_at: str
    channel: Channel
    title: str
    text: str
    alertname: str | None
    severity: str | None
    status: Status | None
    html: str | None = None
    raw: dict[str, Any]

    def contains(self, words: str) -> bool:
        """Return whether the title or the text holds `words`, whatever their case."""
        return words.casefold() in f"{self.title}\n{self.text}".casefold()


def labels_in(title: str, text: str) -> dict[str, str | None]:
    """Return `alertname`, `severity` and `status` as a message names them.

    Labels that are written out (`alertname = X`, `severity: critical`) count first, then the title in the manner of
    Alertmanager, `[FIRING:1] KillSwitchActive (btc critical)`, or of the desk: `CRITICAL: KillSwitchActive (btc)`.
    """
    headline = _HEADLINE.search(title)
    if headline is not None:
        word = headline[1].lower()
        status = "resolved" if word == "resolved" else "firing"
        severity = _label("severity", text) or (None if word == "resolved" else word)
        return {"alertname": headline[2], "severity": severity, "status": status}
    found = _STATUS.search(title) or _STATUS.search(text)
    alertname = _label("alertname", f"{title}\n{text}") or _first(_AFTER_STATUS, title)
    severity = _label("severity", f"{title}\n{text}") or _first(_SEVERITY, title)
    return {
        "alertname": alertname,
        "severity": severity.lower() if severity else None,
        "status": found[1].lower() if found else None,
    }


def _label(name: str, text: str) -> str | None:
    return _first(re.compile(rf"\b{name}\W{{0,3}}[=:]\W{{0,4}}([A-Za-z_]\w*)", re.IGNORECASE), text)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
