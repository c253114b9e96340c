"""`nightdesk alerts`: every alert, which ones the settings silence, and the reference."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from nightdesk.cli.main import app
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.reference import reference
from typer.testing import CliRunner


def silenced(tmp_path: Path, *assignments: str) -> dict[str, bool]:
    """Return of every alert that is printed whether it is said to be silenced."""
    chosen = [part for each in (f"home={tmp_path}", *assignments) for part in ("--set", each)]
    done = CliRunner().invoke(app, [*chosen, "alerts", "--csv"])
    assert done.exit_code == 0, done.output
    return {row["alert"]: row["silenced"] == "yes" for row in csv.DictReader(io.StringIO(done.stdout))}


def test_every_alert_is_printed_and_none_is_silenced_by_default(tmp_path: Path) -> None:
    assert silenced(tmp_path) == {alert.name: False for alert in ALERTS}


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("alert_on_kill_switch", {"TradebotKillSwitchActive"}),
        ("alert_on_pause", {"TradebotGuardPaused", "TradebotGuardReduced"}),
        ("alert_on_model_rotation", {"TradebotModelPromoted", "TradebotModelKept", "TradebotModelRolledBack"}),
        ("enabled", {alert.name for alert in ALERTS}),
    ],
)
def test_what_the_settings_silence_is_said(key: str, names: set[str], tmp_path: Path) -> None:
    found = silenced(tmp_path, f"operations.alerts.{key}=false")
    assert {name for name, silent in found.items() if silent} == names


def test_the_reference_needs_no_settings_file() -> None:
    done = CliRunner().invoke(app, ["--settings", "absent.yml", "alerts", "--reference"])
    assert (done.exit_code, done.stdout) == (0, reference())
