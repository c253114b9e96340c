"""`nightdesk models`: what there is, how models differ, which are damaged, and taking one back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from nightdesk.cli.main import app
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.models.registry import ModelRegistry, RegistryError
from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from typer.testing import CliRunner

NOW = 1_571_302_800.0
LEFT = DeflatedSharpe(probability=0.81, benchmark=1.2, trials=7, cluster_sharpe_ratios=(0.1, 0.05))


class Desk:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "nightdesk.yml"
        self.file.write_text(
            "home: .\nstack: {ports: {pushgateway: 1}}\nstrategy: {does: passes}\n"
            "retrain: {pipeline: 'tests.trendbot.model.tried_strategy:Strategy'}\n"
        )
        self.state_dir = folder / "state"
        self.now = NOW
        self.registry = ModelRegistry(folder / "models", clock=lambda: WallTime(self.now))

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["--settings", str(self.file), "models", *arguments])

    def said(self, *arguments: str) -> list[str]:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        lines: list[str] = done.stdout.splitlines()
        return lines

    def publish(self, sharpe: float) -> str:
        self.now += 86_400
        files = {
            "model.txt": str(sharpe).encode(),
            "backtest.json": f'{{"sharpe_ratio": {sharpe}, "trades": 60, "exposure_ratio": 0.25}}'.encode(),
            "evaluation.json": json.dumps(
                {
                    "verdict": "promoted",
                    "reason": "every criterion is met",
                    "deflated_sharpe": asdict(LEFT) | {"effective_trials": LEFT.effective_trials},
                }
            ).encode(),
            "settings.json": b'{"retrain": {"holdout_days": 180}}',
            "data.json": b'{"summary": {"BTC/USDT:USDT": "17520 candles", "sources": 2}, "symbols": {}}',
        }
        staged = self.registry.stage(files)
        return self.registry.publish(
            self.registry.seal(
                staged,
                strategy="m:S",
                train_start=MarketTime(0),
                train_end=MarketTime(1),
                last_label_end=MarketTime(1),
                data_end=MarketTime(2),
                data_fingerprint="f",
            )
        ).version


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def versions(desk: Desk) -> list[str]:
    """Three models: one that never was champion, a champion, and one on probation after it."""
    found = [desk.publish(sharpe) for sharpe in (0.5, 1.25, 1.5)]
    desk.registry.promote(found[1], standing="champion", instead_of=None)
    desk.registry.promote(found[2], standing="probation", instead_of=found[1])
    return found


def test_the_list_marks_the_champion_those_before_it_and_what_was_taken_back(desk: Desk, versions: list[str]) -> None:
    marks = [line.split("  ")[3:] for line in desk.said("list")]
    assert marks == [[], ["before it"], ["<- probation"]]
    desk.said("rollback", "--reason", "it lost")
    marks = [line.split("  ")[3:] for line in desk.said("list")]
    assert marks[1] == ["<- champion"]
    assert marks[2][0].startswith("taken back at ")


def test_a_model_is_shown_with_its_hold_out_and_its_verdict(desk: Desk, versions: list[str]) -> None:
    shown = dict(line.split(maxsplit=1) for line in desk.said("show") if not line.startswith("hold-out"))
    assert (shown["version"], shown["standing"], shown["verdict"]) == (versions[2], "probation", "promoted")
    assert (shown["data.BTC/USDT:USDT"], shown["data.sources"]) == ("17520 candles", "2")
    assert any(line.split() == ["hold-out.sharpe_ratio", "1.25"] for line in desk.said("show", versions[1]))
    shown = dict(line.split(maxsplit=1) for line in desk.said("show"))
    assert (shown["deflated_sharpe.probability"], shown["deflated_sharpe.trials"]) == ("0.81", "7")
    assert shown["deflated_sharpe.effective_trials"] == "2"
    assert any(line.split() == ["hold-out.exposure_ratio", "0.25"] for line in desk.said("show", versions[1]))
    assert dict(line.split(maxsplit=1) for line in desk.said("show", versions[0])[:2])["standing"] == "not in use"


def test_two_models_are_held_against_each_other(desk: Desk, versions: list[str]) -> None:
    lines = desk.said("diff", versions[1])
    at = lines.index("hold-out.sharpe_ratio")
    assert lines[at + 1 : at + 3] == [f"  {versions[1]}  1.25", f"  {versions[2]}  1.5"]
    assert not [line for line in lines if line.startswith(("hold-out.trades", "settings."))]


def test_damage_is_found_named_and_an_exit_code(desk: Desk, versions: list[str]) -> None:
    assert desk.said("verify") == [f"ok       {version}" for version in versions]
    (desk.registry.folder / versions[1] / "model.txt").write_text("changed")
    done = desk.run("verify")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].startswith(f"DAMAGED  {versions[1]}: model.txt was changed")
    assert desk.run("verify", versions[0]).exit_code == 0


def test_a_rollback_moves_the_pointer_and_is_recorded(desk: Desk, versions: list[str]) -> None:
    assert desk.said("rollback", "--reason", "trades against the trend") == [
        f"{versions[1]} is the champion again, champion"
    ]
    (entry,) = AuditLog(desk.state_dir / "audit.jsonl").entries()
    assert (entry.event, entry.details["rollback"]["reason"]) == ("rolled_back", "trades against the trend")
    assert desk.said("rollback", "--reason", "that one", "--to", versions[0])[0] == (
        f"{versions[0]} is the champion again, provisional"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "there is no champion yet: run `nightdesk retrain --bootstrap`"),
        (["show", "v9"], "there is no model v9; `nightdesk models list` prints them"),
        (["show", "../state"], "there is no model ../state; `nightdesk models list` prints them"),
        (["rollback", "--reason", " "], "a reason is needed: say why with --reason"),
        (["rollback", "--reason", "why not"], "there is no champion yet: run `nightdesk retrain --bootstrap`"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], said: str, desk: Desk) -> None:
    done = desk.run(*arguments)
    assert isinstance(done.exception, NightdeskError)
    assert str(done.exception) == said


def test_without_one_before_it_nothing_is_rolled_back(desk: Desk) -> None:
    version = desk.publish(1.0)
    desk.registry.promote(version, standing="provisional", instead_of=None)
    assert isinstance(desk.run("rollback", "--reason", "it lost").exception, RegistryError)
    assert not (desk.state_dir / "audit.jsonl").exists()


def test_pruning_keeps_what_is_needed_and_says_what_it_removes(desk: Desk, versions: list[str]) -> None:
    assert desk.said("prune") == ["there is nothing to remove"]
    assert desk.said("prune", "--keep", "1", "--days", "0", "--dry-run") == [f"would remove {versions[0]}"]
    assert desk.registry.versions() == versions
    assert desk.said("prune", "--keep", "1", "--days", "0") == [f"removed {versions[0]}"]
    assert desk.registry.versions() == versions[1:]
