"""Every evaluation of a candidate is a trial, and every verdict says what is left of its Sharpe ratio."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from nightdesk_core.models.registry import RegistryError
from nightdesk_retrain import job
from nightdesk_retrain.job import PublishingError
from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from nightdesk_retrain.judgement.trials import TrialLedger, cluster_sharpe_ratios
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import DAY, FakePipeline, status


def tried(parts: JobParts) -> list[str]:
    return [trial.version for trial in TrialLedger(parts.state_dir).trials()]


def test_promoted_kept_and_dry_run_are_trials_and_all_outlive_their_bundles(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    versions = [first]
    for edge, dry_run in ((0.004, False), (0.0001, False), (0.003, True)):
        pipeline.daily_edge = edge
        versions.append(job.run(parts, trigger="schedule", dry_run=dry_run).version)
    assert tried(parts) == versions
    assert parts.registry.versions() == sorted(versions[:3])
    parts.registry.remove([versions[2]])
    assert tried(parts) == versions


def test_a_run_that_fails_after_its_evaluation_has_tried(
    parts: JobParts, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RegistryError("no")

    monkeypatch.setattr(parts.registry, "publish", refuse)
    with pytest.raises(PublishingError):
        job.run(parts, trigger="manual", bootstrap=True)
    monkeypatch.undo()
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    # Tried again it is another version and the same model: two trials, of which only one is different.
    assert len(tried(parts)) == 2
    assert (outcome.deflated.trials, outcome.deflated.effective_trials) == (2, 1)


def test_the_verdict_says_what_is_left_of_the_sharpe_ratio(parts: JobParts, pipeline: FakePipeline, first: str) -> None:
    assert status(parts)["deflated_sharpe"]["trials"] == 1
    assert status(parts)["deflated_sharpe"]["benchmark"] == 0.0
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.001
    outcome = job.run(parts, trigger="schedule")
    trials = TrialLedger(parts.state_dir).trials()
    expected = DeflatedSharpe.of(
        # The returns that the bundle holds are those that were judged.
        _returns(parts, outcome.version),
        trials=2,
        cluster_sharpe_ratios=cluster_sharpe_ratios(trials),
    )
    assert outcome.deflated == expected
    assert expected.effective_trials == 2
    assert expected.benchmark > 0
    written = json.loads((parts.registry.bundle(outcome.version) / "evaluation.json").read_text())
    (audited,) = [entry.details for entry in parts.audit.entries() if entry.details.get("version") == outcome.version]
    for record in (written, audited, status(parts)):
        assert record["deflated_sharpe"]["probability"] == expected.probability
        assert record["deflated_sharpe"]["effective_trials"] == 2
    assert "deflated_sharpe" not in [criterion.name for criterion in outcome.ruling.criteria]


def _returns(parts: JobParts, version: str) -> Any:
    import numpy as np
    from nightdesk_retrain.judgement.evidence import read_holdout

    return np.array(read_holdout(parts.registry.bundle(version)).daily_returns)


def test_where_a_minimum_is_set_it_is_a_criterion(parts: JobParts, pipeline: FakePipeline, first: str) -> None:
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.0025
    strict = replace(parts, retrain=parts.retrain.model_copy(update={"min_deflated_sharpe": 0.9999}))
    outcome = job.run(strict, trigger="schedule")
    assert outcome.decision == "kept"
    assert outcome.reason.startswith("deflated_sharpe 0.")
    assert outcome.reason.endswith(" is not at least 0.9999")
    assert job.run(parts, trigger="schedule").decision == "promoted"
