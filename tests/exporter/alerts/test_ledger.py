"""The ledger alone, on a clock that a test moves: what holds whatever happens in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_exporter.alerts.alert import Alert, condition_of, new_alert
from nightdesk_exporter.alerts.ledger import Job, Ledger, Now
from nightdesk_exporter.alerts.outcome import Delivered, Kept, Later, Lost, Outcome, Refused, Reported
from nightdesk_exporter.alerts.pace import LONGEST_RETRY_AFTER_SECONDS, Pace

WALL = 1_800_000_000.0
DIRECT, AM = "discord", "alertmanager"


class Desk:
    """A ledger, its clock, and how its jobs end."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = (), capacity: int = 256) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.tick = 0.0
        self.destinations = (*alertmanagers, DIRECT)
        self.told: list[tuple[float, str, str, str]] = []
        self.severities: list[str] = []
        self.descriptions: list[str] = []
        """Of what the direct channel was told that fires."""
        self.answers: dict[str, Outcome] = {}
        self.ledger = Ledger(
            alertmanagers=alertmanagers,
            direct=(DIRECT,),
            fallback_seconds=10,
            capacity=capacity,
            count=lambda *key: self.counts.update([key]),
        )

    @property
    def now(self) -> Now:
        return Now(self.tick, WALL + self.tick)

    def alert(self, name: str, severity: str = "critical", *, lasting: bool = True) -> Alert:
        labels = {"alertname": name, "severity": severity, "bot": "btc"}
        return new_alert(labels, summary="s.", description="", lasting=lasting, starts_at=self.now.wall)

    def send(self, name: str, severity: str = "critical", *, lasting: bool = True) -> None:
        self.ledger.take(self.alert(name, severity, lasting=lasting), self.now)

    def withdraw(self, name: str) -> None:
        self.ledger.withdraw(condition_of({"alertname": name, "bot": "btc"}), self.now)

    def begin(self, destination: str) -> Job | None:
        return self.ledger.next_job(destination, self.now)

    def work(self) -> None:
        """Do everything that is due now."""
        self.ledger.tidy(self.now)
        for destination in self.destinations:
            for _ in range(300):
                job = self.begin(destination)
                if job is None:
                    break
                outcome = self.answers.get(job.action, self.answers.get(destination, Delivered()))
                if isinstance(outcome, Delivered):
                    self.told.append((self.tick, destination, job.notice.alert.name, job.notice.status))
                    if (destination, job.notice.status) == (DIRECT, "firing"):
                        self.severities.append(job.notice.alert.labels["severity"])
                        self.descriptions.append(job.notice.alert.description)
                self.ledger.done(job, outcome, self.now)
                if not isinstance(outcome, Delivered):
                    break
            else:
                pytest.fail(f"{destination} never comes to rest")

    def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        end = self.tick + seconds
        while self.tick < end:
            self.tick = min(self.tick + step, end)
            self.work()

    def heard(self, destination: str = DIRECT) -> list[str]:
        return [f"{name} {status}" for _, to, name, status in self.told if to == destination]


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


def test_a_condition_that_gets_graver_is_told_again_and_ends_once() -> None:
    desk = Desk()
    desk.send("X", "warning")
    desk.pass_time(300)
    desk.send("X", "critical")
    desk.pass_time(2 * 3600 + 120, step=60)
    assert desk.severities == ["warning", "critical", "critical", "critical"]
    desk.withdraw("X")
    desk.pass_time(24 * 3600, step=60)
    assert Counter(desk.heard()) == {"X firing": 4, "X resolved": 1}


def test_a_condition_that_gets_less_grave_waits_for_its_reminder_and_ends_once() -> None:
    desk = Desk()
    desk.send("X", "critical")
    desk.pass_time(60)
    desk.send("X", "warning")
    desk.pass_time(6 * 3600, step=60)
    assert desk.severities == ["critical"]
    desk.pass_time(7 * 3600, step=60)
    assert desk.severities == ["critical", "warning"]
    desk.withdraw("X")
    desk.pass_time(24 * 3600, step=60)
    assert Counter(desk.heard()) == {"X firing": 2, "X resolved": 1}


