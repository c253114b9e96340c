"""The reference of all settings, made from their models: a section for each, a row for each key."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from nightdesk_core.settings import SettingsModel
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from nightdesk.bot.reload import reloadable
from nightdesk.growth import table
from nightdesk.settings import Settings

_HEAD = """\
# Settings

<!-- Made by `make docs` from the settings' models; change the descriptions there. -->

Everything that `nightdesk.yml` may say, in its order. A key that is left out has its default; a key that does not exist
is an error. `--set section.key=value` overrides one on the command line, and `nightdesk settings` prints all as they
hold, secrets masked. Relative paths lie in `home`. Examples for real exchanges lie in `examples/settings`.

What is "kept secret" belongs in a file that only you can read, named by the key's `_file`, or in the environment: the
variable is `NIGHTDESK_` and the whole key in capitals, as in `NIGHTDESK_OPERATIONS_ALERTS_EMAIL_PASSWORD`, and goes
before the file's. `--set` refuses it: every user of a machine can read its command lines.

A running bot takes over the keys marked ↻ without a restart: `nightdesk stack reload`, or SIGHUP. It acts on them from
the next candle on, and its log names what it took over and what waits for a restart.
"""

_GROWTH_HEAD = """\
## What grows on the disk

`nightdesk check` says how much each takes. In braces: `home`, `bot.name`, and the folders that `bot.state_dir`,
`bot.models_dir`, `trendbot.data_dir`, `retrain.textfile_dir`, `sandbox.state_dir` and `stack.passwords_dir` name. In
containers `NIGHTDESK_RETENTION` (`90d`) and `NIGHTDESK_RETENTION_SIZE` (`2GB`) bound Prometheus, and the services'
output is in the engine's logs, 50 MB each. A year is one of candles of an hour, of one symbol, with a retrain a month.
"""

_TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text, kept secret",
    types.NoneType: "null",
    Any: "anything",
}


@dataclass(frozen=True)
class SettingsSection:
    """A model in its place: `path` is its key with dots, `values` the model as it is by default."""

    path: str
    model: type[SettingsModel]
    values: SettingsModel | None


def sections(model: type[SettingsModel] = Settings) -> list[SettingsSection]:
    """Return all sections, each before those within it."""
    return list(_sections(SettingsSection("", model, model())))


def _sections(section: SettingsSection) -> Iterator[SettingsSection]:
    yield section
    for name, field in section.model.model_fields.items():
        inner = inner_model(field)
        if inner is None:
            continue
        value = None if section.values is None else getattr(section.values, name)
        one = isinstance(value, inner)
        several = ".<name>" if get_origin(field.annotation) is dict else "[]"
        path = f"{section.path}.{name}".lstrip(".") + ("" if one else several)
        yield from _sections(SettingsSection(path, inner, value if one else None))


def inner_model(field: FieldInfo) -> type[SettingsModel] | None:
    """Return the model that a field holds, or holds a list of; `None` where it holds plain values."""
    return next((part for part in _parts(field.annotation) if _is_model(part)), None)


def reference() -> str:
    """Return the whole reference in Markdown."""
    return "\n".join([_HEAD, *(_text(section) for section in sections()), _GROWTH_HEAD, table()])


def _text(section: SettingsSection) -> str:
    rows = [
        f"| `{name}`{_mark(section, name)} | {_kind(field.annotation)} | {_default(section, name, field)} "
        f"| {_limits(field)} | {' '.join((field.description or '').split())} |"
        for name, field in section.model.model_fields.items()
        if inner_model(field) is None
    ]
    title = f"## `{section.path}`" if section.path else "## The top level"
    about = (section.model.__doc__ or "").strip()
    table = ["| key | type | default | limits | what it is |", "|---|---|---|---|---|", *rows, ""] if rows else []
    paragraphs = "\n".join(line.strip() for line in about.splitlines())
    return "\n".join([title, "", paragraphs, "", *table])


def _mark(section: SettingsSection, name: str) -> str:
    return " ↻" if reloadable(f"{section.path}.{name}".lstrip(".")) else ""


def _default(section: SettingsSection, name: str, field: FieldInfo) -> str:
    if section.values is None and field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True) if section.values is None else getattr(section.values, name)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Path):
        value = str(value)
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`"


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _kind(annotation: Any) -> str:
    """Return a type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}" if ... in arguments else f"list of {len(arguments)}"
    if origin is dict:
        return "keys and values"
    return _TYPE_NAMES[annotation]


def _limits(field: FieldInfo) -> str:
    """Return what a value must keep to, in words."""
    found = []
    for limit in field.metadata:
        match limit:
            case annotated_types.Gt(gt=value):
                found.append(f"above {value}")
            case annotated_types.Ge(ge=value):
                found.append(f"{value} or more")
            case annotated_types.Lt(lt=value):
                found.append(f"below {value}")
            case annotated_types.Le(le=value):
                found.append(f"{value} or less")
            case annotated_types.MinLen(min_length=value):
                found.append(f"{value} entry at least" if value == 1 else f"{value} entries at least")
    pattern = next((limit.pattern for limit in field.metadata if getattr(limit, "pattern", None)), None)
    if pattern is not None:
        found.append(f"`{pattern}`".replace("|", "\\|"))
    return ", ".join(found)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, SettingsModel)
