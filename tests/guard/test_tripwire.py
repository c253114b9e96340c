"""What trips the kill switch by itself, and that it fails closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files import stored
from nightdesk_guard import AccountView, Anchors, KillLimits, KillSwitch, KillSwitchState, Tripwire
from nightdesk_guard.tripwire import trips

DAY = 86_400
NOW = 20_000 * DAY + 3600.0
LIMITS = KillLimits(floor_drawdown=0.20, daily_loss=0.05, leverage=2.5, stale_seconds=1800.0)
CALM = AccountView(equity=1000.0, leverage=1.0, market_time=MarketTime(NOW))


class Desk:
    """A tripwire, and the account that it looks at."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.switch = KillSwitch(folder, clock=lambda: WallTime(self.now))
        self.wire = self.restarted()
        self.view = CALM

    def restarted(self, anchors: Anchors | None = None) -> Tripwire:
        self.wire = Tripwire(self.switch, LIMITS, anchors=anchors, clock=lambda: WallTime(self.now))
        return self.wire

    def see(self, **changes: Any) -> KillSwitchState:
        """Look at the account with something changed."""
        self.view = replace(self.view, **changes)
        return self.wire.look(lambda: self.view)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


@pytest.mark.parametrize(
    ("steps", "reason", "positions"),
    [
        (
            [
                {"equity": 955.0, "market_time": MarketTime(NOW + DAY)},
                {"equity": 800.0, "market_time": MarketTime(NOW + 2 * DAY)},
            ],
            "drawdown 20.00% reaches the floor of 20.00%",
            "close",
        ),
        ([{"equity": 949.9}], "daily loss 5.01% is above 5.00%", "close"),
        ([{"leverage": 2.51}], "leverage 2.51 is above 2.50", "close"),
        (
            [{"priced_at": WallTime(NOW - 1801)}],
            "a position is open and its price is 1801 s old, the limit is 1800 s",
            "keep",
        ),
    ],
)
def test_it_trips_at_each_limit_and_closes_positions_only_at_prices_it_can_trust(
    steps: list[dict[str, Any]], reason: str, positions: str, desk: Desk
) -> None:
    assert not desk.see().active
    for step in steps[:-1]:
        assert not desk.see(**step).active
    state = desk.see(**steps[-1])
    assert (state.active, state.reason, state.actor, state.positions) == (True, reason, "guard", positions)
    assert KillSwitch(desk.switch.path.parent).state() == state


@pytest.mark.parametrize(
    "step",
    [{"equity": 950.0}, {"leverage": 2.5}, {"priced_at": WallTime(NOW - 1800)}, {"priced_at": None, "equity": 951.0}],
)
def test_beside_each_limit_it_does_not(step: dict[str, Any], desk: Desk) -> None:
    desk.see()
    assert not desk.see(**step).active


def test_a_day_s_loss_is_reckoned_from_its_own_midnight(desk: Desk) -> None:
    desk.see()
    assert not desk.see(equity=960.0).active
    assert not desk.see(equity=915.0, market_time=MarketTime(NOW + DAY)).active
    assert desk.see(equity=869.0).active


def test_a_lift_measures_anew_or_it_would_trip_again_at_once(desk: Desk) -> None:
    desk.see()
    assert desk.see(equity=700.0).active
    assert desk.see(equity=650.0).active
    desk.switch.resume("it was a bad day", actor="ann")
    assert not desk.see(equity=650.0).active
    assert not desk.see(equity=620.0).active
    assert desk.see(equity=520.0).active


def test_a_latch_that_is_deleted_is_no_word_to_measure_anew(desk: Desk) -> None:
    desk.see()
    desk.switch.activate("a test", actor="ann")
    desk.switch.resume("it is over", actor="ann")
    desk.see()
    desk.see(equity=955.0, market_time=MarketTime(NOW + DAY))
    desk.switch.path.unlink()
    desk.see(equity=920.0, market_time=MarketTime(NOW + 2 * DAY))
    assert desk.see(equity=800.0, market_time=MarketTime(NOW + 3 * DAY)).reason.startswith("drawdown 20.00%")


def test_falls_go_on_being_measured_from_before_a_restart(desk: Desk) -> None:
    desk.see()
    desk.see(equity=850.0, market_time=MarketTime(NOW + DAY))
    desk.restarted(stored.from_plain(Anchors, stored.plain(desk.wire.anchors), source="a test"))
    assert desk.see(equity=800.0, market_time=MarketTime(NOW + 2 * DAY)).reason.startswith("drawdown 20.00%")


