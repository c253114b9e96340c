"""Settings of the exporter: health, limits and the channels that alerts go to."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.settings import SettingsModel, read_secret
from pydantic import Field, SecretStr


class LimitSettings(SettingsModel):
    """What is too old, too much or too little. Exported as metrics, so that each bot has its own."""

    heartbeat_seconds: float = Field(120, gt=0, description="A loop that is silent for longer has stalled.")
    exchange_contact_seconds: float = Field(
        300, gt=0, description="The requirements' «API connection lost > 5 minutes»."
    )
    model_age_days: float = Field(90, gt=0, description="The requirements' example for a model that is too old.")
    no_trade_days: float = Field(7, gt=0, description="The requirements' «no trades in 7 days (if expected)».")
    drawdown_warning_ratio: float = Field(0.05, gt=0, lt=1)
    drawdown_critical_ratio: float = Field(0.10, gt=0, lt=1)
    daily_loss_ratio: float = Field(0.05, gt=0, lt=1)
    leverage_ratio: float = Field(2.5, gt=0)


class AlertSettings(SettingsModel):
    """Where alerts go. The first block is the requirements document's, key for key."""

    enabled: bool = True
    discord_webhook_url: SecretStr = Field(SecretStr(""), description="Empty means no Discord.")
    email_smtp_server: str = Field("", description="Host of the mail server; empty means no e-mail.")
    email_recipients: tuple[str, ...] = ()
    alert_on_pause: bool = True
    alert_on_kill_switch: bool = True
    alert_on_model_rotation: bool = True

    discord_webhook_url_file: Path | None = Field(None, description="A file that holds the Discord URL.")
    email_smtp_port: int = Field(587, ge=1, le=65535)
    email_from: str = "nightdesk@localhost"
    email_username: str = ""
    email_password: SecretStr = SecretStr("")
    email_password_file: Path | None = None
    email_require_tls: bool = True
    watchdog_url: SecretStr = Field(
        SecretStr(""), description="An external heartbeat that the Watchdog alert is sent to."
    )

    def discord_url(self) -> str:
        """Return the Discord webhook's URL, or an empty string where there is none."""
        return read_secret(self.discord_webhook_url, self.discord_webhook_url_file, key="discord_webhook_url_file")

    def smtp_password(self) -> str:
        """Return the mail password, or an empty string where there is none."""
        return read_secret(self.email_password, self.email_password_file, key="email_password_file")
