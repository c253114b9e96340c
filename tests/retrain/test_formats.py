"""What the job leaves on disk reads and writes as in the release that wrote `formats/`, to the byte."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files import stored
from nightdesk_core.files.durable import indented_json
from nightdesk_core.models.bundle import Manifest
from nightdesk_core.models.pipeline import Backtest, Fitted, WindowInfo
from nightdesk_retrain import state
from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from nightdesk_retrain.judgement.evidence import evidence, read_common, read_holdout
from nightdesk_retrain.judgement.gate import Comparison, judge
from nightdesk_retrain.judgement.metrics import Performance
from nightdesk_retrain.judgement.outperformance import SharpeDifference
from nightdesk_retrain.judgement.trials import Trial, TrialLedger
from nightdesk_retrain.outcome import RetrainOutcome
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings
from nightdesk_retrain.state import JobState

from tests.retrain.conftest import DAY, trade

FORMATS = Path(__file__).parent / "formats"


def holdout(edge: float = 0.0) -> Backtest:
    """Return ten days with three trades, one of them without a stop."""
    returns = tuple(edge + (7 * day % 5 - 2) / 300 for day in range(10))
    trades = tuple(replace(trade(number, won=number > 0), risk=10 / 3 if number else None) for number in range(3))
    return Backtest(0.0, 10.0 * DAY, tuple((day + 1) * DAY for day in range(10)), returns, trades)


def outcome() -> RetrainOutcome:
    """Return a run whose candidate was kept for want of common days, with one of everything that it records."""
    candidate = Performance(1.23456789, None, 0.1, 3, 2 / 3, 0.05, 10)
    champion = replace(candidate, profit_factor=4.0, turnover_a_year=2.2, exposure_ratio=0.00625)
    difference = SharpeDifference(-0.25, math.inf, -math.inf, 10, None)
    comparison = Comparison("v1", "probation", 10.0, difference, past_age=True)
    ruling = judge(
        candidate,
        comparison,
        rotation=ModelRotationSettings(),
        retrain=RetrainSettings(pipeline="tests:None", min_deflated_sharpe=0.5),
        deflated=0.4,
    )
    return RetrainOutcome(
        decision="insufficient_evidence",
        reason=ruling.reason,
        trigger="guard",
        version="v2",
        standing=None,
        ruling=ruling,
        candidate=candidate,
        deflated=DeflatedSharpe(0.4, 1.5, 3, (0.1, -0.05)),
        champion=champion,
        comparison=comparison,
        window=WindowInfo(0.0, 20.0 * DAY, 480, "f" * 64, ("größer",), {"summary": {"source": "x"}, "rows": [1, 2.5]}),
        fitted=Fitted({}, 0.0, 10.0 * DAY, 9.0 * DAY, 240, {"events": 5, "weights": {"a": 0.25}}),
        stage_seconds={"collect": 0.12345, "train": 2.0},
        instead_of="v1",
        requests=("guard-a2f988b78863",),
    )


def written(folder: Path) -> dict[str, bytes]:
    """Return the files of a bundle, the job's memory and the ledger of trials."""
    state.update(folder, last_check=WallTime(1.5), last_start=WallTime(2.0), consecutive_failures=1)
    ledger = TrialLedger(folder)
    for number in range(2):
        ledger.add(
            Trial(f"v{number}", holdout().days[:3], tuple(value * 1e-5 for value in holdout().daily_returns[:3]))
        )
    return {
        **evidence(holdout(), (holdout(), holdout(1e-3)), outcome(), {"model_rotation": {"min_trades": 50}}),
        "retrain.json": (folder / "retrain.json").read_bytes(),
        "trials.jsonl": ledger.path.read_bytes(),
        "verdict.json": json.dumps(outcome().to_json()).encode(),
    }


@pytest.mark.parametrize("name", sorted(path.name for path in FORMATS.iterdir()))
def test_what_is_written_is_what_was_written_before(name: str, tmp_path: Path) -> None:
    assert written(tmp_path)[name] == (FORMATS / name).read_bytes()


def test_the_job_s_memory_and_its_trials_of_before_are_read(tmp_path: Path) -> None:
    for name in ("retrain.json", "trials.jsonl"):
        (tmp_path / name).write_bytes((FORMATS / name).read_bytes())
    assert state.load(tmp_path) == JobState(last_check=WallTime(1.5), last_start=WallTime(2.0), consecutive_failures=1)
    trials = TrialLedger(tmp_path).trials()
    assert [trial.version for trial in trials] == ["v0", "v1"]
    assert trials[0].daily_returns == tuple(value * 1e-5 for value in holdout().daily_returns[:3])


def test_the_hold_out_of_a_bundle_of_before_is_read(tmp_path: Path) -> None:
    for path in FORMATS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = Manifest(
        "v2",
        1,
        "tests:None",
        WallTime(0.0),
        MarketTime(0.0),
        MarketTime(0.0),
        MarketTime(0.0),
        MarketTime(10.0 * DAY),
        "f" * 64,
        {},
    )
    (tmp_path / "manifest.json").write_bytes(indented_json(stored.plain(manifest)))
    assert read_holdout(tmp_path) == holdout()
    assert read_common(tmp_path) == (list(holdout().daily_returns), list(holdout(1e-3).daily_returns))
