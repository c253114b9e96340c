"""The schedule: it looks often, so it is light, and it says when a retrain is due."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_retrain import state
from nightdesk_retrain.schedule import Schedule
from nightdesk_retrain.state import JobState

from tests.retrain.conftest import DAY, pushed

NOW = 1_571_302_800.0


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Return what is logged, message by message."""
    caught: list[str] = []
    sink = logger.add(lambda message: caught.append(message.record["message"]), level="WARNING")
    yield caught
    logger.remove(sink)


def due(folder: Path, *, now: float = NOW, gateway: str = "") -> bool:
    return Schedule(
        state_dir=folder,
        requests=RetrainRequests(folder, AuditLog(folder / "audit.jsonl")),
        registry=ModelRegistry(folder / "models"),
        bot="schedule",
        gateway=gateway,
        textfile_dir=folder / "metrics",
        interval_seconds=30 * DAY,
        model_age_seconds=90 * DAY,
        clock=lambda: WallTime(now),
    ).look()


def test_looking_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    source = """
import sys
from collections.abc import Iterator
from pathlib import Path
from nightdesk import home
from nightdesk.settings import load
settings = load(Path(sys.argv[1]))
home.retrain_requests(settings).add("manual", "why not", "a test", at=1.0)
assert home.schedule(settings).look()
print(*sorted({"numpy", "pandas", "sklearn", "lightgbm", "numba", "ccxt", "scipy"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", source, str(tmp_path / "nightdesk.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "\n"


def test_a_job_that_never_ran_is_due(tmp_path: Path) -> None:
    assert due(tmp_path / "state")
    assert state.load(tmp_path / "state") == JobState(last_check=WallTime(NOW))


@pytest.mark.parametrize(("age_days", "expected"), [(29.99, False), (30.0, True), (31.0, True)])
def test_it_is_due_an_interval_after_the_last_run_ended(age_days: float, expected: bool, tmp_path: Path) -> None:
    before = state.update(
        tmp_path, last_start=WallTime(1.0), last_completion=WallTime(NOW - age_days * DAY), last_success=WallTime(2.0)
    )
    assert due(tmp_path) is expected
    assert state.load(tmp_path) == JobState(
        WallTime(NOW), before.last_start, before.last_completion, before.last_success
    )


@pytest.mark.parametrize(
    ("failures", "age_days", "expected"),
    [(1, 0.99, False), (1, 1.0, True), (2, 1.0, False), (2, 2.0, True), (9, 29.9, False), (9, 30.0, True)],
)
def test_a_failed_run_is_tried_again_in_a_day_and_then_less_and_less_often(
    failures: int, age_days: float, expected: bool, tmp_path: Path
) -> None:
    state.update(tmp_path, last_completion=WallTime(NOW - age_days * DAY), consecutive_failures=failures)
    assert due(tmp_path) is expected


def test_schedule_and_job_keep_each_other_s_memory(tmp_path: Path) -> None:
    source = """
import sys, pathlib
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_retrain import state
for number in range(200):
    state.update(pathlib.Path(sys.argv[1]), **{sys.argv[2]: WallTime(float(number))})
"""
    fields = ("last_check", "last_completion")
    writers = [subprocess.Popen([sys.executable, "-c", source, str(tmp_path), field]) for field in fields]
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0]
    assert state.load(tmp_path) == JobState(last_check=WallTime(199.0), last_completion=WallTime(199.0))


def test_a_run_that_was_killed_on_its_way_is_due_again(tmp_path: Path) -> None:
    state.update(tmp_path, last_start=WallTime(NOW - DAY))
    assert due(tmp_path)


def test_a_run_whose_clock_was_ten_years_ahead_is_due_again_and_the_log_says_why(
    tmp_path: Path, told: list[str]
) -> None:
    ahead = WallTime(NOW + 3650 * DAY)
    state.update(tmp_path, last_check=ahead, last_start=ahead, last_completion=ahead, last_success=ahead)
    assert due(tmp_path)
    (found,) = [line for line in told if "last_completion" in line]
    assert "last_completion of the retrain job is 2029-10-14T09:00:00Z, which is in the future" in found
    # Once it has run, it is due an interval later, as ever.
    state.update(tmp_path, last_start=WallTime(NOW), last_completion=WallTime(NOW), last_success=WallTime(NOW))
    assert not due(tmp_path, now=NOW + DAY)


def test_a_champion_that_was_trained_in_the_future_is_asked_to_be_replaced_once(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models", clock=lambda: WallTime(NOW + 3650 * DAY))
    sealed = registry.seal(
        registry.stage({"model.txt": b"a model"}),
        strategy="s",
        train_start=MarketTime(0),
        train_end=MarketTime(1),
        last_label_end=MarketTime(1),
        data_end=MarketTime(1),
        data_fingerprint="",
    )
    registry.promote(registry.publish(sealed).version, standing="champion", instead_of=None)
    state.update(tmp_path, last_completion=WallTime(NOW - DAY))
    assert due(tmp_path)
    assert due(tmp_path)
    (request,) = RetrainRequests(tmp_path, AuditLog(tmp_path / "audit.jsonl")).pending()
    assert request.cause == "model_age"
    assert "in the future: nobody knows how old it is" in request.reason


@pytest.mark.parametrize("content", ["{", "[]", '{"colour": 1}'])
def test_a_damaged_memory_counts_as_never_having_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "retrain.json").write_text(content)
    assert due(tmp_path)
    assert state.load(tmp_path).last_check == WallTime(NOW)


def test_every_look_is_pushed(tmp_path: Path, pushgateway: str) -> None:
    for now in (NOW, NOW + DAY):
        due(tmp_path, now=now, gateway=pushgateway)
        found = pushed(pushgateway, "schedule")
        assert found["retrain_last_check_timestamp_seconds"] == now
        assert found["retrain_interval_seconds"] == 30 * DAY
