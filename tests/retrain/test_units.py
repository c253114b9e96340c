"""The crontab and the systemd units that are shipped: they run a command that there is, often enough."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from nightdesk.cli.main import app
from typer.testing import CliRunner

from tests.skipping import cannot_run

RETRAIN = Path(__file__).resolve().parents[2] / "retrain"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((RETRAIN / name).read_text())
    return parser


def cron_lines() -> list[str]:
    lines = (RETRAIN / "crontab").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]


def test_the_crontab_has_one_job_every_quarter_of_an_hour_of_a_user_and_ends_with_a_newline() -> None:
    (line,) = cron_lines()
    assert re.fullmatch(r"\*/15 \* \* \* \*  \w+  cd \S+ && .*", line)
    assert (RETRAIN / "crontab").read_text().endswith("\n"), "cron ignores a last line without one"


@pytest.mark.parametrize(
    "command",
    [
        cron_lines()[0].split("&&")[1].split(">>")[0],
        unit("nightdesk-retrain.service")["Service"]["ExecStart"],
    ],
)
def test_what_they_run_is_a_command_that_does_nothing_where_nothing_is_due(command: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program.endswith(".venv/bin/nightdesk")
    assert arguments == ["retrain", "--if-due"]
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    done = CliRunner().invoke(app, ["--settings", str(tmp_path / "nightdesk.yml"), *arguments, "--help"])
    assert done.exit_code == 0


def test_the_timer_starts_the_service_of_its_name_as_often() -> None:
    assert unit("nightdesk-retrain.timer")["Timer"]["OnCalendar"] == "*:0/15"
    assert unit("nightdesk-retrain.service")["Service"]["Type"] == "oneshot"


def test_systemd_understands_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        cannot_run("systemd is not installed")
    for name in ("nightdesk-retrain.service", "nightdesk-retrain.timer"):
        text = (RETRAIN / name).read_text().replace("/srv/nightdesk/.venv/bin/nightdesk", "/bin/true")
        (tmp_path / name).write_text(text.replace("User=nightdesk\n", ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(str(path) for path in tmp_path.iterdir())],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "nightdesk-retrain" not in done.stderr, done.stderr
