"""What people read. The wording of Alertmanager's templates, for one alert."""

from __future__ import annotations

from nightdesk_alerts.alert import Notification

_SEVERITIES = {"critical": "CRITICAL", "warning": "Warning", "info": "Info"}
LONGEST_SUMMARY = 80
LONGEST_DESCRIPTION = 200


def title(notification: Notification, *, longest_name: int = 80) -> str:
    """Return how bad it is, what it is, and of which bot: `CRITICAL: TradebotGuardPaused (btc)`."""
    alert = notification.alert
    severity = _SEVERITIES.get(alert.labels["severity"], "Alert")
    word = "Resolved" if notification.status == "resolved" else severity
    return _line(f"{word}: {alert.name[:longest_name]} ({alert.bot[:longest_name]})")


def summary(notification: Notification) -> str:
    """Return the sentence that says what is the matter."""
    return _line(notification.alert.summary)[:LONGEST_SUMMARY]


def whom(notification: Notification) -> str:
    """Return how bad it is and whom it concerns: `critical, btc, BTC/USDT:USDT`."""
    labels = notification.alert.labels
    return _line(", ".join(labels[name][:80] for name in ("severity", "bot", "symbol") if labels.get(name)))


def description(notification: Notification) -> str:
    """Return the sentences with the numbers."""
    return notification.alert.description[:LONGEST_DESCRIPTION]


def runbook(notification: Notification) -> str:
    """Return what to read next; empty where there is nothing."""
    path = notification.alert.annotations.get("runbook_url", "")
    return f"What to do: {path[:200]}" if path else ""


def _line(text: str) -> str:
    return " ".join(text.split())
