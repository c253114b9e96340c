"""The job and what asked for it: a verdict answers requests, exactly once, and nothing else does."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core import audit
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.models import requests
from nightdesk_core.models.pipeline import TrainingError
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequest, RetrainRequests
from nightdesk_retrain import job, state
from nightdesk_retrain.parts import JobParts

from tests.killing import killed_at
from tests.retrain.conftest import DAY, FakePipeline, champion_of, pushed, schedule_of, status


def ask(parts: JobParts, cause: Any = "guard", *, at: float = 1.0) -> RetrainRequest:
    request = parts.requests.add(cause, f"because of {cause}", "bot", at=at)
    assert request is not None
    return request


def answered(log: AuditLog) -> list[str]:
    """Return the keys that verdicts list, each as often as it is listed."""
    log.verify()
    return [key for entry in log.entries() if entry.event == "verdict" for key in entry.details["requests"]]


@pytest.fixture
def quiet(parts: JobParts, first: str) -> JobParts:
    """A job that has just run and has a champion, so that nothing but a request makes it due."""
    assert not schedule_of(parts).look()
    return parts


def test_a_request_makes_a_retrain_due_and_its_verdict_ends_that(quiet: JobParts) -> None:
    request = ask(quiet)
    assert schedule_of(quiet).look()
    outcome = job.run(quiet, trigger="schedule")
    assert outcome.requests == (request.key,)
    assert not schedule_of(quiet).look()
    assert quiet.requests.pending() == []
    assert status(quiet)["requests"] == [request.key]


@pytest.mark.parametrize("cause", ["guard", "expectation", "model_age", "manual"])
def test_the_trigger_of_a_scheduled_run_is_the_cause_that_waited_longest(
    cause: Any, quiet: JobParts, pushgateway: str
) -> None:
    ask(quiet, cause)
    ask(quiet, "guard" if cause != "guard" else "manual", at=2.0)
    pushing = replace(quiet, gateway=pushgateway, bot=f"requested-{cause}")
    outcome = job.run(pushing, trigger="schedule")
    assert outcome.trigger == status(pushing)["trigger"] == cause
    assert pushed(pushgateway, pushing.bot)[f'retrain_trigger{{tradebot_retrain_trigger="{cause}"}}'] == 1


def test_a_run_by_hand_answers_every_request_and_is_still_one_by_hand(quiet: JobParts) -> None:
    asked = [ask(quiet, cause).key for cause in ("guard", "expectation", "manual")]
    assert job.run(quiet, trigger="manual").trigger == "manual"
    assert answered(quiet.audit) == asked


def test_a_request_never_skips_the_gate(quiet: JobParts, pipeline: FakePipeline, first: str) -> None:
    ask(quiet, "manual")
    pipeline.daily_edge = 0.0019
    outcome = job.run(quiet, trigger="schedule")
    assert (outcome.decision, outcome.trigger) == ("kept", "manual")
    assert champion_of(quiet) == first
    assert quiet.requests.pending() == []


def test_what_is_asked_for_while_it_runs_stays_pending(quiet: JobParts, pipeline: FakePipeline) -> None:
    before = ask(quiet, at=1.0)

    class Asked(FakePipeline):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            ask(quiet, at=2.0)
            ask(quiet, "manual")
            return super().fit(*args, **kwargs)

    outcome = job.run(replace(quiet, pipeline=Asked()), trigger="schedule")
    assert outcome.requests == (before.key,)
    assert [(request.cause, request.count) for request in quiet.requests.pending()] == [("guard", 1), ("manual", 1)]
    assert schedule_of(quiet).look()


def test_a_dry_run_answers_nothing(quiet: JobParts) -> None:
    request = ask(quiet)
    assert job.run(quiet, trigger="manual", dry_run=True).requests == ()
    assert quiet.requests.pending() == [request]


def test_a_failed_run_answers_nothing_and_its_request_waits_as_long_as_any_other_retry(
    quiet: JobParts, pipeline: FakePipeline
) -> None:
    request = ask(quiet)
    pipeline.error = TrainingError("no model")
    for failures, wait_days in ((1, 1), (2, 2), (3, 4)):
        with pytest.raises(TrainingError):
            job.run(quiet, trigger="schedule")
        memory = state.load(quiet.state_dir)
        assert memory.consecutive_failures == failures
        assert memory.last_completion is not None
        for days, due in ((wait_days - 0.01, False), (wait_days, True)):
            later = memory.last_completion + days * DAY
            assert schedule_of(quiet, clock=lambda later=later: later).look() is due
    assert list(quiet.audit.entries())[-1].details["trigger"] == "guard"
    assert quiet.requests.pending() == [request]


def test_a_run_that_was_killed_is_not_begun_again_at_every_look(quiet: JobParts) -> None:
    ask(quiet)
    started = quiet.clock()
    state.update(quiet.state_dir, last_start=started)
    assert not schedule_of(quiet, clock=lambda: started + 0.99 * DAY).look()
    assert schedule_of(quiet, clock=lambda: started + DAY).look()


@pytest.mark.parametrize("damaged", ["audit.jsonl", "champion.json"])
def test_what_cannot_be_read_puts_no_scheduled_retrain_off(damaged: str, quiet: JobParts) -> None:
    ask(quiet)
    folder = quiet.registry.folder if damaged == "champion.json" else quiet.state_dir
    with (folder / damaged).open("a") as file:
        file.write("[]\n")
    assert not schedule_of(quiet).look()
    memory = state.load(quiet.state_dir)
    assert memory.last_completion is not None
    later = memory.last_completion + 30 * DAY
    assert schedule_of(quiet, clock=lambda: later).look()


def test_a_run_that_cannot_read_what_was_asked_for_fails_and_is_counted(quiet: JobParts) -> None:
    ask(quiet)
    with quiet.audit.path.open("a") as file:
        file.write("[]\n")
    with pytest.raises(audit.AuditError):
        job.run(quiet, trigger="manual")
    assert state.load(quiet.state_dir).consecutive_failures == 1
    assert status(quiet)["decision"] == "error"


def test_a_champion_past_its_age_is_asked_about_once_for_every_time_the_limit_passes(
    quiet: JobParts, first: str
) -> None:
    trained_at = quiet.registry.manifests()[0].trained_at

    def look_after(days: float) -> list[str]:
        def clock() -> WallTime:
            return trained_at + days * DAY

        asking = RetrainRequests(quiet.state_dir, quiet.audit, clock=clock)
        schedule_of(quiet, requests=asking, clock=clock).look()
        return [request.newest_reason for request in quiet.requests.pending()]

    assert look_after(89.99) == []
    said = f"{first} was trained at 2019-10-17T09:00:"
    for days in (90.0, 95.0):
        (reason,) = look_after(days)
        assert reason.startswith(said)
        assert reason.endswith("the age limit of 90 days has passed")
    assert job.run(quiet, trigger="schedule").trigger == "model_age"
    assert look_after(179.99) == []
    (reason,) = look_after(180.0)
    assert reason.endswith("2 times the age limit of 90 days has passed")


def test_killed_at_any_third_line_of_its_record_a_verdict_answers_exactly_once(
    quiet: JobParts, pipeline: FakePipeline, tmp_path: Path
) -> None:
    request = ask(quiet)
    answers: set[int] = set()
    for line in itertools.count(1, 3):
        home = tmp_path / f"killed-{line}"
        shutil.copytree(quiet.state_dir, home)
        shutil.copytree(quiet.registry.folder, home / "models")
        log = AuditLog(home / "audit.jsonl", clock=quiet.clock)
        parts = replace(
            quiet,
            state_dir=home,
            audit=log,
            requests=RetrainRequests(home, log, clock=quiet.clock),
            registry=ModelRegistry(home / "models", clock=quiet.clock),
        )
        killed = killed_at(line, (audit, requests), partial(job.run, parts, trigger="schedule"))
        listed = answered(log)
        answers.add(len(listed))
        assert [found.key for found in parts.requests.pending()] == [request.key] * (1 - len(listed))
        if not killed:
            break
        if not listed:
            # The fork's clock did not move this one: the same model twice in a second would be refused.
            pipeline.daily_edge += 1e-9
            job.run(parts, trigger="schedule")
            assert answered(log) == [request.key]
        assert parts.requests.pending() == []
    assert answers == {0, 1}, "some kills came before the verdict was recorded and some after"
