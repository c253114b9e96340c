"""Every channel that the settings name, as rendered, through a real Alertmanager to the inbox."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.channels import channels
from nightdesk.render.configuration import render
from nightdesk.settings import Settings, SettingsError
from nightdesk.stack.tools import Tools
from nightdesk_alerts import Alerting
from nightdesk_core.settings import override
from nightdesk_sandbox.server import InboxHandle

from tests.alertmanager.test_delivery import (
    CRITICAL,
    INFO,
    WARNING,
    alert,
    free_port,
    inbox,
    post,
    running_alertmanager,
    until_ready,
)

__all__ = ["inbox"]

pytestmark = pytest.mark.servers

ALERTS = "operations.alerts"
CHANNELS = ("discord", "slack", "telegram", "webhook", "email")
ADDRESSES = {
    "discord": (f"{ALERTS}.discord_webhook_url={{url}}/api/webhooks/1/s3cret",),
    "slack": (f"{ALERTS}.slack_webhook_url={{url}}/services/T0/B0/s3cret",),
    "telegram": (
        f"{ALERTS}.telegram_bot_token='123:s3cret'",
        f"{ALERTS}.telegram_chat_id=-100500",
        f"{ALERTS}.telegram_api_url={{url}}",
    ),
    "webhook": (f"{ALERTS}.webhook_url={{url}}/webhook/s3cret",),
    "email": (
        f"{ALERTS}.email_smtp_server=127.0.0.1",
        f"{ALERTS}.email_smtp_port={{smtp_port}}",
        f"{ALERTS}.email_from='Nächtliche Wache <desk@büro.example>'",
        f"{ALERTS}.email_recipients='\"B, Ç\" <you@example.org>; c@bücher.example'",
        f"{ALERTS}.email_require_tls=false",
    ),
}


def settings_with(
    home: Path, *names: str, url: str = "http://host", smtp_port: int = 25, more: tuple[str, ...] = ()
) -> Settings:
    """Return settings with these channels."""
    assignments = [each.format(url=url, smtp_port=smtp_port) for name in names for each in ADDRESSES[name]]
    document = override({"home": str(home)}, ["sandbox.enabled=false", *assignments, *more])
    return Settings.model_validate(document)


def receivers(settings: Settings, out: Path) -> dict[str, set[str]]:
    """Return the kinds of configuration of each receiver as rendered."""
    rendered = render(settings, out=out)
    document = yaml.safe_load(rendered.alertmanager_config.read_text())
    return {each.pop("name"): {key.removesuffix("_configs") for key in each} for each in document["receivers"]}


async def arrived(inbox: InboxHandle, *, channel: str, count: int = 1) -> list[Any]:
    """Wait until so many messages have come by a channel."""
    async with asyncio.timeout(15):
        while len(found := inbox.inbox.find(channel=channel)) < count:
            await inbox.inbox.changed.wait(1)
    return found


async def test_an_alert_reaches_every_channel_that_is_named_and_so_does_its_end(
    tools: Tools, inbox: InboxHandle, tmp_path: Path
) -> None:
    settings = settings_with(
        tmp_path,
        *CHANNELS,
        url=inbox.url,
        smtp_port=inbox.smtp_port,
        more=(f"stack.ports.alertmanager={free_port()}",),
    )
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        paused = alert("TradebotGuardPaused", CRITICAL, "btc", symbol="<b>&'\"")
        await post(url, [paused])
        first = {channel: (await arrived(inbox, channel=channel))[0] for channel in CHANNELS}
        await post(url, [paused | {"endsAt": paused["startsAt"]}])
        last = {channel: (await arrived(inbox, channel=channel, count=2))[-1] for channel in CHANNELS}
    for channel, message in first.items():
        assert (message.alertname, message.status, message.bot) == ("TradebotGuardPaused", "firing", "btc"), channel
        assert "TradebotGuardPaused of btc." in message.text, channel
        assert "5 < 6" in message.text, channel
        assert "<b>&'\"" in message.text, channel
        assert last[channel].status == "resolved", channel
    assert first["email"].to == "you@example.org, c@xn--bcher-kva.example"
    assert {first[channel].title for channel in ("discord", "slack", "telegram", "email")} == {
        "CRITICAL: TradebotGuardPaused (btc)"
    }
    assert "level=ERROR" not in (tmp_path / "alertmanager.log").read_text()


async def test_warnings_and_events_reach_every_chat(tools: Tools, inbox: InboxHandle, tmp_path: Path) -> None:
    settings = settings_with(
        tmp_path,
        *CHANNELS,
        url=inbox.url,
        smtp_port=inbox.smtp_port,
        more=(f"stack.ports.alertmanager={free_port()}",),
    )
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        await post(url, [alert("TradebotModelPromoted", INFO, "btc"), alert("TradebotGuardReduced", WARNING, "btc")])
        for channel in ("discord", "slack", "telegram", "webhook"):
            found = await arrived(inbox, channel=channel, count=2)
            assert {message.alertname for message in found} == {"TradebotModelPromoted", "TradebotGuardReduced"}


@pytest.mark.parametrize("name", CHANNELS)
def test_one_channel_alone_gets_everything(tools: Tools, name: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, name)
    found = receivers(settings, tmp_path / "out")
    assert found == {"none": set(), "page": {name}, "notice": {name}, "event": {name}, "watchdog": set()}
    done = subprocess.run(
        [tools.amtool, "check-config", tmp_path / "out/alertmanager/alertmanager.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("names", "notices"),
    [
        (("slack", "email"), {"slack"}),
        (("telegram", "email"), {"telegram"}),
        (("webhook", "email"), {"webhook", "email"}),
        (("discord", "slack", "telegram", "webhook"), {"discord", "slack", "telegram", "webhook"}),
    ],
)
def test_mail_is_for_pages_where_there_is_a_chat(names: tuple[str, ...], notices: set[str], tmp_path: Path) -> None:
    found = receivers(settings_with(tmp_path, *names), tmp_path / "out")
    assert found["page"] == set(names)
    assert found["notice"] == found["event"] == notices


def test_every_secret_lies_in_a_file_of_its_own_that_only_its_owner_reads(tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = (f"{ALERTS}.email_password=s3cret", f"{ALERTS}.watchdog_url=http://host/s3cret")
    render(settings_with(tmp_path, *CHANNELS, more=more), out=out)
    secrets = out / "alertmanager/secrets"
    assert {file.name for file in secrets.iterdir()} == {
        "discord_url",
        "slack_url",
        "telegram_token",
        "webhook_url",
        "smtp_password",
        "watchdog_url",
    }
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o600}
    assert b"s3cret" not in (out / "alertmanager/alertmanager.yml").read_bytes()


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("telegram_bot_token='1:x'", "telegram_bot_token and telegram_chat_id need each other; set both or neither"),
        ("telegram_chat_id=5", "telegram_bot_token and telegram_chat_id need each other; set both or neither"),
        ("email_smtp_server=x", "email_smtp_server and email_recipients need each other; set both or neither"),
    ],
)
def test_half_a_channel_is_refused(assignment: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        render(settings_with(tmp_path, more=(f"{ALERTS}.{assignment}",)), out=tmp_path / "out")
    assert raised.value.problems == (problem,)


def test_an_empty_token_file_is_a_channel_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    more = (f"{ALERTS}.telegram_bot_token_file={tmp_path / 'token'}", f"{ALERTS}.telegram_chat_id=5")
    assert receivers(settings_with(tmp_path, more=more), tmp_path / "out")["page"] == set()


def test_the_bot_is_given_the_stack_s_alertmanager_and_the_same_channels(tmp_path: Path) -> None:
    found = channels(settings_with(tmp_path, "slack", more=(f"{ALERTS}.alert_on_pause=false",)))
    assert found.alerting == Alerting(
        alertmanagers=("http://127.0.0.1:8793",), slack_webhook_url="http://host/services/T0/B0/s3cret", on_pause=False
    )
    sandbox = channels(Settings.model_validate({"home": str(tmp_path)}))
    assert sandbox.of_inbox
    assert sandbox.alerting.direct == ("discord", "mail")
    assert "s3cret" not in repr(found)
