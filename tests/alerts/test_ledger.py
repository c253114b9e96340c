"""The ledger alone, on a clock that a test moves: what holds whatever happens in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_alerts.delivery.backoff import LONGEST_RETRY_AFTER_SECONDS, Backoff
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Kept, Later, Lost, Refused, Reported

from tests.alerts.ledger_desk import AM, DIRECT, Desk


def test_what_holds_is_told_once_and_repeated_every_hour_or_twelve() -> None:
    desk = Desk()
    for _ in range(100):
        desk.send("Grave")
        desk.send("Mild", "warning")
        desk.work()
        desk.pass_time(10, step=10)
    assert desk.heard() == ["Grave firing", "Mild firing"]
    desk.pass_time(24 * 3600, step=60)
    assert desk.heard().count("Grave firing") == 25
    assert desk.heard().count("Mild firing") == 3


def test_a_condition_that_flaps_is_one_message_and_at_last_one_end() -> None:
    desk = Desk()
    for _ in range(200):
        desk.send("X")
        desk.pass_time(5)
        desk.withdraw("X")
        desk.pass_time(5)
    assert desk.heard() == ["X firing"]
    desk.pass_time(1000)
    assert desk.heard() == ["X firing", "X resolved"]


@pytest.mark.parametrize("period", [1, 30, 90, 200, 400, 1000])
def test_however_a_condition_flaps_it_is_no_flood(period: int) -> None:
    desk = Desk()
    for _ in range(24 * 3600 // (2 * period)):
        desk.send("X")
        desk.pass_time(period, step=min(period, 30))
        desk.withdraw("X")
        desk.pass_time(period, step=min(period, 30))
    for hour in range(24):
        heard = [at for at, *_ in desk.told if hour * 3600 <= at < (hour + 1) * 3600]
        assert len(heard) <= 12, hour


def test_kill_resume_kill_leaves_a_person_with_the_truth() -> None:
    desk = Desk()
    desk.send("TradebotKillSwitchActive")
    desk.pass_time(1)
    desk.withdraw("TradebotKillSwitchActive")
    desk.pass_time(1)
    desk.send("TradebotKillSwitchActive")
    desk.pass_time(600)
    assert desk.heard() == ["TradebotKillSwitchActive firing"]


def test_what_was_withdrawn_before_it_went_out_never_does() -> None:
    desk = Desk()
    desk.answers[DIRECT] = Later("down")
    desk.send("X")
    desk.pass_time(5)
    desk.withdraw("X")
    desk.answers.clear()
    desk.pass_time(3600, step=10)
    assert desk.told == []
    assert desk.ledger.entries == {}


def test_one_that_was_on_its_way_when_it_was_withdrawn_is_resolved() -> None:
    desk = Desk()
    desk.send("X")
    job = desk.begin(DIRECT)
    assert job is not None
    desk.withdraw("X")
    desk.ledger.done(job, Delivered(), desk.now)
    desk.pass_time(120)
    assert desk.heard() == ["X resolved"]


def test_the_least_severe_and_oldest_goes_where_the_queue_is_full() -> None:
    desk = Desk(capacity=3)
    desk.answers[DIRECT] = Later("down")
    for name, severity in (("A", "warning"), ("B", "info"), ("C", "critical"), ("D", "critical"), ("E", "info")):
        desk.send(name, severity)
        desk.tick += 1
    assert {entry.alert.name for entry in desk.ledger.entries.values()} == {"A", "C", "D"}
    desk.send("F", "warning")
    assert {entry.alert.name for entry in desk.ledger.entries.values()} == {"C", "D", "F"}
    assert desk.counts["alerts_dropped", "queue_full"] == 3


def test_what_has_been_delivered_makes_room_before_anything_is_lost() -> None:
    desk = Desk(capacity=2)
    desk.send("A")
    desk.work()
    desk.answers[DIRECT] = Later("down")
    desk.send("B")
    desk.send("C", "info")
    assert {entry.alert.name for entry in desk.ledger.entries.values()} == {"B", "C"}
    assert not desk.counts["alerts_dropped", "queue_full"]


def test_what_has_no_end_to_be_told_makes_room_before_what_has() -> None:
    desk = Desk(capacity=2)
    desk.send("A")
    desk.send("Event", lasting=False)
    desk.work()
    desk.send("B")
    desk.work()
    desk.withdraw("A")
    desk.pass_time(120)
    assert desk.heard() == ["A firing", "Event firing", "B firing", "A resolved"]


def test_an_event_that_nobody_takes_in_its_hour_expires() -> None:
    desk = Desk()
    desk.answers[DIRECT] = Later("down")
    desk.send("Event", lasting=False)
    desk.send("Lasting")
    desk.pass_time(2 * 3600, step=10)
    assert desk.counts["alerts_dropped", "expired"] == 1
    desk.answers.clear()
    desk.pass_time(60)
    assert desk.heard() == ["Lasting firing"]


def test_the_same_event_within_a_quarter_of_an_hour_is_one_and_later_another() -> None:
    desk = Desk()
    desk.send("Event", lasting=False)
    desk.pass_time(600)
    desk.send("Event", lasting=False)
    desk.pass_time(600)
    desk.send("Event", lasting=False)
    desk.pass_time(5)
    assert desk.heard() == ["Event firing", "Event firing"]


def test_a_channel_that_refuses_is_asked_again_only_after_the_repeat() -> None:
    desk = Desk()
    desk.answers[DIRECT] = Refused("no")
    desk.send("X")
    desk.pass_time(3000, step=10)
    assert desk.counts["alerts_dropped", "refused"] == 1
    desk.answers.clear()
    desk.pass_time(700, step=10)
    assert desk.heard() == ["X firing"]


def test_what_prometheus_reports_is_asked_about_no_more() -> None:
    desk = Desk(alertmanagers=(AM,))
    desk.answers["check"] = Kept()
    desk.send("TradebotX")
    desk.pass_time(3600, step=1)
    posts = desk.heard(AM)
    # The end stays ahead: a post every quarter of its hour.
    assert len(posts) in (4, 5)
    desk.answers["check"] = Reported()
    desk.pass_time(20)
    desk.answers["check"] = Lost()
    desk.pass_time(24 * 3600, step=30)
    assert desk.heard(AM) == posts
    assert desk.heard() == []


def test_a_condition_that_holds_for_a_week_is_asked_about_all_week() -> None:
    desk = Desk(alertmanagers=(AM,))
    desk.answers["check"] = Kept()
    desk.send("TradebotX")
    desk.pass_time(7 * 86_400, step=15)
    assert len(desk.heard(AM)) >= 600
    assert desk.heard() == []


def test_an_alertmanager_that_vanishes_after_it_told_is_stood_in_for_after_the_repeat() -> None:
    desk = Desk(alertmanagers=(AM,))
    desk.send("TradebotX")
    desk.work()
    desk.answers[AM] = Later("gone")
    desk.answers["check"] = Later("gone")
    desk.answers["post"] = Later("gone")
    desk.pass_time(3500, step=5)
    assert desk.heard() == []
    desk.pass_time(200, step=5)
    assert desk.heard() == ["TradebotX firing"]


def test_a_wait_grows_to_its_limit_and_a_service_s_own_is_kept_and_bounded() -> None:
    backoff = Backoff(longest_seconds=300, jitter=lambda: 1.0)
    assert [backoff.failed(0) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert backoff.failed(100, after_seconds=1e9) == LONGEST_RETRY_AFTER_SECONDS
    assert backoff.ready_at == 100 + LONGEST_RETRY_AFTER_SECONDS
    backoff.succeeded()
    assert Backoff(jitter=lambda: 0.0).failed(0) == 0.5


@pytest.mark.parametrize("away", [0, 5_000])
def test_an_end_that_was_refused_is_told_though_the_bot_was_started_again_meanwhile(away: float) -> None:
    desk = Desk()
    desk.send("A")
    desk.work()
    desk.withdraw("A")
    desk.answers[DIRECT] = Refused("no")
    desk.pass_time(away, step=30)
    after = Desk()
    after.tick = desk.tick
    assert after.ledger.restore(desk.ledger.saved(desk.now), desk.now, settle_seconds=30) == 0
    after.answers[DIRECT] = Refused("no")
    after.pass_time(90)
    after.answers.clear()
    after.pass_time(7200, step=30)
    assert after.heard() == ["A resolved"]
    assert after.ledger.entries == {}


OPERATIONS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from("ABCDE"), st.sampled_from(["critical", "warning", "info"])),
    st.tuples(st.just("event"), st.sampled_from("VWXYZ"), st.just("info")),
    st.tuples(st.just("withdraw"), st.sampled_from("ABCDE"), st.just("")),
    st.tuples(st.just("pass"), st.sampled_from(["1", "30", "700"]), st.just("")),
    st.tuples(st.just("answer"), st.sampled_from(["ok", "later", "refused"]), st.just("")),
    st.tuples(st.just("restart"), st.just(""), st.just("")),
)
ANSWERS: dict[str, DeliveryOutcome] = {"ok": Delivered(), "later": Later("down"), "refused": Refused("no")}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(OPERATIONS, max_size=40),
    st.integers(min_value=1, max_value=6),
    st.booleans(),
)
def test_whatever_happens_the_queue_is_bounded_and_the_truth_comes_out(
    operations: list[tuple[str, str, str]], capacity: int, with_alertmanager: bool
) -> None:
    desk = Desk(alertmanagers=(AM,) if with_alertmanager else (), capacity=capacity)
    desk.answers["check"] = Kept()
    holds: set[tuple[str, str]] = set()
    for kind, what, severity in operations:
        if kind in ("send", "event"):
            desk.send(what, severity, lasting=kind == "send")
            if kind == "send":
                holds.add((what, severity))
        elif kind == "withdraw":
            desk.withdraw(what)
            holds = {each for each in holds if each[0] != what}
        elif kind == "pass":
            desk.pass_time(float(what), step=max(float(what) / 20, 1))
        elif kind == "answer":
            for action in ("post", "tell"):
                desk.answers[action] = ANSWERS[what]
        else:
            saved = desk.ledger.saved(desk.now)
            told, counts, answers, tick = desk.told, desk.counts, desk.answers, desk.tick
            desk = Desk(alertmanagers=(AM,) if with_alertmanager else (), capacity=capacity)
            desk.told, desk.counts, desk.answers, desk.tick = told, counts, answers, tick
            assert desk.ledger.restore(saved, desk.now, settle_seconds=30) == 0
            for name, grade in holds:
                desk.send(name, grade)
        assert len(desk.ledger.entries) <= capacity
        desk.work()
    desk.answers = {"check": Kept()}
    for name, grade in holds:
        desk.send(name, grade)
    desk.pass_time(13 * 3600, step=30)
    last: dict[str, str] = {}
    for _, to, name, status in desk.told:
        if to == DIRECT:
            last[name] = status
    lost = desk.counts["alerts_dropped", "queue_full"]
    if not with_alertmanager and not lost and capacity == 6 and len(holds) <= 5:
        said = {name for name, status in last.items() if status == "firing" and name in "ABCDE"}
        assert said == {name for name, _ in holds}


def test_what_was_saved_is_restored_as_it_was() -> None:
    desk = Desk()
    desk.answers[DIRECT] = Later("down")
    desk.send("X")
    desk.work()
    saved: list[Any] = desk.ledger.saved(desk.now)
    other = Desk()
    other.tick = 100
    assert other.ledger.restore([*saved, {"labels": {}}], other.now, settle_seconds=30) == 1
    other.pass_time(29)
    assert other.told == []
    other.pass_time(2)
    assert other.heard() == ["X firing"]
