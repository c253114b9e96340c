"""What a message's words say of the alert that it is about."""

from __future__ import annotations

import re

_STATUS = re.compile(r"\b(firing|resolved)\b", re.IGNORECASE)
_AFTER_STATUS = re.compile(r"\[(?:FIRING|RESOLVED)[^\]]*\]\s*([A-Za-z_]\w*)", re.IGNORECASE)
_HEADLINE = re.compile(
    r"^(Resolved|Critical|Warning|Info): ([A-Za-z_]\w*)(?: \(([\w.-]+)\))?", re.IGNORECASE | re.MULTILINE
)
_SEVERITY = re.compile(r"\b(critical|warning|info)\b", re.IGNORECASE)

Labels = dict[str, str | None]
"""`alertname`, `severity`, `status` and `bot`."""


def labels_in(title: str, text: str) -> Labels:
    """Return `alertname`, `severity`, `status` and `bot` as a message names them.

    Labels that are written out (`alertname = X`, `severity: critical`) count first, then the title in the manner of
    Alertmanager, `[FIRING:1] KillSwitchActive (btc critical)`, or of the desk: `CRITICAL: KillSwitchActive (btc)`.
    """
    bot = _label("bot", text, value=r"[\w.-]+")
    headline = _HEADLINE.search(title)
    if headline is not None:
        word = headline[1].lower()
        status = "resolved" if word == "resolved" else "firing"
        severity = _label("severity", text) or (None if word == "resolved" else word)
        return {"alertname": headline[2], "severity": severity, "status": status, "bot": bot or headline[3]}
    found = _STATUS.search(title) or _STATUS.search(text)
    alertname = _label("alertname", f"{title}\n{text}") or _first(_AFTER_STATUS, title)
    severity = _label("severity", f"{title}\n{text}") or _first(_SEVERITY, title)
    return {
        "alertname": alertname,
        "severity": severity.lower() if severity else None,
        "status": found[1].lower() if found else None,
        "bot": bot,
    }


def _label(name: str, text: str, *, value: str = r"[A-Za-z_]\w*") -> str | None:
    return _first(re.compile(rf"\b{name}\W{{0,3}}[=:]\W{{0,4}}({value})", re.IGNORECASE), text)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
