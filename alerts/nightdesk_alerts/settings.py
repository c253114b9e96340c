"""Settings of alerts: the channels that they go to, and which of them a person wants."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.settings import SettingsError, SettingsModel, read_secret
from pydantic import Field, SecretStr

from nightdesk_alerts.alerting import Alerting, Mail


class AlertSettings(SettingsModel):
    """Where alerts go. The first block is the requirements document's, key for key."""

    enabled: bool = Field(True, description="Off: alerts are evaluated and shown, and sent to nobody.")
    discord_webhook_url: SecretStr = Field(SecretStr(""), description="A Discord webhook; empty means no Discord.")
    email_smtp_server: str = Field("", description="Host of the mail server; empty means no e-mail.")
    email_recipients: tuple[str, ...] = Field((), description="Who is sent mail; needs email_smtp_server.")
    alert_on_pause: bool = Field(True, description="Tell when the performance guard throttles or pauses the bot.")
    alert_on_kill_switch: bool = Field(True, description="Tell when the kill switch is active.")
    alert_on_model_rotation: bool = Field(True, description="Tell when a model is promoted, kept or rolled back.")

    discord_webhook_url_file: Path | None = Field(None, description="A file that holds the Discord URL.")
    slack_webhook_url: SecretStr = Field(SecretStr(""), description="A Slack incoming webhook; empty means no Slack.")
    slack_webhook_url_file: Path | None = Field(None, description="A file that holds the Slack URL.")
    telegram_bot_token: SecretStr = Field(
        SecretStr(""), description="A Telegram bot's token, of @BotFather; needs telegram_chat_id."
    )
    telegram_bot_token_file: Path | None = Field(None, description="A file that holds the Telegram bot's token.")
    telegram_chat_id: str = Field(
        "",
        pattern=r"^(-?[1-9][0-9]{0,18})?$",
        coerce_numbers_to_str=True,
        description="The number of the chat that the Telegram bot writes to; a group's is negative.",
    )
    telegram_api_url: str = Field(
        "https://api.telegram.org", description="Where Telegram's Bot API is; change it for a server of your own."
    )
    webhook_url: SecretStr = Field(
        SecretStr(""), description="A webhook of your own, which is given Alertmanager's payload; empty means none."
    )
    webhook_url_file: Path | None = Field(None, description="A file that holds the URL of your own webhook.")
    email_smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    email_from: str = Field("nightdesk@localhost", description="The sender's address.")
    email_username: str = Field("", description="Who logs in to the mail server; empty means no login.")
    email_password: SecretStr = Field(SecretStr(""), description="The login's password; better in a file.")
    email_password_file: Path | None = Field(None, description="A file that holds the login's password.")
    email_require_tls: bool = Field(True, description="Send no mail where the server does not offer STARTTLS.")
    watchdog_url: SecretStr = Field(
        SecretStr(""), description="An external heartbeat that the Watchdog alert is sent to."
    )

    def discord_url(self) -> str:
        """Return the Discord webhook's URL, or an empty string where there is none."""
        return read_secret(self.discord_webhook_url, self.discord_webhook_url_file, key="discord_webhook_url_file")

    def slack_url(self) -> str:
        """Return the Slack webhook's URL, or an empty string where there is none."""
        return read_secret(self.slack_webhook_url, self.slack_webhook_url_file, key="slack_webhook_url_file")

    def telegram_token(self) -> str:
        """Return the Telegram bot's token, or an empty string where there is none."""
        return read_secret(self.telegram_bot_token, self.telegram_bot_token_file, key="telegram_bot_token_file")

    def own_webhook_url(self) -> str:
        """Return the URL of a person's own webhook, or an empty string where there is none."""
        return read_secret(self.webhook_url, self.webhook_url_file, key="webhook_url_file")

    def smtp_password(self) -> str:
        """Return the mail password, or an empty string where there is none."""
        return read_secret(self.email_password, self.email_password_file, key="email_password_file")

    def alerting(self, *, alertmanagers: tuple[str, ...] = ()) -> Alerting:
        """Return the channels and preferences as `AlertSender` takes them, the secrets read from their files.

        Raises `SettingsError` with every channel of which there is only half, or where a secret cannot be read.
        """
        token = self.telegram_token()
        problems = []
        if bool(self.email_smtp_server) != bool(self.email_recipients):
            problems.append("email_smtp_server and email_recipients need each other; set both or neither")
        # An empty file is a channel that is not there, as in the compose deployment.
        if bool(token) != bool(self.telegram_chat_id) and not (self.telegram_bot_token_file and not token):
            problems.append("telegram_bot_token and telegram_chat_id need each other; set both or neither")
        if problems:
            raise SettingsError("operations.alerts", problems)
        return Alerting(
            alertmanagers=alertmanagers,
            discord_webhook_url=self.discord_url(),
            slack_webhook_url=self.slack_url(),
            telegram_bot_token=token,
            telegram_chat_id=self.telegram_chat_id if token else "",
            telegram_api_url=self.telegram_api_url,
            webhook_url=self.own_webhook_url(),
            mail=self._mail(),
            enabled=self.enabled,
            on_pause=self.alert_on_pause,
            on_kill_switch=self.alert_on_kill_switch,
            on_model_rotation=self.alert_on_model_rotation,
        )

    def _mail(self) -> Mail | None:
        if not self.email_smtp_server:
            return None
        return Mail(
            server=self.email_smtp_server,
            port=self.email_smtp_port,
            sender=self.email_from,
            recipients=self.email_recipients,
            username=self.email_username,
            password=self.smtp_password(),
            require_tls=self.email_require_tls,
        )
