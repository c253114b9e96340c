"""What the job leaves as it was: after a failure, beside another run, in a dry run."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.pipeline import DataError, TrainingError
from nightdesk_retrain import job, state
from nightdesk_retrain.job import PublishingError, RetrainBusyError
from nightdesk_retrain.parts import JobParts

from tests.disks import FullDisk
from tests.retrain.conftest import (
    DAY,
    FakePipeline,
    champion_of,
    events,
    files_of,
    promoted_beside,
    status,
)


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
    assert state.load(parts.state_dir).is_due(now=WallTime(0.0), interval_seconds=1.0)
    assert status(parts)["decision"] == "error"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TrainingError("only 3 labelled breakouts"), "only 3 labelled breakouts"),
        (ZeroDivisionError("a bug of its own"), "ZeroDivisionError: a bug of its own"),
    ],
)
def test_known_failure_9_a_failing_strategy_raises_leaves_the_champion_and_is_audited_and_counted(
    error: Exception, said: str, parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    models, success = files_of(parts), state.load(parts.state_dir).last_success
    pipeline.error = error
    for failures in (1, 2):
        with pytest.raises(TrainingError) as raised:
            job.run(parts, trigger="schedule")
        assert raised.value.exit_code == 4
        memory = state.load(parts.state_dir)
        assert (memory.consecutive_failures, memory.last_success) == (failures, success)
    assert files_of(parts) == models
    assert champion_of(parts) == first
    assert events(parts)[-2:] == ["failed", "failed"]
    assert list(parts.audit.entries())[-1].details == {
        "trigger": "schedule",
        "error": said,
        "kind": "TrainingError",
    }
    assert (status(parts)["decision"], status(parts)["reason"]) == ("error", said)
    pipeline.error, pipeline.daily_edge = None, 0.004
    job.run(parts, trigger="schedule")
    assert state.load(parts.state_dir).consecutive_failures == 0


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
    with pytest.raises(PublishingError, match=f"the champion is {first}, not {second}: decide again"):
        job.run(replace(parts, pipeline=meddling), trigger="schedule")
    assert champion_of(parts) == first
    assert events(parts)[-1] == "failed"


@pytest.mark.parametrize(
    ("stage", "failing", "code"),
    [("collect", "collect", 3), ("train", "fit", 4), ("evaluate", "backtest", 4), ("rotate", "publish", 5)],
)
def test_the_exit_code_says_in_which_stage_something_unforeseen_went_wrong(
    stage: str,
    failing: str,
    code: int,
    parts: JobParts,
    pipeline: FakePipeline,
    first: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    owner = parts.registry if stage == "rotate" else pipeline
    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(NightdeskError, match="No space left on device") as raised:
        job.run(parts, trigger="schedule")
    assert raised.value.exit_code == code
    assert isinstance(raised.value.__cause__, OSError)
    assert champion_of(parts) == first
    assert parts.registry.versions() == [first]
    monkeypatch.undo()
    job.run(parts, trigger="schedule")
    assert len(parts.registry.versions()) == 2


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


class AlertsHeard:
    """Stands in for the sender of the job's alerts."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send_alert(self, alertname: str, *, description: str, **_: Any) -> None:
        self.sent.append((alertname, description))


@pytest.mark.parametrize(("stage", "code"), [("the start", 5), ("collect", 4), ("fit", 4), ("backtest", 4)])
def test_known_failure_23_a_full_disk_ends_the_job_with_what_it_means_and_leaves_nothing_half_written(
    stage: str, code: int, parts: JobParts, pipeline: FakePipeline, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, disk = AlertsHeard(), FullDisk()
    pushed: list[bool] = []
    monkeypatch.setattr(job, "publish", lambda report, **_: pushed.append(report.failed))
    parts = replace(parts, alerts=heard)  # type: ignore[arg-type]
    before, models = state.load(parts.state_dir), files_of(parts)
    if stage != "the start":
        real = getattr(pipeline, stage)

        def fills_the_disk(*given: Any, **named: Any) -> Any:
            disk.fill()
            return real(*given, **named)

        monkeypatch.setattr(pipeline, stage, fills_the_disk)
    else:
        disk.fill()
    try:
        with pytest.raises(NightdeskError) as raised:
            job.run(parts, trigger="manual")
    finally:
        disk.make_room()
    assert raised.value.exit_code == code
    assert str(raised.value).startswith("the disk takes nothing (")
    assert "nothing was promoted, and the bot trades on with its champion" in str(raised.value)
    assert [name for name, _ in heard.sent] == ["TradebotDiskUnwritable"]
    assert pushed[-1], "the failure is pushed, which needs no disk"
    assert champion_of(parts) == first
    assert state.load(parts.state_dir).consecutive_failures == before.consecutive_failures
    monkeypatch.undo()
    assert job.run(parts, trigger="manual").decision in ("kept", "promoted")
    assert files_of(parts).items() >= models.items()
