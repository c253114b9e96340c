"""When nobody is promoted whatever the gate says: on probation, and while the guard has paused the bot."""

from __future__ import annotations

import pytest
from nightdesk_retrain import job
from nightdesk_retrain.outcome import Trigger
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import DAY, FakePipeline, champion_of, promoted_beside


def better(parts: JobParts, pipeline: FakePipeline, trigger: Trigger) -> tuple[str, str]:
    """Retrain with a model that the gate would promote; return what was decided, and why."""
    pipeline.daily_edge, pipeline.market_end = pipeline.daily_edge + 0.004, pipeline.market_end + 200 * DAY
    outcome = job.run(parts, trigger=trigger)
    assert outcome.ruling.verdict == "promoted"
    return outcome.decision, outcome.reason


def say_guard(parts: JobParts, guard: str, *, lifetime_seconds: float = 3600.0) -> None:
    """Have the bot's status say how its guard stands."""
    parts.status_file.replace({"trading": {"guard": guard}}, now=parts.clock(), lifetime_seconds=lifetime_seconds)


@pytest.mark.parametrize("trigger", ["schedule", "manual", "model_age"])
def test_on_probation_a_candidate_is_recorded_and_not_promoted(
    trigger: Trigger, parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.004
    on_probation = job.run(parts, trigger="schedule").version
    decision, reason = better(parts, pipeline, trigger)
    assert decision == "kept"
    assert reason == f"every criterion is met, but {on_probation} is on probation: the candidate is recorded"
    assert champion_of(parts) == on_probation


@pytest.mark.parametrize("trigger", ["guard", "expectation"])
def test_what_the_guard_asked_for_replaces_a_model_on_probation(
    trigger: Trigger, parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    pipeline.daily_edge = 0.004
    on_probation = job.run(parts, trigger="schedule").version
    say_guard(parts, "paused")
    assert better(parts, pipeline, trigger)[0] == "promoted"
    assert champion_of(parts) != on_probation


@pytest.mark.parametrize(("guard", "decision"), [("paused", "kept"), ("reduced", "promoted"), ("normal", "promoted")])
def test_while_the_guard_has_paused_the_bot_only_what_it_asked_for_is_promoted(
    guard: str, decision: str, parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    promoted_beside(parts, pipeline)
    say_guard(parts, guard)
    found, reason = better(parts, pipeline, "schedule")
    assert found == decision
    assert ("the guard has paused the bot" in reason) == (guard == "paused")


def test_a_status_that_is_stale_says_nothing_of_the_guard(parts: JobParts, pipeline: FakePipeline, first: str) -> None:
    promoted_beside(parts, pipeline)
    say_guard(parts, "paused", lifetime_seconds=-1.0)
    assert better(parts, pipeline, "schedule")[0] == "promoted"
