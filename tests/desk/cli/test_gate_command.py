"""`nightdesk gate power`, with few simulated retrains: what it prints, and where it takes its numbers from."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk import home as home_folder
from nightdesk.cli.main import app
from nightdesk.job import job_parts
from nightdesk.settings import load
from nightdesk_core.clock import WallTime
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_retrain import job
from typer.testing import CliRunner

from tests.guard.simulations import hold_out
from tests.retrain.conftest import FakeModel, FakePipeline, FakeWindow

REFERENCE = "the reference strategy's, as no bundle here holds"


class Trading(FakePipeline):
    """Its models trade alike, and earn what they were fitted to."""

    def backtest(self, model: FakeModel, window: FakeWindow, *, start: float, end: float) -> Backtest:
        earned = super().backtest(model, window, start=start, end=end)
        trades = hold_out(win_rate=0.45, trades=self.trades, days=180, seed=1).trades
        return replace(earned, trades=trades)


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "nightdesk.yml"
        self.file.write_text("home: .\noperations: {alerts: {enabled: false}}\n")
        self.ticks = itertools.count(1_571_302_800)

    def retrain(self, *, bootstrap: bool) -> str:
        settings = load(self.file, [f"retrain.pipeline={__name__}:Trading"])
        # Two runs within a second would make the same version: these models differ by their clock alone.
        registry = ModelRegistry(home_folder.registry(settings).folder, clock=lambda: WallTime(float(next(self.ticks))))
        with job_parts(settings, lambda stage, share: None) as parts:
            alone = replace(parts, gateway="", annotate=lambda holdout: {}, registry=registry)
            return job.run(alone, trigger="manual", bootstrap=bootstrap).version

    def power(self, *arguments: str, assignments: tuple[str, ...] = ()) -> str:
        """Return what the command prints; it must succeed."""
        chosen = [part for assignment in assignments for part in ("--set", assignment)]
        command = ["--settings", str(self.file), *chosen, "gate", "power", "--draws", "4", *arguments]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_it_prints_a_row_for_each_difference_and_a_column_for_each_level(home: Home) -> None:
    lines = home.power("--days", "150").splitlines()
    assert lines[:3] == [
        "150 days in common, 12.2 tries a year",
        f"correlation 0.85: {REFERENCE} a comparison",
        f"0.433 trades a day, 12.0% volatility a year: {REFERENCE} trades",
    ]
    assert lines[6].split() == ["true", "difference", *(["champion", "0", "champion", "1", "champion", "2"] * 2)]
    rows = [line.split() for line in lines[7:12]]
    assert [row[0] for row in rows] == ["-1.0", "-0.5", "+0.0", "+0.5", "+1.0"]
    assert all(len(row) == 1 + 6 * 3 for row in rows)
    assert "A year's is a bound" in lines[13]


def test_settings_length_correlation_level_and_seed_are_those_at_hand(home: Home) -> None:
    settings = ("operations.model_rotation.retrain_frequency_days=73", "retrain.min_common_days=200")
    arguments = ("--correlation", "0.5", "--level", "1.5", "--seed", "7", "--json")
    found = json.loads(home.power(*arguments, assignments=settings))
    assert (found["days"], found["seed"], found["draws"], found["tries_a_year"]) == (180, 7, 4, 5)
    assert found["correlation"] == {"value": 0.5, "source": "as told"}
    assert [row["joint"]["1.5"]["a_year"] for row in found["power"]] == [0.0] * 5
    assert "Nothing is promoted: 200 days are needed (retrain.min_common_days)." in home.power(assignments=settings)
    deflated = ("retrain.min_deflated_sharpe=0.5",)
    counts = "The deflated Sharpe ratio counts (retrain.min_deflated_sharpe): the trials show 0.00 by luck."
    assert counts in home.power(assignments=deflated)
    free = ("operations.model_rotation.require_outperformance=false",)
    assert "The relative rule is switched off" in home.power(assignments=free)


def test_the_newest_bundles_say_how_often_is_traded_and_how_alike_models_are(home: Home) -> None:
    first = home.retrain(bootstrap=True)
    assert home.power("--days", "119").splitlines()[1:3] == [
        f"correlation 0.85: {REFERENCE} a comparison",
        f"0.333 trades a day, 19.7% volatility a year: the hold-out of {first}",
    ]
    second = home.retrain(bootstrap=False)
    said = home.power("--days", "119").splitlines()
    assert said[1] == f"correlation 1: {second} and the champion of its day, over 182 days"
    (home_folder.registry(load(home.file)).folder / second / "returns.csv").write_text("changed")
    assert home.power("--days", "119").splitlines()[1] == f"correlation 0.85: {REFERENCE} a comparison"
