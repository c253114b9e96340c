"""What holds for every channel, the template included: what its module says of it is whole, and shows no secret."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pytest
import yaml
from nightdesk_alerts import Alerting, Mail
from nightdesk_alerts.channel import Channel, Role
from nightdesk_alerts.channels import _template, known_channels
from nightdesk_alerts.channels.discord import DiscordChannel
from nightdesk_alerts.channels.telegram import TelegramChannel
from nightdesk_alerts.delivery.outcome import Delivered, Refused
from nightdesk_alerts.delivery.web import Web
from nightdesk_alerts.delivery.web_response import WebResponse

from tests.alerts.test_wording import notification

ROOT = Path(__file__).resolve().parents[2]
SECRET = "https://host/s3cr3t-token"
ALL: list[type[Channel]] = [*known_channels(), _template.CHANNEL]
every_channel = pytest.mark.parametrize("kind", ALL, ids=[kind.name for kind in ALL])


def filled(kind: type[Channel]) -> Channel:
    """Return a channel with every setting, all its secrets the same."""
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, setting in kind.settings().items():
        found: dict[Any, Any] = {str: SECRET if setting.secret else "5", int: 5, bool: False, tuple: ("a@b.c",)}
        value = found[get_origin(types[name]) or types[name]]
        values[setting.key] = "desk@b.c" if setting.key == "email_from" else value
    channel = kind.of(values)
    assert channel is not None
    return channel


def test_chats_come_first_and_mail_last() -> None:
    assert [kind.name for kind in known_channels()] == ["discord", "slack", "telegram", "webhook", "mail"]
    assert [kind.name for kind in known_channels() if kind.role is Role.CHAT] == ["discord", "slack", "telegram"]


def test_no_two_channels_share_a_name_a_key_or_a_secret_s_file() -> None:
    settings = [setting for kind in ALL for setting in kind.settings().values()]
    files = [setting.secret.file_name for setting in settings if setting.secret]
    deployed = [setting.secret.deployed_as or setting.key for setting in settings if setting.secret]
    for names in ([kind.name for kind in ALL], [setting.key for setting in settings], files, deployed):
        assert len(set(names)) == len(names), names


@every_channel
def test_every_field_is_a_setting_and_a_secret_is_in_no_repr(kind: type[Channel]) -> None:
    assert set(kind.settings()) == {each.name for each in fields(kind)}
    channel = filled(kind)
    assert SECRET not in repr(channel)
    assert SECRET not in repr(Alerting(channels=(channel,)))
    secrets = {setting.secret.file_name for setting in kind.settings().values() if setting.secret}
    assert channel.secrets == dict.fromkeys(secrets, SECRET)


@every_channel
def test_without_what_it_needs_there_is_no_channel(kind: type[Channel]) -> None:
    values = {setting.key: getattr(filled(kind), name) for name, setting in kind.settings().items()}
    assert kind.of({}) is None
    for needed in kind.needed():
        assert kind.of({**values, needed.key: type(values[needed.key])()}) is None
    optional = {setting.key for setting in kind.settings().values()} - {needed.key for needed in kind.needed()}
    assert kind.of({key: value for key, value in values.items() if key not in optional}) is not None


@every_channel
def test_what_alertmanager_has_refers_to_its_secrets_and_to_its_template(kind: type[Channel]) -> None:
    entry = yaml.safe_load(kind.receiver)
    assert "\nsend_resolved: true" in f"\n{kind.receiver}"
    everything = {**entry, **filled(kind).global_values()}
    referred = {value for key, value in everything.items() if key.endswith("_file")}
    assert referred == {f"secrets/{name}" for name in filled(kind).secrets}
    assert set(yaml.safe_load(kind.receiver_global) or ()) <= set(filled(kind).global_values())
    texts = {file.stem: file.read_text() for file in (ROOT / "alertmanager/templates").glob("*.tmpl")}
    for named in re.findall(r'template "(nightdesk\.[\w.]+)"', kind.receiver):
        assert f'define "{named}"' in texts[kind.name] + texts["nightdesk"], named


@every_channel
def test_what_is_wrong_with_it_is_said_with_its_key_and_without_its_secret(kind: type[Channel]) -> None:
    values = {setting.key: getattr(filled(kind), name) for name, setting in kind.settings().items()}
    wrong = {key: f"{SECRET} /@:" if isinstance(value, str) else value for key, value in values.items()}
    channel = kind.of(wrong)
    assert channel is not None
    problems = list(channel.problems())
    assert problems
    keys = {setting.key: setting for setting in kind.settings().values()}
    for problem in problems:
        setting = keys[problem.split()[0]]
        assert setting.secret is None or "s3cr3t" not in problem


def test_the_template_is_a_channel_but_not_registered() -> None:
    channel: Channel = _template.TemplateChannel(webhook_url="http://host/x", most_alerts=3)
    assert _template.CHANNEL not in known_channels()
    assert list(channel.problems()) == []
    assert channel.receiver_values() == {"max_alerts": 3}
    assert channel.in_sandbox.__func__ is Channel.in_sandbox.__func__  # type: ignore[attr-defined]
    posted: list[Any] = []

    class Recorder(Web):
        def post(self, url: str, payload: Any) -> WebResponse:
            posted.append((url, payload))
            return WebResponse(404 if len(posted) > 1 else 200, {}, b'{"error": "no such room"}')

    web = Recorder(timeout_seconds=1)
    assert channel.deliver(notification("firing"), web) == Delivered()
    assert channel.deliver(notification("firing"), web) == Refused("HTTP 404, no such room")
    url, payload = posted[0]
    assert (url, payload["title"]) == ("http://host/x", "CRITICAL: TradebotDown (btc)")
    assert payload["text"].startswith("The bot does not answer.\ncritical, btc, BTC/USDT:USDT\n")


def test_keywords_and_channels_make_the_same_alerting() -> None:
    mail = Mail(server="mail.example", recipients=("a@b.c",))
    by_keyword = Alerting(
        mail=mail, discord_webhook_url="http://d", telegram_bot_token="1:x", telegram_chat_id="5", webhook_url=""
    )
    telegram = TelegramChannel(bot_token="1:x", chat_id="5")
    assert by_keyword == Alerting(channels=(DiscordChannel(webhook_url="http://d"), telegram, mail))
    assert by_keyword.direct == ("discord", "telegram", "mail")
    assert Alerting(telegram_bot_token="1:x") == Alerting(mail=None) == Alerting()


def test_a_keyword_that_no_channel_has_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match=r"Alerting\(\) has no discord_webhok_url; .*discord_webhook_url"):
        Alerting(discord_webhok_url="http://d")
