"""A stamp in the future, in each record that outlives a run or a clock: it is told, and it mutes nothing."""

from __future__ import annotations

import ast
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_alerts.catalogue.declaration import AlertRule
from nightdesk_alerts.catalogue.plumbing import STAMP_IN_FUTURE
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_exporter import BotExporter, StatusFile, is_stale
from nightdesk_exporter.health.issues import Verdict
from nightdesk_guard import AccountView, Anchors, KillLimits
from nightdesk_guard.tripwire import trips
from nightdesk_retrain.state import JobState

from tests.alerts.ledger_desk import WALL, Desk
from tests.campaigns import SEED, cases
from tests.conftest import CHECKOUT
from tests.exporter.conftest import BTC, NOW, Clock, make, tell_everything

DAY = 86_400.0
STAMPS = {
    "heartbeat_at_wall": "loop_stalled",
    "contact_at_wall": "exchange_disconnected",
    "candles_wall_and_market": "candle_stale",
    "equity_at_wall": "snapshot_stale",
    "status_written_at": "status_file_stale",
    "last_trade_at": "no_trades",
    "model": "model_stale",
    "started_at": "",
    "decided_at_wall": "",
}
"""What a stamp in the future must not hide, where a limit has passed since the bot's start."""

ahead = st.floats(61, 20 * 365 * DAY)
tried = settings(max_examples=cases(sample=20, campaign=2_000), deadline=None, derandomize=False)


def told(exporter: BotExporter) -> set[str]:
    return {issue.name for issue in exporter.health().issues}


def with_stamp(exporter: BotExporter, name: str, at: float) -> None:
    snapshot = exporter.snapshot
    values: dict[str, Any] = {
        "contact_at_wall": dict.fromkeys(snapshot.contact_at_wall, at),
        "candles_wall_and_market": {(BTC, "1h"): (at, NOW)},
        "decided_at_wall": {BTC: at},
        "model": snapshot.model and replace(snapshot.model, trained_at=WallTime(at)),
    }
    setattr(snapshot, name, values.get(name, at if name.endswith("_wall") else WallTime(at)))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", STAMPS)
@given(offset=ahead)
@tried
def test_a_stamp_of_the_bot_in_the_future_is_told_and_hides_no_stall(name: str, offset: float) -> None:
    clock = Clock()
    exporter = make(clock)
    tell_everything(exporter)
    clock.now += 60 * DAY  # since when nothing has happened: everything is late
    with_stamp(exporter, name, clock.now + offset)
    found = told(exporter)
    assert "stamp_in_future" in found, f"seed {SEED}"
    assert STAMPS[name] in found or not STAMPS[name]
    assert exporter.health().verdict is Verdict.UNHEALTHY


def test_a_clock_that_is_set_back_by_an_hour_hides_no_stall_for_that_hour() -> None:
    clock = Clock()
    exporter = make(clock)
    tell_everything(exporter)
    assert "loop_stalled" not in told(exporter)
    clock.now -= 3600
    assert {"loop_stalled", "exchange_disconnected", "candle_stale", "stamp_in_future"} <= told(exporter)
    exporter.heartbeat()
    assert "loop_stalled" not in told(exporter)


def test_the_alert_about_it_is_a_warning_and_names_the_stamp_that_lies_farthest_ahead() -> None:
    clock = Clock()
    exporter = make(clock)
    tell_everything(exporter)
    exporter.snapshot.last_trade_at = WallTime(NOW + 7200)
    exporter.snapshot.decided_at_wall[BTC] = NOW + 61
    (issue,) = [each for each in exporter.health().issues if each.name == "stamp_in_future"]
    assert issue.alert == AlertRule(STAMP_IN_FUTURE, "warning")
    assert issue.cause == "the last trade is 2019-10-17T11:00:00Z, 7200 s ahead of the clock, and 1 more"
    exporter.snapshot.last_trade_at = WallTime(NOW + 60)
    exporter.snapshot.decided_at_wall[BTC] = NOW + 60
    assert "stamp_in_future" not in told(exporter)


@pytest.mark.fuzz
@given(offset=ahead, failures=st.integers(0, 9), requested=st.booleans(), started=st.booleans())
@tried
def test_a_job_that_ran_with_its_clock_ahead_is_due_and_says_so(
    offset: float, failures: int, requested: bool, started: bool
) -> None:
    now = WallTime(NOW)
    end = now - DAY if started else now + offset
    state = JobState(last_start=now + offset, last_completion=end, consecutive_failures=failures)
    assert state.is_due(now=now, interval_seconds=30 * DAY, requested=requested)
    assert "last_start" in state.ahead(now)
    assert JobState(last_completion=now - DAY).ahead(now) == {}


