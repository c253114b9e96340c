"""The kill switch's self-test: it passes where all is well, and notices each thing that is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_guard import KillLimits, KillSwitch, KillSwitchState, Resume, ResumeFile, Tripwire, drill, tripwire

LIMITS = KillLimits()


@pytest.mark.parametrize(
    "limits", [LIMITS, KillLimits(floor_drawdown=0.02, daily_loss=0.9, leverage=0.1, stale_seconds=5.0)]
)
def test_where_all_is_well_it_says_nothing_and_leaves_nothing(limits: KillLimits, tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    switch.activate("a real one", actor="ann")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drill(tmp_path, limits) == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_drill_that_was_killed_left_is_removed_and_one_that_goes_on_is_let_be(tmp_path: Path) -> None:
    for name, age_seconds in ((".drill-killed", 7200), (".drill-running", 60)):
        (tmp_path / name / "floor").mkdir(parents=True)
        at = time.time() - age_seconds
        os.utime(tmp_path / name, (at, at))
    assert drill(tmp_path, LIMITS) == ""
    assert [path.name for path in tmp_path.iterdir()] == [".drill-running"]


def test_a_bot_that_does_not_obey_fails_it(tmp_path: Path) -> None:
    assert drill(tmp_path, LIMITS, acts=lambda: "an entry was not blocked") == "an entry was not blocked"


def test_a_limit_that_trips_nothing_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tripwire, "trips", lambda *_, **__: None)
    said = drill(tmp_path, LIMITS)
    assert said == "; ".join(
        f"it did not trip for {what}" for what in ("the floor", "a daily loss", "leverage", "a stale price")
    )


def test_a_latch_that_does_not_hold_on_the_disk_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        KillSwitch, "activate", lambda *_, **__: KillSwitchState(True, "only said", "guard", WallTime(0.0), 1)
    )
    said = drill(tmp_path, LIMITS)
    assert said.count("it did not trip for") == 6


def test_a_folder_that_cannot_be_written_fails_it(tmp_path: Path) -> None:
    assert drill(tmp_path / "absent", LIMITS).startswith("the self-test failed: FileNotFoundError(")


def test_one_that_trips_for_nothing_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Tripwire.look

    def jumpy(wire: Tripwire, view: object) -> KillSwitchState:
        wire.trip("for nothing", positions="keep")
        return look(wire, view)  # type: ignore[arg-type]

    monkeypatch.setattr(Tripwire, "look", jumpy)
    assert "it tripped for nothing" in drill(tmp_path, LIMITS)


def test_words_that_let_the_guard_climb_are_counted_by_the_clock_also_where_the_file_was_lost(tmp_path: Path) -> None:
    times = iter((100.0, 100.4, 200.0, 50.0))
    words = ResumeFile(tmp_path, clock=lambda: WallTime(next(times)))
    assert words.last() is None
    assert words.give("  it looks well ", actor="ann") == Resume(100, "it looks well", "ann")
    assert words.give("again", actor="ann").number == 101
    words.path.write_text("{")
    assert words.last() is None
    assert words.give("after the damage", actor="ann").number == 200
    assert words.give("a clock that was set back", actor="ann").number == 201
    assert words.last() == Resume(201, "a clock that was set back", "ann")


@pytest.mark.parametrize("content", ["[]", '{"number": "1", "reason": "a", "actor": "b"}', '{"number": 1}'])
def test_a_word_that_cannot_be_understood_is_none(content: str, tmp_path: Path) -> None:
    words = ResumeFile(tmp_path)
    words.path.write_text(content)
    assert words.last() is None
