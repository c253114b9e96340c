"""The settings of the channels: their secrets come from files and show nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk_alerts.settings import AlertSettings
from nightdesk_core.settings import SettingsError, validate
from nightdesk_exporter import Limits
from nightdesk_exporter.settings import LimitSettings


def test_no_secret_shows_in_the_settings_repr(tmp_path: Path) -> None:
    settings = AlertSettings.model_validate(
        {"discord_webhook_url": "https://hook/s3cret", "email_password": "s3cret", "watchdog_url": "https://s3cret"}
    )
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secret("discord_webhook_url") == "https://hook/s3cret"
    assert settings.secret("email_password") == "s3cret"


def test_a_named_file_goes_before_the_value(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hook/from-file\n")
    settings = AlertSettings.model_validate({"discord_webhook_url": "https://other", "discord_webhook_url_file": file})
    assert settings.secret("discord_webhook_url") == "https://hook/from-file"
    missing = AlertSettings.model_validate({"email_password_file": tmp_path / "none"})
    with pytest.raises(SettingsError) as raised:
        missing.secret("email_password")
    assert raised.value.problems == (f"{tmp_path / 'none'} cannot be read (No such file or directory)",)


def test_limits_that_make_no_sense_are_all_refused_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        validate(LimitSettings, {"heartbeat_seconds": 0, "drawdown_warning_ratio": 1.5, "lever": 2}, source="x")
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "heartbeat_seconds",
        "drawdown_warning_ratio",
        "lever",
    ]


def test_the_shipped_limits_are_the_exporter_s_own() -> None:
    shipped, own = LimitSettings(), Limits()
    assert shipped.model_age_days * 86_400 == own.model_age_seconds
    assert shipped.no_trade_days * 86_400 == own.no_trade_seconds
    for name in ("heartbeat_seconds", "exchange_contact_seconds", "daily_loss_ratio", "leverage_ratio"):
        assert getattr(shipped, name) == getattr(own, name)
    for name in ("drawdown_warning_ratio", "drawdown_critical_ratio"):
        assert getattr(shipped, name) == getattr(own, name)
