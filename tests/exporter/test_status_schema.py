"""The schema that is shipped with the status file, held against files that were really written."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from nightdesk_exporter import BotExporter, StatusFile

from tests.exporter.conftest import Clock, make, tell_everything

SCHEMA: dict[str, Any] = json.loads((files("nightdesk_exporter") / "bot_status.schema.json").read_text())


def problems(document: Any) -> list[str]:
    """Return what the schema finds wrong, and every key of a section that it does not know."""
    found = Draft202012Validator(SCHEMA, format_checker=FormatChecker()).iter_errors(document)
    unknown = [
        f"{name}.{key}"
        for name, section in document.items()
        if isinstance(section, dict) and name != "retrain"
        for key in section.keys() - SCHEMA["properties"][name]["properties"].keys()
    ]
    return [error.message for error in found] + unknown


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("tell", [lambda _: None, tell_everything], ids=["nothing known", "everything known"])
def test_what_a_bot_writes_fits_the_schema(tell: Callable[[BotExporter], None], tmp_path: Path, clock: Clock) -> None:
    file = StatusFile(tmp_path / "bot_status.json")
    with make(clock, status_file=file) as exporter:
        tell(exporter)
        exporter.guard("paused", reason="a test")
    document = file.read()
    assert set(document) == {"schema_version", "bot", "trading", "model", "risk"}
    assert problems(document) == []


@pytest.mark.parametrize(
    "document",
    [{}, {"schema_version": 2}, {"schema_version": 1, "bot": {"name": "btc"}}],
)
def test_what_is_not_a_status_file_does_not_fit(document: dict[str, Any]) -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors(document)) != []
