"""Alerts that leave the bot at once: to Alertmanager, or, where there is none or none answers, straight to people.

with AlertSender("btc", alerting=Alerting(alertmanagers=("http://127.0.0.1:9093",))) as sender:
    sender.send_alert("TradebotGuardPaused", severity="critical", summary="The performance guard has paused trading.")
    ...
    sender.withdraw("TradebotGuardPaused")

Importing this loads neither `requests` nor `smtplib`: what delivers is loaded when a sender starts.
"""

from typing import TYPE_CHECKING

from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery_outcome import DROP_REASONS, SENT_PATHS
from nightdesk_alerts.preferences import KILL_SWITCH_ALERTS, PAUSE_ALERTS, ROTATION_ALERTS
from nightdesk_alerts.sender import AlertSender

if TYPE_CHECKING:
    from nightdesk_alerts.channels.mail import Mail
else:

    def __getattr__(name: str) -> object:
        """Load mail where somebody wants it."""
        if name == "Mail":
            from nightdesk_alerts.channels.mail import Mail

            return Mail
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "DROP_REASONS",
    "KILL_SWITCH_ALERTS",
    "PAUSE_ALERTS",
    "ROTATION_ALERTS",
    "SENT_PATHS",
    "AlertSender",
    "Alerting",
    "Mail",
]
