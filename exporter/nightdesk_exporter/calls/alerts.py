"""Alerts that the bot itself has to tell of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nightdesk_exporter.arguments import WrongCallError, one_of, text
from nightdesk_exporter.calls.base import Calls, never_raises

if TYPE_CHECKING:
    from nightdesk_alerts import AlertSender

_SEVERITIES = ("critical", "warning", "info")


class AlertCalls(Calls):
    """The bot's own alerts, beside those about what its health check finds, which need no call."""

    _alerts: AlertSender

    @never_raises
    def send_alert(
        self,
        alertname: str,
        *,
        severity: str,
        summary: str,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        lasting: bool = True,
    ) -> None:
        """Send an alert of the bot's own, to Alertmanager or straight to people; never waits for either.

        `severity` is critical, warning or info; `labels` may hold symbol, timeframe and criterion. One that is
        `lasting` holds until `withdraw_alert`, and sending it again meanwhile changes nothing; any other is an event,
        which is told once.
        """
        self._alerts.send_alert(
            _name(alertname),
            severity=one_of(severity, _SEVERITIES, "severity"),
            summary=self._without_secrets(text(summary, "summary")),
            description=self._without_secrets(text(description, "description")),
            labels=_labels(labels),
            lasting=lasting,
        )

    @never_raises
    def withdraw_alert(self, alertname: str, labels: Mapping[str, str] | None = None) -> None:
        """The alert's condition no longer holds."""
        self._alerts.withdraw(_name(alertname), _labels(labels))


def _name(alertname: object) -> str:
    if not text(alertname, "alertname").strip():
        raise WrongCallError("alertname", "is empty; pass a name, such as FundsLow")
    return str(alertname)


def _labels(labels: object) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise WrongCallError("labels", "are none; pass a mapping of texts")
    return {text(name, "labels"): text(value, "labels") for name, value in labels.items()}
