"""What is rendered for the channels is what it was when one list named them all: recorded then, to the byte."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import pytest
from nightdesk.render.alertmanager import render_alertmanager
from nightdesk.render.files import RenderError
from nightdesk.render.static import static_parts, with_channels
from nightdesk.settings import Settings
from nightdesk_core.settings import override

from tests.desk.conftest import CHECKOUT

GOLDEN = Path(__file__).parent / "golden"
ALERTS = "operations.alerts"
CHANNELS = {
    "discord": (f"{ALERTS}.discord_webhook_url=http://host/api/webhooks/1/s3cret",),
    "slack": (f"{ALERTS}.slack_webhook_url=http://host/services/T0/B0/s3cret",),
    "telegram": (f"{ALERTS}.telegram_bot_token='123:s3cret'", f"{ALERTS}.telegram_chat_id=-100500"),
    "webhook": (f"{ALERTS}.webhook_url=http://host/webhook/s3cret",),
    "mail": (
        f"{ALERTS}.email_smtp_server=mail.example",
        f"{ALERTS}.email_recipients=[a@b.c,d@e.f]",
        f"{ALERTS}.email_username=desk",
        f"{ALERTS}.email_password=s3cret",
    ),
}
PLAIN_MAIL = (f"{ALERTS}.email_require_tls=false", f"{ALERTS}.email_from=x@y.z", f"{ALERTS}.email_smtp_port=25")
WATCHDOG = f"{ALERTS}.watchdog_url=http://host/s3cret"
SANDBOX = "sandbox.enabled=true"
RECORDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "discord": (("discord",), ()),
    "telegram-mail": (("telegram", "mail"), (f"{ALERTS}.telegram_api_url=http://tg", *PLAIN_MAIL)),
    "webhook-mail": (("webhook", "mail"), ()),
    "all-watchdog": (tuple(CHANNELS), (WATCHDOG,)),
    "sandbox": ((), (SANDBOX,)),
    "sandbox-compose": ((), (SANDBOX, "stack.network=compose", *PLAIN_MAIL)),
}


def rendered(names: tuple[str, ...], more: tuple[str, ...] = ()) -> str:
    """Return the running `alertmanager.yml` but for route and inhibitions, which know nothing of channels."""
    assignments = ["sandbox.enabled=false", *(each for name in names for each in CHANNELS[name]), *more]
    settings = Settings.model_validate(override({"home": "/home"}, assignments))
    files = render_alertmanager(settings, CHECKOUT, out=Path("/out"))
    text = files["alertmanager/alertmanager.yml"].content.decode()
    return text[: text.index("route:\n")] + text[text.index("receivers:\n") :]


@pytest.mark.parametrize("name", RECORDED)
def test_the_running_configuration_is_the_recorded_one(name: str) -> None:
    assert rendered(*RECORDED[name]) == (GOLDEN / f"{name}.yml").read_text()


def test_every_combination_of_channels_is_rendered_as_it_was_recorded() -> None:
    digests = {
        "-".join(names) or "none": hashlib.sha256(rendered(names).encode()).hexdigest()
        for size in range(len(CHANNELS) + 1)
        for names in itertools.combinations(CHANNELS, size)
    }
    assert digests == json.loads((GOLDEN / "combinations.json").read_text())


@pytest.mark.parametrize("name", static_parts())
def test_what_the_channels_modules_have_in_a_static_file_is_what_they_say(name: str) -> None:
    text, parts = (CHECKOUT / name).read_text(encoding="utf-8"), static_parts()[name]
    assert all(f"BEGIN {part}: made by `make docs`" in text for part in parts)
    assert with_channels(text, parts) == text, "run `make docs`"


def test_a_static_file_without_one_of_the_channels_is_refused(tmp_path: Path) -> None:
    static = (CHECKOUT / "alertmanager/alertmanager.yml").read_text()
    (tmp_path / "alertmanager").mkdir()
    (tmp_path / "alertmanager/alertmanager.yml").write_text(static.replace("    slack_configs: *slack\n", ""))
    with pytest.raises(RenderError, match=r"has not one entry of slack_configs .* run `make docs`"):
        render_alertmanager(Settings.model_validate({}), tmp_path, out=tmp_path)
