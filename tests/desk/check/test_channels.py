"""What `nightdesk check` says of the alert channels, and of who can read their secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.check.channels import check_channels, check_secrets
from nightdesk.check.result import SetupError
from nightdesk.settings import load
from nightdesk_alerts.channels import known_channels

from tests.desk.conftest import Load

ALERTS = "operations.alerts"
MAIL = (f"{ALERTS}.email_smtp_server=smtp.example.org", f"{ALERTS}.email_recipients=[you@example.org]")
KEYS = [kind.needed()[0].usual_key for kind in known_channels()]
DISCORD = f"{ALERTS}.discord_webhook_url=https://discord.example/api/webhooks/1/s3cret"


def test_where_nobody_is_told_it_is_said_what_to_set() -> None:
    ours = ["discord_webhook_url_file", "slack_webhook_url_file", "telegram_bot_token_file", "webhook_url_file"]
    assert [key for key in KEYS if key in (*ours, "email_smtp_server")] == [*ours, "email_smtp_server"]


@pytest.mark.parametrize(
    ("assignments", "remark"),
    [
        ([], "Discord and e-mail of the sandbox's inbox"),
        ([DISCORD], "Discord"),
        (MAIL, "e-mail"),
        ([DISCORD, *MAIL], "Discord and e-mail"),
        (
            ["sandbox.enabled=false"],
            f"none: alerts are only seen in Alertmanager; set {', '.join(KEYS[:-1])} or {KEYS[-1]}",
        ),
        ([f"{ALERTS}.enabled=false"], "switched off by operations.alerts.enabled: nobody is told anything"),
    ],
)
def test_it_is_said_who_is_told(assignments: list[str], remark: str, settings_with: Load) -> None:
    assert check_channels(settings_with(*assignments)) == remark


@pytest.mark.parametrize(
    ("assignments", "trouble"),
    [
        (
            [f"{ALERTS}.discord_webhook_url=discord.example/s3cret"],
            f"{ALERTS}.discord_webhook_url is no address: it must read https://host/…",
        ),
        (
            [f"{ALERTS}.watchdog_url='ftp://host/s3cret'"],
            f"{ALERTS}.watchdog_url is no address: it must read https://host/…",
        ),
        (
            [f"{ALERTS}.watchdog_url='https://[s3cret'"],
            f"{ALERTS}.watchdog_url is no address: it must read https://host/…",
        ),
        (
            [*MAIL, f"{ALERTS}.email_recipients=[you, 'a@b c']"],
            f"{ALERTS}.email_recipients holds 'you', which is no e-mail address: it must read name@host; "
            f"{ALERTS}.email_recipients holds 'a@b c', which is no e-mail address: it must read name@host",
        ),
        (
            [*MAIL, f"{ALERTS}.email_from=desk@"],
            f"{ALERTS}.email_from holds 'desk@', which is no e-mail address: it must read name@host",
        ),
        (
            [*MAIL, f"{ALERTS}.email_smtp_server='smtp.example.org:25'"],
            f"{ALERTS}.email_smtp_server is 'smtp.example.org:25': it must be a host's name alone; "
            "the port is email_smtp_port",
        ),
    ],
)
def test_a_malformed_channel_is_named_and_its_secret_is_not(
    assignments: list[str], trouble: str, settings_with: Load
) -> None:
    with pytest.raises(SetupError) as raised:
        check_channels(settings_with(*assignments))
    assert str(raised.value) == trouble
    assert "s3cret" not in trouble


def test_a_secrets_file_in_home_that_everybody_can_read_is_named(settings_file: Path) -> None:
    secret = settings_file.parent / "home" / "webhook"
    secret.write_text("https://discord.example/s3cret\n")
    secret.chmod(0o644)
    settings = load(settings_file, [f"{ALERTS}.discord_webhook_url_file=webhook"])
    assert check_channels(settings) == "Discord"
    with pytest.raises(SetupError) as raised:
        check_secrets(settings, settings_file)
    assert str(raised.value) == f"every user of this machine can read {secret}; chmod 600 {secret}"
    secret.chmod(0o600)
    assert check_secrets(settings, settings_file) == "in 1 files that others cannot read"


def test_settings_that_hold_a_secret_themselves_are_for_their_owner_alone(settings_file: Path) -> None:
    text = settings_file.read_text()
    settings_file.chmod(0o644)
    assert check_secrets(load(settings_file), settings_file) == "none"
    settings_file.write_text(f"{text}operations:\n  alerts:\n    email_password: s3cret\n")
    with pytest.raises(SetupError, match="every user of this machine can read"):
        check_secrets(load(settings_file), settings_file)
    settings_file.chmod(0o600)
    assert check_secrets(load(settings_file), settings_file) == "in 1 files that others cannot read"


def test_secrets_as_they_were_rendered_are_looked_at_too(settings_file: Path) -> None:
    rendered = settings_file.parent / "home" / "rendered" / "alertmanager" / "secrets" / "discord_url"
    rendered.parent.mkdir(parents=True)
    rendered.write_text("https://discord.example/s3cret")
    rendered.chmod(0o604)
    with pytest.raises(SetupError) as raised:
        check_secrets(load(settings_file), settings_file)
    assert str(rendered) in str(raised.value)
