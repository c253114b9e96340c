"""`nightdesk guard calibrate`, on bundles that the desk's own retrain job made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk import home
from nightdesk.cli.main import app
from nightdesk.job import job_parts
from nightdesk.settings import Settings, load
from nightdesk_core.models.pipeline import Backtest
from nightdesk_guard import profile
from nightdesk_retrain import job
from typer.testing import CliRunner

from tests.guard.simulations import hold_out
from tests.retrain.conftest import FakeModel, FakePipeline, FakeWindow


class Trading(FakePipeline):
    """Trades on its hold-out as often as it is told."""

    def backtest(self, model: FakeModel, window: FakeWindow, *, start: float, end: float) -> Backtest:
        return replace(hold_out(win_rate=0.45, trades=self.trades, days=180, seed=1), start=start, end=end)


class Quiet(Trading):
    """Trades too rarely to be calibrated on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.trades = 20


class Command:
    """The command line of a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.version = ""

    def settings(self, text: str = "") -> Settings:
        path = self.home / "nightdesk.yml"
        path.write_text(f"home: .\noperations: {{alerts: {{enabled: false}}}}\n{text}")
        return load(path)

    def retrain(self, pipeline: type[Trading]) -> str:
        """Make a first champion as the desk does, but publish nothing; return its version."""
        settings = self.settings(f"retrain: {{pipeline: '{__name__}:{pipeline.__name__}'}}\n")
        with job_parts(settings, lambda stage, share: None) as parts:
            return job.run(replace(parts, gateway=""), trigger="manual", bootstrap=True).version

    def run(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["--settings", str(self.home / "nightdesk.yml"), "guard", *arguments])
        return (done.exit_code, done.stdout) if done.exception is None else (done.exit_code, str(done.exception))


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """One whose champion has traded enough. What is tested changes nothing but the settings."""
    command = Command(tmp_path_factory.mktemp("home"))
    command.version = command.retrain(Trading)
    return command


def cells(said: str, name: str) -> list[str]:
    """Return the cells of the first row that has a name."""
    line = next(line for line in said.splitlines() if line.strip().startswith(name))
    return re.split(r"\s{2,}", line.strip())[1:]


def test_it_prints_documented_and_calibrated_limits_beside_each_other(command: Command) -> None:
    command.settings()
    code, said = command.run("calibrate")
    assert code == 0
    assert said.startswith(f"{command.version}: 60 trades in 180 days, 45.0% won, ")
    found = profile.read(home.registry(command.settings()).bundle(command.version))
    assert found is not None
    assert found.measured is not None
    paused, rest = said.split("REDUCED from")
    reduced, rates = rest.split("false alarms in a year")
    assert cells(paused, "trades lost in a row") == ["14", str(found.limits.paused.losing_streak)]
    assert cells(paused, "drawdown") == ["15.0%", f"{found.limits.paused.drawdown:.1%}"]
    assert cells(paused, "CUSUM of wins") == ["-", f"{found.limits.paused.win_cusum:.2f}"]
    assert cells(reduced, "trades lost in a row") == ["10", str(found.limits.reduced.losing_streak)]
    both = [found.measured["documented"], found.measured["calibrated"]]
    assert cells(rates, "PAUSED") == [
        f"{each.false_pauses_a_year:.2f} ± {each.false_pauses_standard_error:.2f}" for each in both
    ]
    fewer_wins = rates.split("a win rate down by a third")[1]
    assert cells(fewer_wins, "by PAUSED") == [str(each.fewer_wins.paused) for each in both]
    assert said.endswith("\nthe calibrated limits are in force\n")


def test_as_json_it_is_the_profile_with_what_is_in_force(command: Command) -> None:
    command.settings("guard: {limits: documented}\n")
    code, said = command.run("calibrate", "--json", "--version", command.version)
    content = json.loads(said)
    assert (code, content.pop("version")) == (0, command.version)
    assert content.pop("in_force") == "the documented limits are in force (guard.limits)"
    bundle = home.registry(command.settings()).bundle(command.version)
    assert content == json.loads((bundle / profile.FILE_NAME).read_bytes())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("guard: {enabled: false}\n", "no limits are in force: the guard is switched off (guard.enabled)"),
        (
            "guard: {false_pauses_a_year: 0.5}\n",
            "the calibrated limits in the bundle are in force: they were made with other settings than these here",
        ),
    ],
)
def test_it_says_where_other_limits_are_in_force(text: str, said: str, command: Command) -> None:
    command.settings(text)
    assert command.run("calibrate")[1].endswith(f"\n{said}\n")


def test_too_few_trades_leave_the_documented_limits_and_it_says_so(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.retrain(Quiet)
    command.settings()
    code, said = command.run("calibrate")
    assert code == 0
    note = "documented limits: the hold-out holds 20 trades, calibrated ones need 50"
    assert said.count(note) == 2
    assert cells(said, "trades lost in a row") == ["14"]
    assert "false alarms" not in said


def test_without_a_champion_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    done = subprocess.run(
        [sys.executable, "-m", "nightdesk", "--settings", tmp_path / "nightdesk.yml", "guard", "calibrate"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "nightdesk: there is no champion yet: run `nightdesk retrain --bootstrap`, or name a model: --version\n"
    )


def test_its_help_shows_examples() -> None:
    done = CliRunner().invoke(app, ["guard", "calibrate", "--help"])
    assert done.exit_code == 0
    assert "nightdesk guard calibrate" in done.stdout
