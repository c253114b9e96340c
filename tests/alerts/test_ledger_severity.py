"""The ledger where a condition gets graver or less grave: people hear of it once, and of its end once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from nightdesk_alerts.delivery.outcome import Delivered, Kept

from tests.alerts.ledger_desk import AM, DIRECT, Desk


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
