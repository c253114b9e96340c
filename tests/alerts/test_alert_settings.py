"""The settings of the channels, as a sender takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightdesk_alerts import Alerting, Mail
from nightdesk_alerts.settings import AlertSettings
from nightdesk_core.settings import SettingsError, validate

SECRETS = ("discord_webhook_url", "slack_webhook_url", "telegram_bot_token", "webhook_url", "email_password")
WHOLE: dict[str, Any] = {
    "telegram_chat_id": -100500,
    "email_smtp_server": "mail.example",
    "email_recipients": ["you@example.org"],
    "email_username": "desk",
}


def expected() -> Alerting:
    """Return what the settings with every channel say, each secret its own key."""
    return Alerting(
        alertmanagers=("http://am",),
        discord_webhook_url="discord_webhook_url",
        slack_webhook_url="slack_webhook_url",
        telegram_bot_token="telegram_bot_token",
        telegram_chat_id="-100500",
        webhook_url="webhook_url",
        mail=Mail(server="mail.example", recipients=("you@example.org",), username="desk", password="email_password"),
        on_kill_switch=False,
    )


def test_every_secret_may_stand_in_the_settings_or_in_a_file(tmp_path: Path) -> None:
    for name in SECRETS:
        (tmp_path / name).write_text(f"{name}\n")
    inline = {**WHOLE, "alert_on_kill_switch": False, **{name: name for name in SECRETS}}
    in_files = {**WHOLE, "alert_on_kill_switch": False, **{f"{name}_file": tmp_path / name for name in SECRETS}}
    for values in (inline, in_files):
        settings = AlertSettings.model_validate(values)
        assert settings.alerting(alertmanagers=("http://am",)) == expected()
        assert not [name for name in SECRETS if f"'{name}'" in repr(settings)]


def test_no_settings_are_no_channels() -> None:
    assert AlertSettings().alerting() == Alerting()
    assert Alerting().direct == ()


def test_a_chat_id_is_a_number() -> None:
    with pytest.raises(SettingsError) as raised:
        validate(AlertSettings, {"telegram_chat_id": "@channel"}, source="x")
    assert [problem.split(":")[0] for problem in raised.value.problems] == ["telegram_chat_id"]


def test_all_halves_are_reported_at_once() -> None:
    halves = AlertSettings.model_validate({"telegram_chat_id": 5, "email_recipients": ["a@b.c"]})
    with pytest.raises(SettingsError) as raised:
        halves.alerting()
    assert len(raised.value.problems) == 2
