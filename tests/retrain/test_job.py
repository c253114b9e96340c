"""The job from end to end, around a strategy that fits the protocol and nothing else."""

from __future__ import annotations

import csv
import json
import pickle
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_core.bundle import BundleError, Manifest
from nightdesk_core.clock import TimeScale
from nightdesk_core.files import LockTimeoutError, locked
from nightdesk_core.pipeline import DataError, TrainingError
from nightdesk_core.registry import RegistryError
from nightdesk_core.settings import SettingsError
from nightdesk_retrain import job, state
from nightdesk_retrain.gate import Verdict
from nightdesk_retrain.job import JobParts, RetrainBusyError, load_pipeline
from nightdesk_retrain.metrics import max_drawdown_ratio, profit_factor, sharpe_ratio

from tests.retrain.conftest import DAY, MARKET_END, FakePipeline, files_of, hashes, rotating


def events(parts: JobParts) -> list[str]:
    """Return what the audit log recorded, and check its chain."""
    parts.audit.verify()
    return [entry["event"] for entry in parts.audit.entries()]


def status(parts: JobParts) -> dict[str, Any]:
    """Return the job's section of the status file."""
    section: dict[str, Any] = parts.status_file.read()["retrain"]
    return section


def champion_of(parts: JobParts) -> str | None:
    """Return the version that the pointer names; its bundle must be intact."""
    champion = parts.registry.champion()
    if champion is None:
        return None
    parts.registry.bundle(champion.version)
    return champion.version


@pytest.fixture
def first(parts: JobParts) -> str:
    """Bootstrap, and return the first champion's version."""
    return job.run(parts, trigger="manual", bootstrap=True).version


def promoted_beside(parts: JobParts, pipeline: FakePipeline) -> str:
    """Let a clearly better model be promoted to champion, half a year later, and return its version."""
    pipeline.daily_edge, pipeline.market_end = 0.004, pipeline.market_end + 200 * DAY
    outcome = job.run(parts, trigger="schedule")
    assert outcome.standing == "champion"
    return outcome.version


def test_the_first_champion_is_provisional_whatever_the_gate_says(parts: JobParts, pipeline: FakePipeline) -> None:
    pipeline.daily_edge = -0.01
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    assert (outcome.decision, outcome.standing, outcome.ruling.verdict) == ("promoted", "provisional", Verdict.KEPT)
    assert outcome.reason.startswith("first champion, provisional whatever the gate says (kept: sharpe_ratio -")
    champion = parts.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing, champion.previous) == (outcome.version, "provisional", None)


def test_pointer_audit_log_status_file_and_memory_agree(parts: JobParts) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    assert champion_of(parts) == outcome.version
    assert events(parts) == ["verdict", "rotated"]
    verdict, rotated = parts.audit.entries()
    assert rotated["details"] == asdict(parts.registry.champion())  # type: ignore[arg-type]
    section = status(parts)
    for key in ("decision", "reason", "version", "standing", "verdict", "criteria", "candidate", "trigger"):
        assert section[key] == verdict["details"][key] == outcome.to_json()[key]
    assert section["audit"] == asdict(parts.audit.verify())
    memory = state.load(parts.state_dir)
    assert memory.last_success == memory.last_completion
    assert section["last_success"] is not None
    assert memory.consecutive_failures == memory.consecutive_rejections == 0


def test_there_is_only_one_first_champion(parts: JobParts, first: str) -> None:
    with pytest.raises(RegistryError) as raised:
        job.run(parts, trigger="manual", bootstrap=True)
    assert str(raised.value) == f"there is a champion already, {first}: run `nightdesk retrain` without --bootstrap"
    assert champion_of(parts) == first
    assert state.load(parts.state_dir).consecutive_failures == 0


def test_a_better_candidate_is_promoted_and_the_pointer_names_the_one_before(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.004
    outcome = job.run(parts, trigger="schedule")
    assert (outcome.decision, outcome.standing, outcome.reason) == ("promoted", "champion", "every criterion is met")
    champion = parts.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing, champion.previous) == (outcome.version, "champion", first)


