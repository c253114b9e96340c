"""Where alerts go: the channels that the settings name, or the sandbox's inbox."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nightdesk_alerts.alerting import Alerting, Mail

from nightdesk.settings import Settings

SANDBOX_DISCORD_PATH = "/api/webhooks/1/nightdesk"
SANDBOX_MAILBOX = "desk@nightdesk.invalid"


@dataclass(frozen=True)
class Channels:
    """Where alerts go. `of_inbox` says that they are the sandbox's, for want of any other."""

    alerting: Alerting
    watchdog_url: str = field(default="", repr=False)
    of_inbox: bool = False

    @property
    def secrets(self) -> dict[str, str]:
        """What the configuration refers to as a file, by the file's name."""
        alerting = self.alerting
        found = {
            "discord_url": alerting.discord_webhook_url,
            "slack_url": alerting.slack_webhook_url,
            "telegram_token": alerting.telegram_bot_token,
            "webhook_url": alerting.webhook_url,
            "smtp_password": alerting.mail.password if alerting.mail else "",
            "watchdog_url": self.watchdog_url,
        }
        return {name: text for name, text in found.items() if text}


def channels(settings: Settings) -> Channels:
    """Return the channels that the settings name; in the sandbox with none named, its inbox.

    The bot's own `send_alert` posts to the stack's Alertmanager, and to these where it does not answer. Raises
    `SettingsError` where a secret cannot be read or a channel is half configured.
    """
    alerts = settings.operations.alerts
    alerting = alerts.alerting(alertmanagers=(f"http://{settings.address('alertmanager')}",))
    of_inbox = settings.sandbox.enabled and not alerting.direct
    if of_inbox:
        host, _, port = settings.address("smtp").rpartition(":")
        alerting = replace(
            alerting,
            discord_webhook_url=f"http://{settings.address('inbox')}{SANDBOX_DISCORD_PATH}",
            mail=Mail(
                server=host,
                port=int(port),
                sender=alerts.email_from,
                recipients=(SANDBOX_MAILBOX,),
                require_tls=False,
            ),
        )
    return Channels(alerting, alerts.watchdog_url.get_secret_value(), of_inbox)
