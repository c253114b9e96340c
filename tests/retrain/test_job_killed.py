"""The job, killed at every stage and at random lines: nothing is half done or lost, and the next run completes."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from typing import Any

import pytest
from nightdesk_core import audit
from nightdesk_core.audit import AuditHead
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import durable as files
from nightdesk_core.models import bundle, registry, requests
from nightdesk_core.models.bundle import STAGING
from nightdesk_retrain import job, publish, reproduce, rotation, state
from nightdesk_retrain.judgement import evaluate, evidence
from nightdesk_retrain.parts import JobParts

from tests.killing import killed_at
from tests.retrain.conftest import DAY, FakePipeline, champion_of, events, promoted_beside, schedule_of

MODULES = (audit, bundle, evaluate, evidence, files, job, publish, registry, reproduce, requests, rotation, state)
KILLS = int(os.environ.get("NIGHTDESK_JOB_KILLS", "20"))
"""More than `make test` asks for, once in a while."""
LINES = 2_400
"""What a run executes in these modules, about."""
STAGES = ("collect", "train", "evaluate", "gate", "rotate")


@pytest.fixture
def due(parts: JobParts, pipeline: FakePipeline, first: str) -> JobParts:
    """A job that has a champion, was asked for a retrain, and will promote."""
    promoted_beside(parts, pipeline)
    pipeline.daily_edge, pipeline.market_end = 0.008, pipeline.market_end + 200 * DAY
    parts.requests.add("guard", "win rate 0.2", "bot", at=1.0)
    return parts


def check_after_kill(parts: JobParts, before: str) -> None:
    """Check what must hold at any moment, and after the next run."""
    asked = [key for request in parts.requests.pending() for key in request.keys]
    _check_whole(parts)
    assert asked or _answered(parts), "the request is lost"
    promised = [entry.details["version"] for entry in parts.audit.entries() if entry.event == "verdict"][2:]
    # The clock of a fork that was killed has gone on, this one has not.
    for _ in range(100):
        parts.clock()
    # Whatever is left to do, the schedule does not wait a month for it.
    waited = parts.interval_seconds / 29
    assert _is_settled(parts) or schedule_of(parts, clock=lambda: parts.clock() + waited).look()
    outcome = job.run(parts, trigger="schedule")
    assert parts.requests.pending() == []
    assert not list(parts.registry.folder.glob(f"{STAGING}*"))
    _check_whole(parts)
    assert state.load(parts.state_dir).consecutive_failures == 0
    # Either the run that was killed had ruled, and its word was kept; or the next one has, in its place.
    assert _moves(parts)[-1] == champion_of(parts) == (promised[0] if promised else outcome.version) != before
    assert len(_moves(parts)) == 3
    assert (parts.registry.folder / "champion.json").exists()


def _is_settled(parts: JobParts) -> bool:
    """Return whether the run that was killed had done all that counts, and noted that it ended."""
    noted = state.load(parts.state_dir)
    ended = noted.last_completion
    is_over = ended is not None and (noted.last_start is None or ended > noted.last_start)
    return is_over and parts.requests.pending() == []


def _check_whole(parts: JobParts) -> None:
    events(parts)
    assert champion_of(parts) is not None
    for version in parts.registry.versions():
        parts.registry.bundle(version)
    parts.status_file.read()


def _answered(parts: JobParts) -> list[str]:
    verdicts = [entry.details for entry in parts.audit.entries() if entry.event == "verdict"]
    return [key for details in verdicts for key in details["requests"]]


def _moves(parts: JobParts) -> list[str]:
    return [entry.details["version"] for entry in parts.audit.entries() if entry.event == "rotated"]


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage_boundary_it_leaves_all_whole_and_the_next_run_completes(
    stage: str, share: float, due: JobParts
) -> None:
    before = champion_of(due)
    assert before is not None

    def kill(name: str, done: float) -> None:
        if (name, done) == (stage, share):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            job.run(replace(due, progress=kill), trigger="schedule")
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    check_after_kill(due, before)


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_line_it_leaves_all_whole_and_the_next_run_completes(seed: int, due: JobParts) -> None:
    before = champion_of(due)
    assert before is not None
    line = random.Random(seed).randrange(1, LINES)
    killed = killed_at(line, MODULES, lambda: job.run(due, trigger="schedule"))
    if killed:
        check_after_kill(due, before)
    else:
        assert champion_of(due) != before


def test_a_run_has_about_as_many_lines_as_kills_are_drawn_from(due: JobParts) -> None:
    assert not killed_at(LINES * 5 // 4, MODULES, lambda: job.run(due, trigger="schedule"))


def test_a_run_has_no_fewer_lines_than_kills_are_drawn_from(due: JobParts) -> None:
    assert killed_at(LINES * 4 // 5, MODULES, lambda: job.run(due, trigger="schedule"))


def test_a_model_that_was_taken_back_is_not_promoted_by_the_word_of_a_run_that_was_cut_off(
    due: JobParts, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = champion_of(due)
    assert before is not None

    append = due.audit.append

    def but_for_the_move(event: str, *rest: Any, **named: Any) -> AuditHead:
        if event == "rotated":
            raise OSError(28, "No space left on device")
        return append(event, *rest, **named)

    monkeypatch.setattr(due.audit, "append", but_for_the_move)
    with pytest.raises(NightdeskError, match="No space left on device"):
        job.run(due, trigger="schedule")
    monkeypatch.undo()
    taken = champion_of(due)
    assert taken != before
    due.registry.roll_back(str(taken), "a breach")
    pipeline.daily_edge = 0.0
    assert job.run(due, trigger="schedule").decision == "kept"
    assert champion_of(due) == before
