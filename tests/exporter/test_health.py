"""The health check: every issue with its verdict and the numbers in its cause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nightdesk_exporter import BotExporter
from nightdesk_exporter.alert_names import ALERTS, WITHOUT_ALERT
from nightdesk_exporter.health import Issue, Verdict
from nightdesk_exporter.snapshot import Trouble

from tests.exporter.conftest import BTC, NOW, Change, Clock, late, samples

DEGRADED, UNHEALTHY = Verdict.DEGRADED, Verdict.UNHEALTHY


def failing_collector(exporter: BotExporter, _: Clock) -> None:
    exporter._collector_failed("Mine", OSError("gone"))


CASES: dict[str, tuple[Change, Issue]] = {
    "loop_stalled": (
        late(121, "contact"),
        Issue("loop_stalled", UNHEALTHY, "no turn of the loop for 121 s, the limit is 120 s", 120, NOW + 120),
    ),
    "exchange_disconnected": (
        late(301, "loop"),
        Issue(
            "exchange_disconnected",
            UNHEALTHY,
            "no contact with the exchange for 301 s, the limit is 300 s",
            300,
            NOW + 300,
        ),
    ),
    "websocket_disconnected": (
        lambda exporter, clock: (exporter.connection(connected=False), late(301, "loop", "contact")(exporter, clock)),
        Issue(
            "websocket_disconnected",
            DEGRADED,
            "the candle stream has been broken for 301 s, the limit is 300 s",
            300,
            NOW + 300,
        ),
    ),
    "clock_skewed": (
        lambda exporter, _: exporter.clock_offset(-2.5),
        Issue("clock_skewed", DEGRADED, "the exchange's clock is -2.5 s from ours, the limit is 2 s", 2, NOW),
    ),
    "candle_stale": (
        late(7261, "loop", "contact", "decision", "equity"),
        Issue(
            "candle_stale",
            UNHEALTHY,
            "no candle of BTC/USDT:USDT 1h for 7261 s, the limit is 7260 s",
            7260,
            NOW + 7260,
            labels={"symbol": BTC, "timeframe": "1h"},
        ),
    ),
    "no_decision": (
        late(7261, "loop", "contact", "candle", "equity"),
        Issue(
            "no_decision",
            UNHEALTHY,
            "no decision on BTC/USDT:USDT for 7261 s, the limit is 7260 s",
            7260,
            NOW + 7260,
            labels={"symbol": BTC},
        ),
    ),
    "guard_paused": (
        lambda exporter, _: exporter.guard("paused", reason="losing streak of 14 reaches 14"),
        Issue("guard_paused", DEGRADED, "the guard pauses trading: losing streak of 14 reaches 14", None, NOW),
    ),
    "guard_reduced": (
        lambda exporter, _: exporter.guard("reduced", reason="drawdown 10.40% reaches 10.00%"),
        Issue("guard_reduced", DEGRADED, "the guard reduces trading: drawdown 10.40% reaches 10.00%", None, NOW),
    ),
    "kill_switch_active": (
        lambda exporter, _: exporter.kill_switch(active=True, reason="a test"),
        Issue("kill_switch_active", DEGRADED, "the kill switch is active: a test", None, NOW),
    ),
    "no_trades": (
        late(7 * 86_400 + 1, "loop", "contact", "candle", "decision", "equity"),
        Issue("no_trades", DEGRADED, "no trade for 7 days, the limit is 7", 7 * 86_400, NOW + 7 * 86_400),
    ),
    "model_missing": (
        lambda exporter, _: exporter.no_model(),
        Issue("model_missing", UNHEALTHY, "no valid model is loaded: the bot does not trade", None, NOW),
    ),
    "model_not_loaded": (
        lambda exporter, _: exporter.model_load_failed("v2 is damaged"),
        Issue("model_not_loaded", DEGRADED, "a model could not be loaded: v2 is damaged", None, NOW),
    ),
    "model_stale": (
        lambda exporter, _: exporter.model("v0", trained_at=NOW - 91 * 86_400),
        Issue("model_stale", DEGRADED, "the model is 91 days old, the limit is 90", 90 * 86_400, NOW - 86_400),
    ),
    "model_underperforming": (
        lambda exporter, _: exporter.delivered(trades=40, evalue=21.0, breached=True),
        Issue("model_underperforming", DEGRADED, "the model does worse than its backtest promised", None, NOW),
    ),
    "drawdown_high": (
        lambda exporter, _: exporter.equity(94.0, peak=100.0, daily_pnl_ratio=0.0),
        Issue("drawdown_high", DEGRADED, "the drawdown is 6.00%, the limit is 5.00%", 0.05, NOW),
    ),
    "drawdown_high, critical": (
        lambda exporter, _: exporter.equity(89.0, peak=100.0, daily_pnl_ratio=0.0),
        Issue("drawdown_high", UNHEALTHY, "the drawdown is 11.00%, the limit is 10.00%", 0.1, NOW),
    ),
    "daily_loss_high": (
        lambda exporter, _: exporter.equity(100.0, peak=100.0, daily_pnl_ratio=-0.051),
        Issue("daily_loss_high", UNHEALTHY, "5.10% lost today, the limit is 5.00%", 0.05, NOW),
    ),
    "leverage_high": (
        lambda exporter, _: exporter.position(BTC, "short", size_ratio=2.6),
        Issue("leverage_high", UNHEALTHY, "leverage is 2.60, the limit is 2.50", 2.5, NOW),
    ),
    "snapshot_stale": (
        late(7261, "loop", "contact", "candle", "decision"),
        Issue(
            "snapshot_stale",
            DEGRADED,
            "no equity was reported for 7261 s, the limit is 7260 s",
            7260,
            NOW + 7260,
        ),
    ),
    "status_file_stale": (
        late(601, "loop", "contact"),
        Issue(
            "status_file_stale",
            DEGRADED,
            "the status file was not written for 601 s, the limit is 600 s",
            600,
            NOW + 600,
        ),
    ),
    "collector_failing": (
        failing_collector,
        Issue(
            "collector_failing",
            DEGRADED,
            "the metrics of Mine cannot be collected: OSError: gone",
            None,
            NOW,
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_issue_has_its_verdict_its_numbers_and_since_when(case: str, healthy: BotExporter, clock: Clock) -> None:
    change, wanted = CASES[case]
    assert healthy.health().verdict is Verdict.HEALTHY
    if case == "status_file_stale":
        healthy.snapshot.status_limit_seconds = 600.0
    change(healthy, clock)
    health = healthy.health()
    assert [replace(issue, alert=None) for issue in health.issues] == [wanted]
    assert health.verdict is wanted.verdict
    assert samples(healthy, "health_issues") == [f'tradebot_health_issues{{issue="{wanted.name}"}} 1.0']
    line = f'tradebot_health_status{{tradebot_health_status="{health.verdict}"}} 1.0'
    assert line in samples(healthy, "health_status")


def test_there_is_a_case_for_every_condition() -> None:
    without_case = {"candle_stale, holding", "alerts_dropped"}
    assert {*ALERTS, *WITHOUT_ALERT} - set(CASES) == {*without_case, "instrumentation_errors"}


def test_an_issue_that_lasts_keeps_its_since_and_one_that_comes_back_gets_a_new_one(
    healthy: BotExporter, clock: Clock
) -> None:
    def since() -> float | None:
        (issue,) = healthy.health().issues
        return issue.since

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
    healthy.snapshot.troubles["alerts_dropped"] = Trouble(NOW, "an alert was dropped: expired")
    assert [issue.name for issue in healthy.health().issues] == ["alerts_dropped"]
    late(601, "loop", "contact")(healthy, clock)
    assert healthy.health().issues == ()
