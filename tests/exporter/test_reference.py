"""The metrics' reference says everything, and says it of the catalogue as it is."""

from __future__ import annotations

from pathlib import Path

from nightdesk.cli.main import app
from nightdesk_exporter.metrics.catalogue import METRICS, PREFIX
from nightdesk_exporter.metrics.reference import reference
from typer.testing import CliRunner

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_file_in_docs_is_what_the_catalogue_says() -> None:
    assert (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_every_metric_has_one_row() -> None:
    rows = [line.split("`")[1] for line in reference().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(metric.full_name.removeprefix(PREFIX) for metric in METRICS.values())


def test_the_command_prints_it_and_needs_no_settings_file() -> None:
    done = CliRunner().invoke(app, ["--settings", "absent.yml", "metrics"])
    assert (done.exit_code, done.stdout) == (0, reference())
