"""A verdict is the same again from what was recorded of it, and shows where anything was touched."""

from __future__ import annotations

import copy
from dataclasses import replace as changed
from typing import Any

import pytest
from nightdesk_core.models.bundle import BundleError
from nightdesk_retrain import job
from nightdesk_retrain.judgement.replay import VerdictReplay, replay_verdict
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import FakePipeline, promoted_beside, rotating


def verdict(parts: JobParts, version: str) -> dict[str, Any]:
    """Return what the audit log holds of a model's verdict."""
    return next(
        dict(entry.details)
        for entry in parts.audit.entries()
        if entry.event == "verdict" and entry.details["version"] == version
    )


def again(parts: JobParts, version: str, **changes: Any) -> VerdictReplay:
    return replay_verdict(parts.registry.bundle(version), {**copy.deepcopy(verdict(parts, version)), **changes})


def test_every_verdict_comes_out_the_same_to_the_last_digit(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    versions = [first, promoted_beside(parts, pipeline)]
    pipeline.market_end += 10 * 86_400
    versions.append(job.run(parts, trigger="schedule").version)
    pipeline.daily_edge = 0.0001
    versions.append(job.run(parts, trigger="schedule").version)
    verdicts = {again(parts, version).ruling.verdict.value for version in versions}
    assert len(verdicts) >= 2
    for version in versions:
        found = again(parts, version)
        assert found.differences == ()
        assert found.ruling.verdict.value == verdict(parts, version)["verdict"]


def test_against_a_champion_past_its_age_the_bound_is_the_recorded_one(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    promoted_beside(parts, pipeline)
    pipeline.daily_edge, pipeline.market_end = 0.0041, pipeline.market_end + 200 * 86_400
    version = job.run(rotating(parts, max_model_age_days=1e-8), trigger="schedule").version
    assert verdict(parts, version)["comparison"]["past_age"] is True
    assert again(parts, version).differences == ()
    forgotten = {**verdict(parts, version)["comparison"], "past_age": False}
    found = again(parts, version, comparison=forgotten)
    assert [difference.split()[0] for difference in found.differences] == ["sharpe_difference_lower_bound"]


def test_what_was_recorded_otherwise_is_named(parts: JobParts, pipeline: FakePipeline, first: str) -> None:
    version = promoted_beside(parts, pipeline)
    criteria = copy.deepcopy(verdict(parts, version)["criteria"])
    criteria[0]["value"] += 1e-9
    found = again(parts, version, verdict="kept", criteria=criteria)
    assert found.differences[0] == "the verdict is promoted, recorded is kept"
    assert found.differences[1].startswith("sharpe_ratio is (")
    assert len(found.differences) == 2


def test_it_goes_by_the_settings_of_its_time(parts: JobParts, pipeline: FakePipeline) -> None:
    strict = rotating(parts, min_trades=1000)

    strict = changed(strict, settings_record={"model_rotation": {"min_trades": 1000}})
    version = job.run(strict, trigger="manual", bootstrap=True).version
    found = again(parts, version)
    assert found.differences == ()
    assert found.ruling.verdict.value == "kept"


def test_the_deflated_sharpe_ratio_is_held_to_the_trials_of_its_day(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    strict = changed(
        parts,
        retrain=parts.retrain.model_copy(update={"min_deflated_sharpe": 0.99}),
        settings_record={"retrain": {"min_deflated_sharpe": 0.99}},
    )
    pipeline.market_end += 200 * 86_400
    pipeline.daily_edge = 0.0008
    version = job.run(strict, trigger="schedule").version
    for _ in range(3):
        pipeline.market_end += 200 * 86_400
        job.run(parts, trigger="schedule", dry_run=True)
    recorded = verdict(parts, version)
    assert recorded["deflated_sharpe"]["trials"] == 2
    assert "deflated_sharpe 0." in recorded["reason"]
    assert again(parts, version).differences == ()
    touched = {**recorded["deflated_sharpe"], "cluster_sharpe_ratios": [0.0, 0.5]}
    found = again(parts, version, deflated_sharpe=touched)
    assert [difference.split()[0] for difference in found.differences] == ["deflated_sharpe", "deflated_sharpe"]


def test_a_verdict_from_before_there_was_a_ledger_comes_out_the_same(parts: JobParts, first: str) -> None:
    recorded = verdict(parts, first)
    del recorded["deflated_sharpe"]
    assert replay_verdict(parts.registry.bundle(first), recorded).differences == ()


def test_a_bundle_that_lacks_its_records_cannot_be_judged(parts: JobParts, first: str) -> None:
    recorded = verdict(parts, first)
    folder = parts.registry.bundle(first)
    (folder / "settings.json").unlink()
    with pytest.raises(BundleError, match=r"settings\.json cannot be read"):
        replay_verdict(folder, recorded)