@pytest.mark.fuzz
@given(offset=ahead)
@tried
def test_a_verdict_in_the_future_keeps_no_request_from_being_heard(offset: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, now = Path(name), NOW + offset

        def clock() -> WallTime:
            return WallTime(now)

        log = AuditLog(folder / "audit.jsonl", clock=clock)
        requests = RetrainRequests(folder, log, clock=clock)
        first = requests.add("guard", "a pause", "bot", at=1.0)
        assert first is not None
        log.append("verdict", {"requests": list(first.keys)}, actor="retrain")
        now = NOW
        assert requests.add("guard", "another pause", "bot", at=2.0) is not None


@pytest.mark.fuzz
@given(offset=ahead, lasting=st.booleans(), delivered=st.booleans())
@tried
def test_an_alert_that_was_kept_with_a_clock_ahead_is_told_and_ends_in_its_time(
    offset: float, lasting: bool, delivered: bool
) -> None:
    before = Desk()
    before.tick = offset
    before.send("X", lasting=lasting)
    if delivered:
        before.work()
    after = Desk()
    after.ledger.restore(before.ledger.saved(before.now), after.now, settle_seconds=0)
    after.send("X", lasting=lasting)
    job = after.begin("discord")
    alert = job.notification.alert if job else next(iter(after.ledger.entries.values())).alert
    assert job is not None or delivered
    assert alert.starts_at <= after.now.wall < alert.ends_at <= after.now.wall + 3601


def test_an_alert_that_holds_while_the_clock_is_set_back_does_not_end_before_it_begins() -> None:
    desk = Desk()
    desk.send("X")
    desk.ledger.entries = {
        key: replace(entry, alert=replace(entry.alert, starts_at=WALL + 7200, ends_at=WALL + 10_800))
        for key, entry in desk.ledger.entries.items()
    }
    job = desk.begin("discord")
    assert job is not None
    assert job.notification.alert.starts_at <= desk.now.wall < job.notification.alert.ends_at


@pytest.mark.fuzz
@given(offset=ahead)
@tried
def test_a_section_of_the_status_file_from_the_future_is_stale(offset: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = StatusFile(Path(name) / "bot_status.json")
        file.replace({"trading": {"guard": "paused"}}, now=WallTime(NOW + offset), lifetime_seconds=600)
        assert is_stale(file.read()["trading"], now=WallTime(NOW))
        file.replace({"trading": {"guard": "paused"}}, now=WallTime(NOW), lifetime_seconds=600)
        assert not is_stale(file.read()["trading"], now=WallTime(NOW))
    assert is_stale({}, now=WallTime(NOW))


@pytest.mark.fuzz
@given(offset=st.floats(1801, 20 * 365 * DAY))
@tried
def test_an_open_position_whose_price_lies_in_the_future_trips_the_kill_switch(offset: float) -> None:
    limits = KillLimits(floor_drawdown=0.20, daily_loss=0.05, leverage=2.5, stale_seconds=1800.0)
    view = AccountView(1000.0, 1.0, MarketTime(NOW), WallTime(NOW + offset))
    found = trips(view, Anchors(), limits, now=WallTime(NOW))
    assert found is not None
    assert "s ahead of the clock" in found[0]
    assert trips(replace(view, priced_at=WallTime(NOW + 1700)), Anchors(), limits, now=WallTime(NOW)) is None


AGE = re.compile(r"\b(now|clock\(\))$")
EXCUSED = {
    ("alerts/nightdesk_alerts/catalogue/plumbing.py", "find"): "a failure in the future has failed all the same",
    ("alerts/nightdesk_alerts/catalogue/plumbing.py", "_trouble"): "the same",
    (
        "alerts/nightdesk_alerts/catalogue/plumbing.py",
        "_called_wrongly",
    ): "a failure in the future has failed all the same",
    ("alerts/nightdesk_alerts/catalogue/candles.py", "_rejected"): "a candle was rejected in the future all the same",
    ("desk/nightdesk/pages/access.py", "redeem"): "what was spent in the future stays spent",
    ("alerts/nightdesk_alerts/catalogue/model.py", "_stale"): "after the look whether it lies ahead",
    ("retrain/nightdesk_retrain/schedule.py", "_ask_where_the_champion_is_old"): "after the look whether it lies ahead",
    ("trendbot/nightdesk_trendbot/live/probation.py", "_take_back"): "a moment before, no age",
    ("trendbot/nightdesk_trendbot/live/report.py", "recent_trades"): "a moment before, no age",
    (
        "core/nightdesk_core/models/registry.py",
        "superfluous",
    ): "a bundle from the future is kept: the safe side",
    ("guard/nightdesk_guard/self_test.py", "_attempts"): "makes a stamp that is too old, for the self-test",
    ("desk/nightdesk/check/exchange.py", "_ask"): "a request's duration",
    ("trendbot/nightdesk_trendbot/live/bot.py", "_begin"): "of the market's clock, and a wait",
    ("trendbot/nightdesk_trendbot/market/clock.py", "age"): "of the market's clock, and never negative",
}
"""Where a time is taken from now by hand, and why that is right."""
ROOMS = ("core", "alerts", "exporter", "guard", "retrain", "trendbot", "desk")


def _by_hand(file: Path) -> set[str]:
    """Return the functions of a module that subtract a time from now without asking for its age."""
    functions = [
        each
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and "monotonic" not in ast.unparse(each)
    ]
    return {
        function.name
        for function in functions
        for each in ast.walk(function)
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub) and AGE.search(ast.unparse(each.left))
    }


def test_an_age_is_asked_for_and_nowhere_reckoned_by_hand() -> None:
    found = {
        (str(file.relative_to(CHECKOUT)), name)
        for room in ROOMS
        for file in sorted((CHECKOUT / room).rglob("*.py"))
        if file.name != "age.py" and "/web/" not in str(file)
        for name in _by_hand(file)
    }
    assert found - EXCUSED.keys() == set()
