"""The health check: every issue with its verdict and the numbers in its cause."""

from __future__ import annotations

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Verdict
from nightdesk_exporter.snapshot import Trouble

from tests.exporter.conftest import NOW, Change, Clock, late, samples
from tests.exporter.health_cases import CASES
from tests.exporter.health_cases.case import Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_issue_has_its_verdict_its_numbers_its_alert_and_since_when(
    case: Case, healthy: BotExporter, clock: Clock
) -> None:
    assert healthy.health().verdict is Verdict.HEALTHY
    case.change(healthy, clock)
    health = healthy.health()
    assert health.issues == (case.issue,)
    assert health.verdict is case.issue.verdict
    assert samples(healthy, "health_issues") == [f'tradebot_health_issues{{issue="{case.issue.name}"}} 1.0']
    line = f'tradebot_health_status{{tradebot_health_status="{health.verdict}"}} 1.0'
    assert line in samples(healthy, "health_status")


def test_an_issue_that_lasts_keeps_its_since_and_one_that_comes_back_gets_a_new_one(
    healthy: BotExporter, clock: Clock
) -> None:
    def since() -> float | None:
        (issue,) = healthy.health().issues
        return None if issue.since is None else issue.since.seconds

    healthy.clock_offset(3.0)
    assert since() == NOW
    clock.now += 50
    healthy.clock_offset(4.0)
    assert since() == NOW
    healthy.clock_offset(0.0)
    assert healthy.health().issues == ()
    clock.now += 50
    healthy.clock_offset(4.0)
    assert since() == NOW + 100


def test_a_change_of_health_is_logged_with_its_causes_and_listed_among_the_events(
    healthy: BotExporter, clock: Clock, messages: list[str]
) -> None:
    healthy.health()
    healthy.clock_offset(3.0)
    healthy.health()
    healthy.health()
    late(121, "contact")(healthy, clock)
    healthy.health()
    healthy.heartbeat()
    healthy.clock_offset(0.0)
    healthy.health()
    told = [message for message in messages if message.startswith("health")]
    assert told == [
        "health: healthy to degraded: the exchange's clock is +3.0 s from ours, the limit is 2 s",
        "health: degraded to unhealthy: no turn of the loop for 121 s, the limit is 120 s; the exchange's clock is"
        " +3.0 s from ours, the limit is 2 s",
        "health: unhealthy to healthy",
    ]
    assert [event.text for event in healthy.snapshot.events][-3:] == told
    assert [event.level for event in healthy.snapshot.events][-3:] == ["warning", "error", "info"]


@pytest.mark.parametrize(
    "change",
    [late(120), late(300, "loop"), late(7260, "loop", "contact")],
    ids=["loop", "exchange", "candle"],
)
def test_at_its_limit_nothing_is_late_yet(change: Change, healthy: BotExporter, clock: Clock) -> None:
    change(healthy, clock)
    assert healthy.health().issues == ()


def test_the_worst_issue_decides(full: BotExporter) -> None:
    full.kill_switch(active=True)
    full.no_model()
    assert full.health().verdict is Verdict.UNHEALTHY
    assert [issue.name for issue in full.health().issues] == ["kill_switch_active", "model_missing"]


def test_a_model_that_is_loaded_after_one_that_was_not_is_no_issue_any_more(healthy: BotExporter) -> None:
    healthy.model_load_failed("v2 is damaged")
    healthy.model("v3", trained_at=NOW)
    assert healthy.health().issues == ()


def test_an_alert_that_was_dropped_is_an_issue_for_ten_minutes(healthy: BotExporter, clock: Clock) -> None:
    healthy.snapshot.troubles["alerts_dropped"] = Trouble(WallTime(NOW), "an alert was dropped: expired")
    assert [issue.name for issue in healthy.health().issues] == ["alerts_dropped"]
    late(601, "loop", "contact")(healthy, clock)
    assert healthy.health().issues == ()
