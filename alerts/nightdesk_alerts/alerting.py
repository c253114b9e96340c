"""Where alerts go and which of them: plain data, for people without the settings file. No secret is in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Mail:
    """How mail is sent: STARTTLS where `require_tls`, TLS from the first byte on port 465, else unencrypted."""

    server: str
    recipients: tuple[str, ...]
    port: int = 587
    sender: str = "nightdesk@localhost"
    username: str = ""
    password: str = field(default="", repr=False)
    require_tls: bool = True


@dataclass(frozen=True, kw_only=True)
class Alerting:
    """Every Alertmanager, every direct channel, and what a person wants to hear of. An empty text is no channel."""

    alertmanagers: tuple[str, ...] = field(default=(), repr=False)
    discord_webhook_url: str = field(default="", repr=False)
    slack_webhook_url: str = field(default="", repr=False)
    telegram_bot_token: str = field(default="", repr=False)
    telegram_chat_id: str = ""
    telegram_api_url: str = "https://api.telegram.org"
    webhook_url: str = field(default="", repr=False)
    mail: Mail | None = None
    enabled: bool = True
    on_pause: bool = True
    on_kill_switch: bool = True
    on_model_rotation: bool = True

    @property
    def direct(self) -> tuple[str, ...]:
        """The names of the direct channels that there are."""
        there = {
            "discord": self.discord_webhook_url,
            "slack": self.slack_webhook_url,
            "telegram": self.telegram_bot_token and self.telegram_chat_id,
            "webhook": self.webhook_url,
            "mail": self.mail,
        }
        return tuple(name for name, value in there.items() if value)
