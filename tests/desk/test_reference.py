"""The settings' reference says everything, and says it of the settings as they are."""

from __future__ import annotations

from nightdesk.cli.main import app
from nightdesk.reference import inner_model, reference, sections
from nightdesk.settings import Settings
from typer.testing import CliRunner

from tests.desk.conftest import CHECKOUT


def test_every_key_of_every_section_is_described() -> None:
    silent = [
        f"{section.path}.{name}".lstrip(".")
        for section in sections()
        for name, field in section.model.model_fields.items()
        if inner_model(field) is None and not (field.description or "").strip()
    ]
    assert not silent, f"give these a description in their Field: {', '.join(silent)}"
    undocumented = [section.path for section in sections() if not (section.model.__doc__ or "").strip()]
    assert not undocumented


def test_the_file_in_docs_is_what_the_models_say() -> None:
    assert (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_command_prints_it_and_needs_no_settings_file() -> None:
    done = CliRunner().invoke(app, ["--settings", "absent.yml", "settings", "--reference"])
    assert (done.exit_code, done.stdout) == (0, reference())


def test_every_key_has_a_row_with_its_default_where_its_section_differs_too() -> None:
    text = reference()
    keys = sum(len(section.model.model_fields) for section in sections())
    rows = sum(line.startswith("| `") for line in text.splitlines())
    assert rows == keys - (len(sections()) - 1) > 100
    guard = Settings().guard
    for tier, values in {"reduced": guard.reduced, "paused": guard.paused}.items():
        section = text.split(f"## `guard.{tier}`")[1].split("## ")[0]
        assert f"| `losing_streak` ↻ | whole number | `{values.losing_streak}` | 2 or more |" in section


def test_a_key_is_marked_where_a_running_bot_takes_it_over() -> None:
    rows = reference().splitlines()
    assert any(row.startswith("| `threshold` ↻ |") for row in rows)
    assert any(row.startswith("| `symbols` |") for row in rows)


def test_types_defaults_and_limits_read_as_words() -> None:
    rows = {line.split("`")[1]: line for line in reference().splitlines() if line.startswith("| `")}
    start = {
        "discord_webhook_url": "| text, kept secret | `''` |  |",
        "web_config_file": "| path or null | `null` |  |",
        "network": "| `native` or `compose` | `native` |  |",
        "ensemble_weights": "| list of 2 or `auto` | `[0.7, 0.3]` |  |",
        "funding_rate": "| number | `0.0` | -0.005 or more, 0.005 or less |",
        "name": "| text | `btc` | `^[a-z0-9][a-z0-9_-]{0,62}$` |",
        "options": "| keys and values | `{}` |  |",
        "state_dir": "| path | `sandbox` |  |",
    }
    for key, cells in start.items():
        assert rows[key].startswith(f"| `{key}` {cells}"), rows[key]
    assert rows["email_recipients"].startswith("| `email_recipients` | list of text | `[]` |  |")
