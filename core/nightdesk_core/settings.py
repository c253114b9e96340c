"""The base that every room's settings model stands on, and the reading of the one settings file.

Each room owns its model; the desk composes them into one document. All problems of a file are reported at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.reader import InputError, MissingInputError, read_text
from nightdesk_core.files.yaml_text import parse_yaml, read_yaml, shown_key

_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""In bytes, as Linux allows them."""
_LARGEST_SECRET_BYTES = 100_000


class SettingsError(NightdeskError):
    """The settings cannot be used. `problems` holds one line for each thing wrong, with the path of its key."""

    exit_code = 2

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(problems))

    def __str__(self) -> str:
        return "\n".join([f"{self.source} cannot be used:", *(f"  {problem}" for problem in self.problems)])


class SettingsModel(BaseModel):
    """A frozen section of the settings in which an unknown key is an error, and each number a finite one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _a_path_can_be_one(cls, value: Any) -> Any:
        if not isinstance(value, Path):
            return value
        text = os.fsencode(value)
        if b":/" in text:
            raise ValueError("is an address, where the path of a file must be: the file holds the address")
        if b"\0" in text:
            raise ValueError("a path cannot hold a NUL")
        if len(text) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in value.parts):
            raise ValueError(f"is too long for a path: at most {_LONGEST_PATH} bytes, {_LONGEST_NAME} of a name")
        try:
            return value.expanduser()
        except RuntimeError:
            raise ValueError("begins with the name of a user whom this machine does not know") from None


class ScrapeSettings(SettingsModel):
    """How Prometheus reaches a bot whose exporter has a web configuration file."""

    scheme: Literal["http", "https"] = Field("http", description="https where the web configuration file has TLS.")
    username: str = Field("", description="A user of the web configuration file; empty means no password.")
    password_file: Path | None = Field(None, description="A file that holds the user's password.")
    ca_file: Path | None = Field(None, description="The authority of the exporter's certificate; none is the system's.")

    @model_validator(mode="after")
    def _a_user_has_a_password(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file belong together")
        return self


class BotSettings(SettingsModel):
    """Which bot this is, and where its state lies."""

    name: str = Field("btc", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="The bot's name in every metric.")
    state_dir: Path = Field(Path("state"), description="Journal, kill switch and audit log.")
    models_dir: Path = Field(Path("models"), description="Model bundles and the champion pointer.")
    group: str = Field(
        "", description="A group of this machine whose members may read what bot and job write; empty: nobody else may."
    )
    web_config_file: Path | None = Field(
        None, description="TLS and passwords of the bot's exporter, in the exporter-toolkit's format."
    )
    allowed_hosts: tuple[str, ...] | None = Field(
        None,
        description="Names by which the bot's exporter answers without a password and TLS, besides addresses and "
        "localhost: `bot.example`, `.example` for all below it, `*` for any. Not set: on loopback none; elsewhere "
        "names without a dot, as containers have them, those that end in .internal, .local or .home.arpa, and the "
        "machine's own.",
    )
    exit_when_hung: bool = Field(
        False,
        description="The bot's process ends with exit code 75, after telling people, once its loop stands still: for "
        "Docker, which restarts only what has exited. Not in a replay, whose limits are seconds.",
    )
    heartbeat_url: SecretStr = Field(
        SecretStr(""),
        description="A check at healthchecks.io, or a push monitor of Uptime Kuma, that the bot itself reports to: it "
        "tells people when the whole machine is dead.",
    )
    heartbeat_url_file: Path | None = Field(None, description="A file that holds that URL.")
    heartbeat_kind: Literal["", "healthchecks", "uptime_kuma"] = Field(
        "", description="What kind of service that is, where its URL does not show it."
    )
    heartbeat_seconds: float = Field(60, ge=1, description="How often the bot reports to it, in seconds.")
    scrape: ScrapeSettings = ScrapeSettings()


Model = TypeVar("Model", bound=BaseModel)


def read_document(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises `SettingsError` where the file cannot be read, is not YAML as `parse_yaml` takes it, or is not a mapping.
    """
    try:
        document = read_yaml(path)
    except MissingInputError as error:
        raise SettingsError(str(path), [f"{error.reason}; name a file with --settings"]) from None
    except InputError as error:
        raise SettingsError(str(path), [error.reason]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(str(path), ["must hold keys and values at its top level"])
    return document


def override(document: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Return `document` with each `a.b.c=value` applied; the value is read as YAML.

    Raises `SettingsError` for an assignment without `=` or one that passes through something other than a mapping.
    """
    result: dict[str, Any] = dict(document)
    for number, assignment in enumerate(assignments, start=1):
        dotted, equals, text = assignment.partition("=")
        if not equals or not dotted:
            # Not quoted: what somebody forgot the key of may be secret.
            raise SettingsError("--set", [f"number {number} must read key.key=value"])
        *parents, last = dotted.split(".")
        section = result
        for parent in parents:
            inner = section.get(parent, {})
            if not isinstance(inner, dict):
                raise SettingsError("--set", [f"{dotted}: {parent} holds a value, not keys"])
            section[parent] = section = dict(inner)
        try:
            section[last] = parse_yaml(text, source=dotted)
        except InputError as error:
            raise SettingsError("--set", [str(error)]) from None
    return result


def validate(model: type[Model], document: Mapping[str, Any], *, source: str) -> Model:
    """Return `document` as `model`. Raises `SettingsError` with every problem and its path."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = [
            f"{'.'.join(shown_key(part) for part in item['loc']) or '(top level)'}: "
            f"{_wording(item['type'], item['msg'])}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError(source, problems) from None


def _wording(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a key that exists here"
    return message.removeprefix("Value error, ")


def read_secret(value: SecretStr, file: Path | None, *, key: str) -> str:
    """Return a secret from its file where one is named, else its value; empty where neither is set.

    Raises `SettingsError` where the named file cannot be read.
    """
    if file is None:
        return value.get_secret_value()
    try:
        return read_text(file, largest=_LARGEST_SECRET_BYTES).strip()
    except InputError as error:
        raise SettingsError(key, [f"{file} {error.reason}"]) from error