def test_a_severity_that_flaps_is_told_when_it_gets_graver_and_no_more() -> None:
    desk = Desk()
    for _ in range(50):
        for severity in ("warning", "critical"):
            desk.send("X", severity)
            desk.pass_time(20)
    assert desk.severities == ["warning", "critical"]
    desk.withdraw("X")
    desk.pass_time(1000)
    assert Counter(desk.heard()) == {"X firing": 2, "X resolved": 1}


def test_one_that_was_on_its_way_when_it_got_graver_ends_once() -> None:
    desk = Desk()
    desk.send("X", "warning")
    job = desk.begin(DIRECT)
    assert job is not None
    desk.send("X", "critical")
    desk.ledger.done(job, Delivered(), desk.now)
    desk.pass_time(60)
    assert desk.severities == ["critical"]
    desk.withdraw("X")
    desk.pass_time(120)
    assert desk.heard() == ["X firing", "X resolved"]


def test_a_reminder_has_the_words_of_its_own_hour() -> None:
    desk = Desk()
    for number in range(3):
        alert = desk.alert("X")
        desk.ledger.take(replace(alert, description=f"{number} %"), desk.now)
        desk.pass_time(3600, step=60)
    assert desk.descriptions == ["0 %", "1 %", "2 %"]


def test_who_was_told_of_a_lesser_severity_before_a_restart_hears_of_the_graver_one() -> None:
    before, desk = Desk(), Desk()
    before.send("X", "warning")
    before.work()
    before.send("X", "critical")
    desk.ledger.restore(before.ledger.saved(before.now), desk.now, settle_seconds=30)
    desk.send("X", "critical")
    desk.pass_time(60)
    desk.withdraw("X")
    desk.pass_time(120)
    assert desk.heard() == ["X firing", "X resolved"]


def test_an_alert_without_a_rule_ends_at_the_alertmanager_when_its_severity_changes() -> None:
    desk = Desk(alertmanagers=(AM,))
    desk.answers["check"] = Kept()
    for severity in ("warning", "critical", "warning"):
        desk.send("Own", severity)
        desk.pass_time(5)
    desk.withdraw("Own")
    desk.pass_time(120)
    assert desk.heard(AM) == ["Own firing", "Own firing", "Own resolved", "Own resolved", "Own firing", "Own resolved"]
    assert desk.heard() == []


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
    pace = Pace(longest_seconds=300, jitter=lambda: 1.0)
    assert [pace.failed(0) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert pace.failed(100, after_seconds=1e9) == LONGEST_RETRY_AFTER_SECONDS
    assert pace.ready_at == 100 + LONGEST_RETRY_AFTER_SECONDS
    pace.succeeded()
    assert Pace(jitter=lambda: 0.0).failed(0) == 0.5


OPERATIONS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from("ABCDE"), st.sampled_from(["critical", "warning", "info"])),
    st.tuples(st.just("event"), st.sampled_from("VWXYZ"), st.just("info")),
    st.tuples(st.just("withdraw"), st.sampled_from("ABCDE"), st.just("")),
    st.tuples(st.just("pass"), st.sampled_from(["1", "30", "700"]), st.just("")),
    st.tuples(st.just("answer"), st.sampled_from(["ok", "later", "refused"]), st.just("")),
    st.tuples(st.just("restart"), st.just(""), st.just("")),
)
ANSWERS: dict[str, Outcome] = {"ok": Delivered(), "later": Later("down"), "refused": Refused("no")}


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


def test_an_event_while_the_same_lasts_is_part_of_it() -> None:
    desk = Desk()
    desk.send("X")
    desk.pass_time(5)
    desk.send("X", lasting=False)
    desk.withdraw("X")
    desk.send("X", lasting=False)
    desk.pass_time(120)
    assert desk.heard() == ["X firing", "X resolved"]


def test_an_event_after_the_same_has_lasted_is_told_and_what_lasts_after_an_event_too() -> None:
    desk = Desk()
    desk.send("X")
    desk.pass_time(5)
    desk.withdraw("X")
    desk.pass_time(120)
    desk.send("X", lasting=False)
    desk.pass_time(5)
    desk.send("X")
    desk.pass_time(5)
    desk.withdraw("X")
    desk.pass_time(120)
    assert desk.heard() == ["X firing", "X resolved", "X firing", "X firing", "X resolved"]
