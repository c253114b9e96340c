"""How a run compares candidate and champion: with which confidence, and what it tells of it."""

from __future__ import annotations

from nightdesk_retrain import job
from nightdesk_retrain.outcome import RetrainOutcome
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import DAY, FakePipeline, events, promoted_beside, rotating, status


def bound_of(outcome: RetrainOutcome) -> tuple[float, str]:
    """Return the lower bound, and how its criterion reads."""
    criterion = next(item for item in outcome.ruling.criteria if item.name == "sharpe_difference_lower_bound")
    assert criterion.value is not None
    return criterion.value, criterion.wording


def test_past_its_full_age_limit_a_champion_is_held_to_less_confidence(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    promoted_beside(parts, pipeline)
    pipeline.daily_edge, pipeline.market_end = 0.0041, pipeline.market_end + 200 * DAY
    young = job.run(parts, trigger="schedule", dry_run=True)
    # The clock moves a second at each look: a model is past an age limit of a millisecond at once.
    old = job.run(rotating(parts, max_model_age_days=1e-8), trigger="schedule", dry_run=True)
    assert young.comparison is not None
    assert old.comparison is not None
    assert (young.comparison.past_age, old.comparison.past_age) == (False, True)
    assert bound_of(young)[1] == "above -0.5 with 95% confidence"
    assert "past its age limit" in bound_of(old)[1]
    assert bound_of(old)[0] > bound_of(young)[0]


def test_the_probability_that_the_candidate_is_better_is_in_audit_log_and_status_file(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    assert status(parts)["outperformance_probability"] is None
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.0021
    outcome = job.run(parts, trigger="schedule")
    assert outcome.comparison is not None
    assert outcome.comparison.sharpe is not None
    probability = outcome.comparison.sharpe.probability
    assert probability is not None
    assert probability > 0.99
    assert status(parts)["outperformance_probability"] == probability
    recorded = [entry for entry in parts.audit.entries() if entry.event == "verdict"][-1]
    assert recorded.details["outperformance_probability"] == probability
    assert events(parts).count("verdict") == 2
