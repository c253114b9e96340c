"""The job from end to end, around a strategy that fits the protocol and nothing else: what becomes champion."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from nightdesk_core.clock import TimeScale
from nightdesk_core.files import stored
from nightdesk_core.models.registry import RegistryError
from nightdesk_core.settings import SettingsError
from nightdesk_retrain import job, state
from nightdesk_retrain.judgement.gate import GateVerdict
from nightdesk_retrain.parts import JobParts
from nightdesk_retrain.strategy import load_pipeline

from tests.retrain.conftest import (
    DAY,
    FakePipeline,
    champion_of,
    events,
    hashes,
    promoted_beside,
    rotating,
    status,
)


def test_the_first_champion_is_provisional_whatever_the_gate_says(parts: JobParts, pipeline: FakePipeline) -> None:
    pipeline.daily_edge = -0.01
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    assert (outcome.decision, outcome.standing, outcome.ruling.verdict) == ("promoted", "provisional", GateVerdict.KEPT)
    assert outcome.reason.startswith("first champion, provisional whatever the gate says (kept: sharpe_ratio -")
    champion = parts.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing, champion.previous) == (outcome.version, "provisional", None)


def test_pointer_audit_log_status_file_and_memory_agree(parts: JobParts) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    assert champion_of(parts) == outcome.version
    assert events(parts) == ["verdict", "rotated"]
    verdict, rotated = parts.audit.entries()
    assert rotated.details == json.loads(json.dumps(stored.plain(parts.registry.champion())))
    section = status(parts)
    for key in ("decision", "reason", "version", "standing", "verdict", "criteria", "candidate", "trigger"):
        assert section[key] == verdict.details[key] == outcome.to_json()[key]
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
    assert (outcome.decision, outcome.standing, outcome.reason) == ("promoted", "probation", "every criterion is met")
    champion = parts.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing, champion.previous) == (outcome.version, "probation", first)


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


def test_known_failure_11_a_rotation_moves_no_model_away_and_the_bot_always_has_one(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    before = hashes(parts.registry.bundle(first))
    second = promoted_beside(parts, pipeline)
    assert champion_of(parts) == second
    assert hashes(parts.registry.bundle(first)) == before


def test_with_rotation_switched_off_a_candidate_that_would_win_is_reported_and_kept(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.004
    outcome = job.run(rotating(parts, enabled=False), trigger="schedule")
    assert (outcome.decision, outcome.ruling.verdict) == ("kept", GateVerdict.PROMOTED)
    assert outcome.reason == "the gate would promote, but model_rotation.enabled is false"
    assert champion_of(parts) == first


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
