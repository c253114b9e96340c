"""Which settings are secrets, and where a secret may be written: in a file, in the environment, in the settings file.

A setting is a secret by its type, `SecretStr`; everything here follows from the models. What a mapping without a model
holds is judged by the names of its keys (`secret_keys`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from nightdesk_core.secrets.secret_keys import is_secret_key, secret_places, secret_texts
from nightdesk_core.settings import SettingsError, SettingsModel, override, read_secret

_PREFIX = "NIGHTDESK"


def secret_fields(model: type[BaseModel]) -> Iterator[str]:
    """Yield the dotted key of every setting that is a secret by its type."""
    for name, field in model.model_fields.items():
        if SecretStr in _types(field.annotation):
            yield name
        for inner in _models(field.annotation):
            yield from (f"{name}.{key}" for key in secret_fields(inner))


def environment_name(key: str) -> str:
    """Return the environment's variable for a dotted key: `NIGHTDESK_OPERATIONS_ALERTS_EMAIL_PASSWORD`."""
    return "_".join([_PREFIX, *key.upper().split(".")])


def with_environment(
    model: type[BaseModel], document: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return `document` with the secrets that the environment holds: they go before the file's, and its files."""
    result = dict(document)
    for key in secret_fields(model):
        text = environment.get(environment_name(key))
        if not text:
            continue
        *parents, last = key.split(".")
        section = result
        for parent in parents:
            inner = section.get(parent) or {}
            if not isinstance(inner, Mapping):
                break  # what is wrong with it is said when the document is validated
            section[parent] = section = dict(inner)
        else:
            section.pop(f"{last}_file", None)
            section[last] = text
    return result


def written_secrets(model: type[BaseModel], document: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted keys at which a document holds a secret itself."""
    if not isinstance(document, Mapping):
        return
    for name, value in document.items():
        key = f"{path}.{name}".lstrip(".")
        field = model.model_fields.get(str(name))
        models = [] if field is None else _models(field.annotation)
        if field is None:
            yield from secret_places({name: value}, path)
        elif SecretStr in _types(field.annotation):
            if value:
                yield key
        elif models:
            several = value if isinstance(value, list) else [value]
            for item in several:
                yield from written_secrets(models[0], item, key)
        else:
            yield from secret_places(value, key)


def refuse_on_command_line(model: type[BaseModel], assignments: list[str]) -> None:
    """Raise `SettingsError` where an assignment of the command line holds a secret: other users can read that."""
    problems = []
    for key in dict.fromkeys(key for one in assignments for key in written_secrets(model, override({}, [one]))):
        declared = key in set(secret_fields(model))
        instead = (
            f"put it in a file that only you can read (chmod 600) and set {key}_file, or in the environment as "
            f"{environment_name(key)}"
            if declared
            else "write it into the settings file, and have only yourself read that (chmod 600)"
        )
        problems.append(
            f"{key} is a secret: every user of this machine can read a command line, and your shell remembers it. "
            f"Have the service give you a new one, then {instead}"
        )
    if problems:
        raise SettingsError("--set", problems)


def all_secrets(value: Any) -> Iterator[str]:
    """Yield every secret of a section: those written in it, and those in files that it names.

    A file that cannot be read is passed over: what needs it says so.
    """
    if isinstance(value, SettingsModel):
        fields = dict(value)
        for name, item in fields.items():
            if isinstance(item, Path) and _holds_secret(name, fields):
                with suppress(SettingsError):
                    yield read_secret(SecretStr(""), item, key=name)
            else:
                yield from all_secrets(item)
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from all_secrets(item)
    elif isinstance(value, Mapping) and any(isinstance(item, SettingsModel) for item in value.values()):
        for item in value.values():
            yield from all_secrets(item)
    else:
        yield from secret_texts(value)


def _holds_secret(name: str, fields: Mapping[str, object]) -> bool:
    """Return whether a file holds what is secret where it is written into the settings themselves."""
    plain = name.removesuffix("_file")
    return name != plain and (is_secret_key(plain) or isinstance(fields.get(plain), SecretStr))


def _types(annotation: Any) -> set[Any]:
    return {annotation} | {inner for part in get_args(annotation) for inner in _types(part)}


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [part for part in _types(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
