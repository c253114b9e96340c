"""Which of the settings are secrets, wherever they are written."""

from __future__ import annotations

from pathlib import Path

from nightdesk.logbook import secrets
from nightdesk.settings import load


def test_every_secret_of_the_settings_is_hidden_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "discord").write_text("https://discord.com/api/webhooks/1/token\n")
    (tmp_path / "scrape").write_text("of-the-scrape\n")
    (tmp_path / "nightdesk.yml").write_text(
        """
        home: .
        bot:
          scrape: {username: prometheus, password_file: scrape, ca_file: authority.pem}
        operations:
          alerts:
            discord_webhook_url_file: discord
            email_password: of-the-mail
            watchdog_url: https://heartbeat.example/abc
            slack_webhook_url_file: is-not-there
        """
    )
    found = [value for value in secrets(load(tmp_path / "nightdesk.yml")) if value]
    assert sorted(found) == [
        "https://discord.com/api/webhooks/1/token",
        "https://heartbeat.example/abc",
        "of-the-mail",
        "of-the-scrape",
    ]
