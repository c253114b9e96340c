"""Where alerts go: the channels that the settings name, or the sandbox's inbox."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nightdesk_alerts import Alerting, SandboxInbox
from nightdesk_alerts.channels import known_channels
from nightdesk_alerts.moved_chats import FILE_NAME, MovedChats

from nightdesk import home
from nightdesk.passwords import url_with_login
from nightdesk.settings import Settings


@dataclass(frozen=True)
class Channels:
    """Where alerts go. `of_inbox` says that they are the sandbox's, for want of any other."""

    alerting: Alerting
    watchdog_url: str = field(default="", repr=False)
    of_inbox: bool = False

    @property
    def secrets(self) -> dict[str, str]:
        """What Alertmanager's configuration refers to as a file, by the file's name."""
        found = {name: text for channel in self.alerting.channels for name, text in channel.secrets.items()}
        return found | ({"watchdog_url": self.watchdog_url} if self.watchdog_url else {})


def channels(settings: Settings) -> Channels:
    """Return the channels that the settings name; in the sandbox with none named, its inbox.

    The bot's own `send_alert` posts to the stack's Alertmanager, and to these where it does not answer. Raises
    `SettingsError` where a secret cannot be read or a channel is half configured.
    """
    own = own_channels(settings)
    if own.alerting.channels or not settings.sandbox.enabled:
        return own
    host, _, port = settings.address("smtp").rpartition(":")
    inbox = SandboxInbox(f"http://{settings.address('inbox')}", host, int(port))
    found = [kind.in_sandbox(inbox, dict(settings.operations.alerts)) for kind in known_channels()]
    return replace(own, alerting=replace(own.alerting, channels=tuple(filter(None, found))), of_inbox=True)


def own_channels(settings: Settings) -> Channels:
    """Return the channels that the settings name, and no others. Raises as `channels` does."""
    alerts = settings.operations.alerts
    alerting = alerts.alerting(alertmanagers=(url_with_login(settings, "alertmanager"),))
    moved = moved_chats(settings)
    alerting = replace(alerting, channels=tuple(map(moved.follow, alerting.channels)))
    return Channels(alerting, alerts.secret("watchdog_url"))


def moved_chats(settings: Settings) -> MovedChats:
    """Return where the chats have moved to, as bot, job and page server found it."""
    return MovedChats(home.state_dir(settings) / FILE_NAME)