def test_a_worse_candidate_is_kept_as_a_bundle_and_not_used(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.0019
    outcome = job.run(parts, trigger="schedule")
    assert (outcome.decision, outcome.standing) == ("kept", None)
    assert "sharpe_difference -" in outcome.reason
    assert champion_of(parts) == first
    assert {manifest.version for manifest in parts.registry.manifests()} == {first, outcome.version}
    assert state.load(parts.state_dir).consecutive_rejections == 1
    assert events(parts)[-1] == "verdict"


def test_a_champion_that_was_judged_is_only_replaced_with_the_lower_bound(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    promoted_beside(parts, pipeline)
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.00401
    outcome = job.run(parts, trigger="schedule")
    assert outcome.comparison is not None
    assert outcome.comparison.standing == "champion"
    assert "sharpe_difference_lower_bound" in [criterion.name for criterion in outcome.ruling.criteria]
    assert outcome.decision == "promoted"


def test_a_champion_from_last_week_leaves_enough_days_and_one_that_knows_the_holdout_does_not(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    newer = pipeline.market_end
    pipeline.market_end -= 100 * DAY
    pipeline.daily_edge = 0.02
    outcome = job.run(parts, trigger="schedule")
    assert outcome.comparison is not None
    assert outcome.comparison.common_days == 82
    assert outcome.decision == "insufficient_evidence"
    assert outcome.reason == "common_days 82 is not at least 120 days that neither model has seen"
    assert champion_of(parts) == first
    assert state.load(parts.state_dir).consecutive_rejections == 1
    pipeline.market_end = newer + 7 * DAY
    assert job.run(parts, trigger="schedule").decision == "promoted"


def test_known_failure_7_the_current_model_is_evaluated_beside_the_candidate(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.backtests.clear()
    pipeline.daily_edge = 0.004
    outcome = job.run(parts, trigger="schedule")
    assert [edge for edge, _, _ in pipeline.backtests] == [0.004, 0.004, 0.002]
    assert outcome.champion is not None
    assert outcome.candidate.sharpe_ratio > outcome.champion.sharpe_ratio


def test_known_failure_7_without_require_outperformance_a_worse_candidate_may_follow(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.0015
    outcome = job.run(rotating(parts, require_outperformance=False), trigger="manual")
    assert outcome.decision == "promoted"
    assert outcome.champion is not None
    assert outcome.champion.sharpe_ratio > outcome.candidate.sharpe_ratio


def test_known_failure_8_the_model_that_was_evaluated_is_the_model_that_is_saved(
    parts: JobParts, pipeline: FakePipeline
) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    bundle = parts.registry.bundle(outcome.version)
    evaluated = pipeline.loaded[f".staging-{outcome.version}"]
    assert evaluated.items() <= hashes(bundle).items()
    assert evaluated.items() <= dict(Manifest.read(bundle).files).items()
    assert len(pipeline.fitted_until) == 1


def test_known_failure_9_a_dry_run_says_so_and_rotates_nothing(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.01
    models, memory = files_of(parts), state.load(parts.state_dir)
    outcome = job.run(parts, trigger="manual", dry_run=True)
    assert outcome.decision == "dry_run"
    assert outcome.reason == "dry run, nothing was rotated; the verdict is promoted: every criterion is met"
    assert outcome.standing is None
    assert files_of(parts) == models
    assert champion_of(parts) == first
    assert events(parts)[-1] == "dry_run"
    assert status(parts)["decision"] == "dry_run"
    assert state.load(parts.state_dir) == memory


def test_a_dry_run_does_not_put_off_the_retrain_that_is_due(parts: JobParts, pipeline: FakePipeline) -> None:
    job.run(parts, trigger="manual", dry_run=True)
    pipeline.error = TrainingError("no model")
    with pytest.raises(TrainingError):
        job.run(parts, trigger="manual", dry_run=True)
    assert state.load(parts.state_dir) == state.JobState()
    assert state.load(parts.state_dir).is_due(now=0.0, interval_seconds=1.0)
    assert status(parts)["decision"] == "error"


@pytest.mark.parametrize("error", [TrainingError("only 3 labelled breakouts"), ZeroDivisionError("a bug of its own")])
def test_known_failure_9_a_failing_strategy_raises_leaves_the_champion_and_is_audited_and_counted(
    error: Exception, parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    models, success = files_of(parts), state.load(parts.state_dir).last_success
    pipeline.error = error
    for failures in (1, 2):
        with pytest.raises(type(error)):
            job.run(parts, trigger="schedule")
        memory = state.load(parts.state_dir)
        assert (memory.consecutive_failures, memory.last_success) == (failures, success)
    assert files_of(parts) == models
    assert champion_of(parts) == first
    assert events(parts)[-2:] == ["failed", "failed"]
    assert list(parts.audit.entries())[-1]["details"] == {
        "trigger": "schedule",
        "error": str(error),
        "kind": type(error).__name__,
    }
    assert (status(parts)["decision"], status(parts)["reason"]) == ("error", str(error))
    pipeline.error, pipeline.daily_edge = None, 0.004
    job.run(parts, trigger="schedule")
    assert state.load(parts.state_dir).consecutive_failures == 0


def test_known_failure_10_the_model_s_age_is_in_its_manifest(parts: JobParts, first: str) -> None:
    manifest = Manifest.read(parts.registry.bundle(first))
    assert 1_571_302_800 < manifest.trained_at < 1_571_302_900
    assert manifest.data_end == MARKET_END


def test_known_failure_11_a_rotation_moves_no_model_away_and_the_bot_always_has_one(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    before = hashes(parts.registry.bundle(first))
    second = promoted_beside(parts, pipeline)
    assert champion_of(parts) == second
    assert hashes(parts.registry.bundle(first)) == before


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
    unseen_from = max(outcome.fitted.last_label_end, champion_has_seen)
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
    assert sharpe_ratio(returns) == recorded["sharpe_ratio"]
    assert max_drawdown_ratio(returns) == recorded["max_drawdown_ratio"]
    assert profit_factor(profits) == recorded["profit_factor"]
    assert len(profits) == recorded["trades"]
    assert json.loads((bundle / "settings.json").read_text()) == parts.settings_record
    assert json.loads((bundle / "evaluation.json").read_text())["decision"] == "promoted"


def test_with_rotation_switched_off_a_candidate_that_would_win_is_reported_and_kept(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.004
    outcome = job.run(rotating(parts, enabled=False), trigger="schedule")
    assert (outcome.decision, outcome.ruling.verdict) == ("kept", Verdict.PROMOTED)
    assert outcome.reason == "the gate would promote, but model_rotation.enabled is false"
    assert champion_of(parts) == first


def test_another_run_under_way_is_an_error_and_leaves_everything(parts: JobParts, first: str) -> None:
    before = files_of(parts), events(parts), state.load(parts.state_dir)
    with (
        locked(parts.state_dir / "retrain.lock", timeout_seconds=0),
        pytest.raises(RetrainBusyError) as raised,
    ):
        job.run(parts, trigger="schedule")
    assert str(raised.value) == "another retrain is running: wait for it, or look at its log"
    assert (files_of(parts), events(parts), state.load(parts.state_dir)) == before


def test_another_lock_that_is_held_is_not_taken_for_another_run(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.error = LockTimeoutError(Path("elsewhere.lock"), 10)
    with pytest.raises(LockTimeoutError, match=r"elsewhere\.lock is still held"):
        job.run(parts, trigger="schedule")
    assert state.load(parts.state_dir).consecutive_failures == 1


def test_too_little_history_stops_the_job_before_it_trains(parts: JobParts, pipeline: FakePipeline) -> None:
    pipeline.history_days = 399.0
    with pytest.raises(DataError) as raised:
        job.run(parts, trigger="manual", bootstrap=True)
    assert str(raised.value) == "only 399 days of history, at least 400 are needed (retrain.min_history_days)"
    assert raised.value.exit_code == 3
    assert pipeline.fitted_until == []


def test_a_damaged_champion_does_not_stop_the_retrain_that_mends_it(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    (parts.registry.folder / first / "model.json").write_text("{}")
    outcome = job.run(parts, trigger="schedule")
    assert outcome.champion is None
    # It was compared with nothing, so it stands as the first one did.
    assert (outcome.decision, outcome.standing) == ("promoted", "provisional")
    assert champion_of(parts) == outcome.version


def test_a_champion_of_an_older_release_does_not_stop_the_retrain_that_its_message_asks_for(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.unreadable.add(first)
    with pytest.raises(BundleError, match="retrain"):
        pipeline.load(parts.registry.bundle(first))
    assert job.run(parts, trigger="manual").decision == "promoted"


def test_a_pointer_that_somebody_moved_meanwhile_is_left_where_it_is(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    second = promoted_beside(parts, pipeline)
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.01

    class Meddling(FakePipeline):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            parts.registry.promote(first, standing="champion", instead_of=second)
            return super().fit(*args, **kwargs)

    meddling = Meddling(daily_edge=0.01, market_end=pipeline.market_end)
    with pytest.raises(RegistryError, match=f"the champion is {first}, not {second}: decide again"):
        job.run(replace(parts, pipeline=meddling), trigger="schedule")
    assert champion_of(parts) == first
    assert events(parts)[-1] == "failed"


def test_a_broken_audit_log_fails_the_run_and_shows_in_the_status(parts: JobParts, first: str) -> None:
    with parts.audit.path.open("a") as file:
        file.write("[]\n")
    with pytest.raises(Exception, match="is not an audit entry"):
        job.run(parts, trigger="schedule")
    assert status(parts)["decision"] == "error"
    assert state.load(parts.state_dir).consecutive_failures == 1
    assert champion_of(parts) == first


def test_what_a_killed_run_staged_is_swept_by_the_next(parts: JobParts) -> None:
    parts.registry.stage({"model.json": b"left behind"})
    job.run(parts, trigger="manual", bootstrap=True)
    assert not list(parts.registry.folder.glob(".staging-*"))


def test_the_limits_of_a_replay_shrink_the_interval(parts: JobParts) -> None:
    assert parts.interval_seconds == 30 * DAY
    assert replace(parts, scale=TimeScale(speed=18_000)).interval_seconds == 144


def test_progress_names_every_stage_in_its_order(parts: JobParts) -> None:
    told: list[tuple[str, float]] = []
    outcome = job.run(
        replace(parts, progress=lambda stage, share: told.append((stage, share))), trigger="manual", bootstrap=True
    )
    stages = ["collect", "train", "evaluate", "gate", "rotate"]
    assert [stage for stage, share in told if share == 0.0] == stages
    assert list(outcome.stage_seconds) == stages


def test_two_runs_at_once_are_one_run_and_one_busy_error(parts: JobParts, pipeline: FakePipeline) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(FakePipeline):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            inside.set()
            assert go_on.wait(10)
            return super().fit(*args, **kwargs)

    slow = replace(parts, pipeline=Slow())
    running = threading.Thread(target=job.run, args=(slow,), kwargs={"trigger": "schedule", "bootstrap": True})
    running.start()
    assert inside.wait(10)
    with pytest.raises(RetrainBusyError):
        job.run(parts, trigger="manual")
    go_on.set()
    running.join(timeout=10)
    assert champion_of(parts) is not None


def test_a_strategy_is_found_by_the_name_in_the_settings() -> None:
    found = load_pipeline("tests.retrain.conftest:FakePipeline", {"fake": {"daily_edge": 0.5}})
    assert isinstance(found, FakePipeline)
    assert found.daily_edge == 0.5


@pytest.mark.parametrize("dotted", ["no_such_module:Thing", "tests.retrain.conftest:NoSuch"])
def test_a_strategy_that_is_not_there_is_a_settings_error(dotted: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_pipeline(dotted, {})
    assert raised.value.source == "retrain.pipeline"
    assert raised.value.problems[0].startswith(f"{dotted} cannot be loaded: ")


def test_an_outcome_with_numbers_that_json_cannot_hold_is_recorded_as_null(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    class Flat(FakePipeline):
        def backtest(self, model: Any, window: Any, *, start: float, end: float) -> Any:
            done = super().backtest(model, window, start=start, end=end)
            return replace(done, daily_returns=(0.0,) * len(done.days), trades=())

    outcome = job.run(replace(parts, pipeline=Flat(market_end=MARKET_END)), trigger="schedule")
    assert outcome.comparison is not None
    assert outcome.comparison.sharpe is not None
    assert outcome.comparison.sharpe.lower_bound == float("-inf")
    recorded = status(parts)["comparison"]["sharpe"]
    assert (recorded["difference"], recorded["lower_bound"], recorded["standard_error"]) == (0.0, None, None)
