"""Settings of the inbox."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from nightdesk_core.settings import SettingsModel, read_secret
from pydantic import Field, SecretStr, model_validator


class InboxSettings(SettingsModel):
    """How strict the inbox is. By default it takes mail from anyone and any number of messages."""

    real_limits: bool = Field(
        False, description="Refuse more messages in a time than Discord, Slack and Telegram would, with their 429."
    )
    smtp_username: str = Field("", description="Who must log in before sending mail; empty means anyone, or nobody.")
    smtp_password: SecretStr = Field(SecretStr(""), description="The login's password; better in a file.")
    smtp_password_file: Path | None = Field(None, description="A file that holds the login's password.")
    smtp_require_tls: bool = Field(False, description="Take mail and logins only after STARTTLS.")

    @model_validator(mode="after")
    def _a_login_is_whole(self) -> Self:
        if bool(self.smtp_username) != bool(self.smtp_password.get_secret_value() or self.smtp_password_file):
            raise ValueError("smtp_username and smtp_password (or smtp_password_file) go together")
        return self

    def password(self, *, home: Path) -> str:
        """Return the password that a login must have; a relative file lies in `home`.

        Raises `SettingsError` where the file cannot be read.
        """
        file = None if self.smtp_password_file is None else home / self.smtp_password_file
        return read_secret(self.smtp_password, file, key="sandbox.inbox.smtp_password_file")