def blind() -> AccountView:
    raise ZeroDivisionError("no equity")


def nonsense() -> AccountView:
    return replace(CALM, equity=float("nan"))


@pytest.mark.parametrize("view", [blind, nonsense])
def test_where_it_cannot_be_evaluated_it_trips_and_keeps_positions(view: Callable[[], AccountView], desk: Desk) -> None:
    state = desk.wire.look(view)
    assert (state.active, state.positions) == (True, "keep")
    assert state.reason.startswith("the kill switch could not be evaluated (")


def test_what_the_disk_does_not_take_it_holds_in_memory_until_it_does(desk: Desk) -> None:
    desk.see()
    desk.switch.path.parent.mkdir()
    lock = desk.switch.path.with_suffix(".lock")
    lock.mkdir()  # no file can be opened there
    held = desk.see(equity=700.0)
    assert (held.active, held.activations) == (True, 1)
    assert not desk.switch.state().active
    assert desk.wire.state() == held
    assert desk.see(equity=1000.0).active, "that the account recovers lifts nothing"
    lock.rmdir()
    assert desk.see().active
    assert desk.switch.state().active
    desk.switch.resume("the disk was full", actor="ann")
    assert not desk.see().active


def test_a_file_kill_is_latched_and_closes_as_the_settings_say(desk: Desk) -> None:
    desk.see()
    desk.switch.path.parent.mkdir()
    desk.switch.kill_file.write_text("  the house is on fire\n")
    assert desk.switch.state().active, "active before anybody has latched it"
    state = desk.see()
    assert (state.reason, state.actor, state.positions) == ("the house is on fire", "file", "close")
    desk.switch.kill_file.unlink()
    assert desk.see() == state, "it is latched"
    desk.switch.kill_file.touch()
    assert not desk.switch.resume("it was put out", actor="ann").active
    assert not desk.switch.kill_file.exists()
    assert not desk.see().active


def test_an_empty_file_kill_says_that_it_is_one(desk: Desk) -> None:
    desk.see()
    desk.switch.path.parent.mkdir()
    desk.switch.kill_file.touch()
    assert desk.see().reason == "the file KILL was put into state"


def test_a_latch_that_is_lost_or_restored_from_before_comes_back(desk: Desk) -> None:
    desk.see()
    desk.switch.activate("first", actor="ann")
    desk.switch.resume("fine", actor="ann")
    backup = desk.switch.path.read_bytes()
    last = desk.switch.activate("the exchange is broken", actor="ann", positions="close")
    desk.switch.path.write_bytes(backup)
    desk.restarted().remember(last)
    found = desk.see()
    assert (found.active, found.positions) == (True, "close")
    assert found.reason == "its latch was lost or restored from before: the exchange is broken"
    desk.switch.path.unlink()
    desk.restarted().remember(last)
    assert desk.see().active


def test_a_latch_that_somebody_lifted_while_the_bot_was_down_stays_lifted(desk: Desk) -> None:
    last = desk.switch.activate("a test", actor="ann")
    desk.switch.resume("it is over", actor="ann")
    desk.restarted().remember(last)
    assert not desk.see().active


def test_positions_that_were_kept_can_still_be_closed(desk: Desk) -> None:
    desk.see(priced_at=WallTime(NOW - 2000))
    state = desk.switch.activate("now close them", actor="ann", positions="close")
    assert (state.positions, state.activations) == ("close", 1)
    assert state.reason.startswith("a position is open"), "the first reason stays"
    assert desk.switch.activate("keep them", actor="ann", positions="keep") == state


@given(
    equities=st.lists(st.floats(0.01, 5000.0), min_size=1, max_size=30),
    hours=st.lists(st.integers(0, 30), min_size=30, max_size=30),
)
def test_over_any_path_it_trips_exactly_where_a_limit_is_crossed(equities: list[float], hours: list[int]) -> None:
    anchors, switch, time = Anchors(), KillSwitchState(active=False), NOW
    peak, day, day_start = 0.0, 0, 0.0
    for equity, passed in zip(equities, hours, strict=False):
        time += passed * 3600
        view = AccountView(equity, 0.0, MarketTime(time))
        anchors = anchors.after(view, switch)
        if int(time // DAY) != day:
            day, day_start = int(time // DAY), equity
        peak = max(peak, equity)
        wanted = equity <= 0.8 * peak or equity < 0.95 * day_start
        assert (trips(view, anchors, LIMITS, now=WallTime(time)) is not None) == wanted
