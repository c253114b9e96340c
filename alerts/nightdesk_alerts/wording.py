"""What people read. The wording of Alertmanager's templates, for one alert."""

from __future__ import annotations

from nightdesk_alerts.alert import Notice

_SEVERITIES = {"critical": "CRITICAL", "warning": "Warning", "info": "Info"}
LONGEST_SUMMARY = 80
LONGEST_DESCRIPTION = 200


def title(notice: Notice) -> str:
    """Return how bad it is, what it is, and of which bot: `CRITICAL: TradebotGuardPaused (btc)`."""
    alert = notice.alert
    severity = _SEVERITIES.get(alert.labels["severity"], "Alert")
    word = "Resolved" if notice.status == "resolved" else severity
    return _line(f"{word}: {alert.name[:80]} ({alert.bot[:80]})")


def summary(notice: Notice) -> str:
    """Return the sentence that says what is the matter."""
    return _line(notice.alert.summary)[:LONGEST_SUMMARY]


def whom(notice: Notice) -> str:
    """Return how bad it is and whom it concerns: `critical, btc, BTC/USDT:USDT`."""
    labels = notice.alert.labels
    return _line(", ".join(labels[name][:80] for name in ("severity", "bot", "symbol") if labels.get(name)))


def description(notice: Notice) -> str:
    """Return the sentences with the numbers."""
    return notice.alert.description[:LONGEST_DESCRIPTION]


def runbook(notice: Notice) -> str:
    """Return what to read next; empty where there is nothing."""
    path = notice.alert.annotations.get("runbook_url", "")
    return f"What to do: {path[:200]}" if path else ""


def _line(text: str) -> str:
    return " ".join(text.split())
