"""What a model is judged on, and that what was judged is what is stored and deployed."""

from __future__ import annotations

import csv
import json
import pickle
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.measures import max_drawdown_ratio
from nightdesk_core.models.bundle import Manifest
from nightdesk_core.models.pipeline import Progress
from nightdesk_retrain import job
from nightdesk_retrain.judgement.metrics import judged_sharpe_ratio, profit_factor
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import (
    DAY,
    MARKET_END,
    FakePipeline,
    FakeWindow,
    following,
    hashes,
    status,
)


def test_known_failure_8_the_model_that_was_evaluated_is_the_model_that_is_saved(
    parts: JobParts, pipeline: FakePipeline
) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    bundle = parts.registry.bundle(outcome.version)
    evaluated = pipeline.loaded[f".staging-{outcome.version}"]
    assert evaluated.items() <= hashes(bundle).items()
    assert evaluated.items() <= dict(Manifest.read(bundle).files).items()
    assert len(pipeline.fitted_until) == 1


def test_known_failure_10_the_model_s_age_is_in_its_manifest(parts: JobParts, first: str) -> None:
    manifest = Manifest.read(parts.registry.bundle(first))
    assert WallTime(1_571_302_800) < manifest.trained_at < WallTime(1_571_302_900)
    assert manifest.data_end == MarketTime(MARKET_END)


def test_what_a_strategy_reports_of_its_data_lies_in_the_bundle_and_not_in_the_log(
    parts: JobParts, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(*, days: float, progress: Progress) -> FakeWindow:
        found = FakePipeline.collect(pipeline, days=days, progress=progress)
        return FakeWindow(replace(found.info, report={"summary": {"rows": 7}, "long": [0.5] * 100}))

    outcome = job.run(parts, trigger="manual", bootstrap=True)
    assert not (parts.registry.bundle(outcome.version) / "data.json").exists()
    monkeypatch.setattr(pipeline, "collect", collect)
    outcome = job.run(parts, trigger="manual")
    stored = json.loads((parts.registry.bundle(outcome.version) / "data.json").read_text())
    assert stored == {"summary": {"rows": 7}, "long": [0.5] * 100}
    assert set(outcome.to_json()["data"]) == {"start", "end", "rows", "fingerprint", "warnings"}


def test_known_failure_12_a_bundle_holds_no_pickle(parts: JobParts, first: str) -> None:
    for path in parts.registry.bundle(first).iterdir():
        assert path.suffix in (".json", ".csv")
        with pytest.raises((pickle.UnpicklingError, KeyError, ValueError, EOFError, IndexError, AttributeError)):
            pickle.loads(path.read_bytes())


def test_known_failure_19_a_model_is_never_fitted_on_its_holdout(parts: JobParts, pipeline: FakePipeline) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    holdout = MARKET_END - 180 * DAY
    assert pipeline.fitted_until == [holdout]
    assert pipeline.backtests == [(0.002, holdout, MARKET_END)]
    assert outcome.fitted.last_label_end < holdout


def test_known_failure_19_candidate_and_champion_meet_only_on_bars_that_neither_has_seen(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.market_end += 30 * DAY
    pipeline.daily_edge = 0.004
    pipeline.backtests.clear()
    outcome = job.run(parts, trigger="schedule")
    champion_has_seen = Manifest.read(parts.registry.bundle(first)).last_label_end
    unseen_from = max(outcome.fitted.last_label_end, champion_has_seen.seconds)
    assert unseen_from == pipeline.market_end - 182 * DAY
    assert pipeline.backtests[1:] == [(edge, unseen_from, pipeline.market_end) for edge in (0.004, 0.002)]


def test_the_verdict_can_be_recomputed_from_the_bundle_without_fitting(parts: JobParts) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    bundle = parts.registry.bundle(outcome.version)
    rows = list(csv.DictReader((bundle / "returns.csv").read_text().splitlines()))
    returns = np.array([float(row["daily_return"]) for row in rows])
    trades = list(csv.DictReader((bundle / "trades.csv").read_text().splitlines()))
    profits = np.array([float(row["profit"]) for row in trades])
    recorded = json.loads((bundle / "backtest.json").read_text())
    assert recorded == asdict(outcome.candidate)
    assert judged_sharpe_ratio(returns) == recorded["sharpe_ratio"]
    assert max_drawdown_ratio(returns) == recorded["max_drawdown_ratio"]
    assert profit_factor(profits) == recorded["profit_factor"]
    assert len(profits) == recorded["trades"]
    assert json.loads((bundle / "settings.json").read_text()) == parts.settings_record
    assert json.loads((bundle / "evaluation.json").read_text())["decision"] == "promoted"


def test_an_outcome_with_numbers_that_json_cannot_hold_is_recorded_as_null(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    class Flat(FakePipeline):
        def backtest(self, model: Any, window: Any, *, start: float, end: float) -> Any:
            done = super().backtest(model, window, start=start, end=end)
            return replace(done, daily_returns=(0.0,) * len(done.days), trades=())

    outcome = job.run(following(parts, Flat(market_end=MARKET_END)), trigger="schedule")
    assert outcome.comparison is not None
    assert outcome.comparison.sharpe is not None
    assert outcome.comparison.sharpe.lower_bound == float("-inf")
    recorded = status(parts)["comparison"]["sharpe"]
    assert (recorded["difference"], recorded["lower_bound"], recorded["standard_error"]) == (0.0, None, None)
