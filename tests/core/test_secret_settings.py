"""Which settings are secrets, where they may be written, and that neither a command line nor an error shows one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.settings import Settings, load
from nightdesk_core.secrets.redaction import HIDDEN, Redaction
from nightdesk_core.secrets.secret_keys import is_secret_key, masked, secret_places, secret_texts
from nightdesk_core.secrets.secret_settings import (
    all_secrets,
    environment_name,
    refuse_on_command_line,
    secret_fields,
    with_environment,
    written_secrets,
)
from nightdesk_core.settings import SettingsError, read_document, validate

CANARY = "cAn4ry-0f-the-m1ne"
SECRETS = tuple(secret_fields(Settings))


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return a document with one key."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.mark.parametrize("key", SECRETS)
def test_every_secret_is_refused_on_the_command_line_taken_from_the_environment_and_found_in_a_file(
    key: str, tmp_path: Path
) -> None:
    whole = yaml.safe_dump(nested(key, CANARY), default_flow_style=True, width=10_000).strip()
    section, _, rest = whole[1:-1].partition(": ")
    for assignment in (f"{key}={CANARY}", f"{section}={rest}"):
        with pytest.raises(SettingsError) as refused:
            refuse_on_command_line(Settings, [assignment])
        assert CANARY not in str(refused.value)
        assert f"{key} is a secret" in str(refused.value)
        assert environment_name(key) in str(refused.value)
    file = tmp_path / "nightdesk.yml"
    file.write_text("home: .\nsandbox: {inbox: {smtp_username: me, smtp_password: another}}\n")
    assert CANARY in list(all_secrets(load(file, environment={environment_name(key): CANARY})))
    assert list(written_secrets(Settings, nested(key, CANARY))) == [key]


def test_every_secret_may_stand_in_a_file() -> None:
    for key in SECRETS:
        section: Any = Settings()
        *parents, last = key.split(".")
        for parent in parents:
            section = getattr(section, parent)
        assert f"{last}_file" in type(section).model_fields, key


def test_there_are_secrets() -> None:
    assert {"operations.alerts.email_password", "operations.alerts.telegram_bot_token"} <= set(SECRETS)


def test_the_environment_goes_before_the_file_and_its_files() -> None:
    document = {"operations": {"alerts": {"email_password": "old", "email_password_file": "gone", "enabled": True}}}
    found = with_environment(Settings, document, {"NIGHTDESK_OPERATIONS_ALERTS_EMAIL_PASSWORD": "new"})
    assert found == {"operations": {"alerts": {"email_password": "new", "enabled": True}}}
    assert with_environment(Settings, document, {"NIGHTDESK_OPERATIONS_ALERTS_EMAIL_PASSWORD": ""}) == document


@pytest.mark.parametrize(
    "assignment",
    [
        f"trendbot.exchange.options.apiKey={CANARY}",
        f"trendbot.exchange.options={{secret: {CANARY}}}",
        f"trendbot.exchange.options.headers={{X-API-KEY: {CANARY}}}",
        f"trendbot.exchange.rest_url=https://me:{CANARY}@proxy.example",
        f"trendbot.exchange.options.proxy=http://me:{CANARY}@proxy.example",
        f"strategy.data_provider.token={CANARY}",
        f"strategy.sources=[{{url: 'https://api.example/v1?apikey={CANARY}'}}]",
        f"strategy={{accounts: [{{uid: {CANARY}}}]}}",
    ],
)
def test_a_secret_that_nobody_declared_is_refused_on_the_command_line_too(assignment: str) -> None:
    with pytest.raises(SettingsError, match="is a secret") as refused:
        refuse_on_command_line(Settings, [assignment])
    assert CANARY not in str(refused.value)


def test_a_setting_that_is_no_secret_may_be_set() -> None:
    refuse_on_command_line(
        Settings,
        [
            "stack.ports.bot=9000",
            "operations.alerts.email_password_file=secrets/mail",
            "trendbot.exchange.options.defaultType=swap",
            "trendbot.exchange.rest_url=https://api.example/v5?category=linear",
            "strategy={max_tokens: 5, tokens: [BTC, ETH], password_required: true, api_key_file: key}",
        ],
    )


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        *((key, True) for key in ("apiKey", "api_key", "APIKEY", "x-api-key", "secret", "apiSecret", "uid")),
        *((key, True) for key in ("privateKey", "walletAddress", "token", "oauthToken", "Authorization", "key", "pwd")),
        *((key, False) for key in ("defaultType", "recvWindow", "seed", "keys", "max_tokens", "password_file", "")),
        *((key, False) for key in ("tokenDir", "adjustForTimeDifference", "lookback_hours", "monkey", "authority")),
    ],
)
def test_a_key_is_judged_by_its_name(key: str, secret: bool) -> None:
    assert is_secret_key(key) == secret


def test_what_is_shown_of_a_mapping_holds_no_secret_and_all_else() -> None:
    options = {
        "apiKey": CANARY,
        "defaultType": "swap",
        "credentials": {"user": CANARY, "pins": [1234, CANARY]},
        "proxy": f"http://me:{CANARY}@proxy.example/?apikey={CANARY}&depth=5",
        "passwordRequired": True,
        "token": "",
        "note": f"as in {CANARY}",
        "recvWindow": 5000,
    }
    texts = set(secret_texts(options))
    assert texts == {CANARY, f"me:{CANARY}"}
    assert masked(options, Redaction(texts).text) == {
        "apiKey": HIDDEN,
        "defaultType": "swap",
        "credentials": {"user": HIDDEN, "pins": [HIDDEN, HIDDEN]},
        "proxy": f"http://{HIDDEN}@proxy.example/?apikey={HIDDEN}&depth=5",
        "passwordRequired": True,
        "token": "",
        "note": f"as in {HIDDEN}",
        "recvWindow": 5000,
    }
    assert list(secret_places(options, "o")) == ["o.apiKey", "o.credentials.user", "o.credentials.pins", "o.proxy"]


SLIPS = (
    "{key}:{value}",
    "{key}: {value}: more",
    "{key}: '{value}",
    '{key}: "{value}',
    '{key}: "\\{value}"',
    "{key}: @{value}",
    "{key}: *{value}",
    "{key}: &{value}",
    "{key}: !{value} x",
    "{key}: !!{value} x",
    "{key}: %{value}",
    "{key}: `{value}`",
    "{key}: [{value}",
    "{key}: {{{value}",
    "{key}: {{{value}: 1, {value}: 2}}",
    "{key}: [{value}]",
    "{key}: {{{value}}}",
    "{key}:\n  {value}: 1",
    "{key}:\n\t{value}",
    "{key} {value}",
    "{key}={value}",
    "{key}={value}\n{key}={value}",
    "{{{key}:{value}, {key}:{value}}}",
    "? {key}:{value}\n: 1",
    "{key}: |\n {value}\n{value}",
    "{key}: {value}\n{key}: {value}",
    "{key}: {value}\n  x: {value}",
    "{key}: {value}\n x",
    "%{value} {key}",
    "--- {value}\n--- {value}",
    "{key}: {value}\x00",
    "{key}: {value}\ud800",
    "{key}_file: https://host/{value}",
    "{key}_file: [{value}]",
    "{key}_port: {value}",
    "- {key}: {value}",
)


def refusal(file: Path) -> str:
    """Return why a settings file is refused; empty where it is not."""
    try:
        load(file, environment={})
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", ["operations", "operations.alerts", "email_password", "operations.alerts.watchdog_url"])
def test_a_slip_in_the_settings_shows_its_place_and_not_what_is_written_there(key: str, tmp_path: Path) -> None:
    rng = random.Random(key)
    file = tmp_path / "nightdesk.yml"
    *parents, last = key.split(".")
    head = "".join(f"{'  ' * depth}{parent}:\n" for depth, parent in enumerate(parents))
    refused = 0
    for slip in SLIPS:
        for value in (
            CANARY,
            f"{CANARY}{rng.choice('#!%&*?|<>=@`~^ ,;:')}{CANARY}",
            f"https://me:{CANARY}@host/{CANARY}",
        ):
            margin = "  " * len(parents)
            written = slip.format(key=last, value=value).replace("\n", f"\n{margin}")
            file.write_bytes(f"{head}{margin}{written}\n".encode(errors="surrogatepass"))
            said = refusal(file)
            refused += bool(said)
            assert CANARY not in said, written
    assert refused > len(SLIPS)


def test_an_assignment_without_a_key_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("")
    with pytest.raises(SettingsError, match="number 2 must read") as refused:
        load(tmp_path / "nightdesk.yml", ["stack.ports.bot=1", CANARY])
    assert CANARY not in str(refused.value)


def test_what_is_read_of_the_settings_is_still_checked_whole(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("operations: {alerts: {email_pasword: x}}")
    with pytest.raises(SettingsError, match=r"operations\.alerts\.email_pasword: is not a key"):
        validate(Settings, read_document(tmp_path / "nightdesk.yml"), source="x")
