"""Settings: every problem at once with its path, and no secret where it can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.settings import (
    BotSettings,
    SettingsError,
    SettingsModel,
    override,
    read_document,
    read_secret,
    validate,
)
from pydantic import Field, SecretStr, model_validator


class Inner(SettingsModel):
    days: float = Field(30, gt=0)
    url: SecretStr = SecretStr("")
    low: int = 1
    high: int = 2

    @model_validator(mode="after")
    def _in_order(self) -> Inner:
        if self.high <= self.low:
            raise ValueError("high must be greater than low")
        return self


class Document(SettingsModel):
    bot: BotSettings = BotSettings()
    inner: Inner = Inner()


def test_all_problems_are_reported_at_once_with_their_paths() -> None:
    document = {
        "bot": {"name": "Not A Name", "colour": "blue"},
        "inner": {"days": 0, "low": "many"},
        "extra": 1,
    }
    with pytest.raises(SettingsError) as raised:
        validate(Document, document, source="nightdesk.yml")
    assert raised.value.problems == (
        "bot.name: String should match pattern '^[a-z0-9][a-z0-9_-]{0,62}$'",
        "bot.colour: is not a key that exists here",
        "inner.days: Input should be greater than 0",
        "inner.low: Input should be a valid integer, unable to parse string as an integer",
        "extra: is not a key that exists here",
    )
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("key", ["state_dir", "models_dir", "web_config_file"])
def test_a_path_below_the_home_of_a_user_that_there_is_not_is_a_problem_of_its_key(key: str) -> None:
    """Raw, it would end what takes changed settings over in a running bot."""
    with pytest.raises(SettingsError) as raised:
        validate(Document, {"bot": {key: "~no-such-user/desk"}}, source="nightdesk.yml")
    assert raised.value.problems == (f"bot.{key}: begins with the name of a user whom this machine does not know",)
    found = validate(Document, {"bot": {key: "~/desk"}}, source="nightdesk.yml")
    assert getattr(found.bot, key) == Path.home() / "desk", "whichever path it is"


def test_the_error_reads_as_a_list_for_a_person() -> None:
    with pytest.raises(SettingsError) as raised:
        validate(Document, {"inner": {"low": 3, "high": 3}, "more": 1}, source="nightdesk.yml")
    assert str(raised.value) == (
        "nightdesk.yml cannot be used:\n  inner: high must be greater than low\n  more: is not a key that exists here"
    )


@pytest.mark.parametrize("wrong", [["s3cret-hook"], {"s3cret-hook": 1}, 5])
def test_a_secret_of_the_wrong_type_is_not_repeated_in_the_error(wrong: Any) -> None:
    with pytest.raises(SettingsError) as raised:
        validate(Inner, {"url": wrong, "days": "s3cret-hook"}, source="x")
    assert len(raised.value.problems) == 2
    assert "s3cret-hook" not in str(raised.value) + repr(raised.value)


def test_a_secret_is_never_in_the_repr() -> None:
    settings = validate(Document, {"inner": {"url": "https://s3cret"}}, source="x")
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.inner.url.get_secret_value() == "https://s3cret"


def test_settings_cannot_be_changed_once_they_are_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        BotSettings().name = "other"  # type: ignore[misc]


def test_a_secret_comes_from_its_file_where_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://from-file\n")
    assert read_secret(SecretStr("https://value"), file, key="k") == "https://from-file"
    assert read_secret(SecretStr("https://value"), None, key="k") == "https://value"


def test_a_secret_file_that_is_absent_is_named(tmp_path: Path) -> None:
    file = tmp_path / "url"
    with pytest.raises(SettingsError) as raised:
        read_secret(SecretStr(""), file, key="alerts.discord_webhook_url_file")
    assert str(raised.value) == (
        f"alerts.discord_webhook_url_file cannot be used:\n  {file} cannot be read (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"- a\n- b\n", "must hold keys and values at its top level"),
        (b"a: [1\n", "is not YAML: while parsing a flow sequence"),
        (b"a: \xff\xfe\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_document_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "nightdesk.yml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        read_document(path)
    assert raised.value.source == str(path)
    assert raised.value.problems[0].startswith(problem)


def test_an_absent_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        read_document(tmp_path / "none.yml")
    assert raised.value.problems == ("cannot be read (No such file or directory); name a file with --settings",)


def test_an_empty_file_is_an_empty_document(tmp_path: Path) -> None:
    path = tmp_path / "nightdesk.yml"
    path.write_text("# nothing yet\n")
    assert read_document(path) == {}


def test_overrides_apply_in_order_are_read_as_yaml_and_leave_the_document_alone() -> None:
    document = {"bot": {"name": "btc", "state_dir": "s"}}
    changed = override(document, ["bot.name=eth", "inner.days=2.5", "inner.list=[1, 2]", "inner.days=3", "on=true"])
    assert changed == {
        "bot": {"name": "eth", "state_dir": "s"},
        "inner": {"days": 3, "list": [1, 2]},
        "on": True,
    }
    assert document == {"bot": {"name": "btc", "state_dir": "s"}}


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("bot.name", "number 1 must read key.key=value"),
        ("=5", "number 1 must read key.key=value"),
        ("bot.name.first=5", "bot.name.first: name holds a value, not keys"),
        ("bot.name=a: b: c", "bot.name: is not YAML: mapping values are not allowed here (line 1)"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(assignment: str, problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        override({"bot": {"name": "btc"}}, [assignment])
    assert raised.value.problems == (problem,)
