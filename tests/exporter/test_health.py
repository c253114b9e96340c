"""The health check: every issue with its verdict and the numbers in its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from nightdesk_exporter import BotExporter, Position
from nightdesk_exporter.health import Issue, Verdict

from tests.exporter.conftest import BTC, MODEL, NOW, Clock, samples

DEGRADED, UNHEALTHY = Verdict.DEGRADED, Verdict.UNHEALTHY
Change = Callable[[BotExporter, Clock], None]


def late(seconds: float, *kept: str) -> Change:
    """Let time pass in which only the named things go on."""

    def change(exporter: BotExporter, clock: Clock) -> None:
        clock.now += seconds
        if "loop" in kept:
            exporter.heartbeat()
        if "contact" in kept:
            exporter.contact("ws")
        if "candle" in kept:
            exporter.candle(BTC, "1h", close_time=NOW)
        if "decision" in kept:
            exporter.decision(BTC, outcome="no_signal", regime="ranging")

    return change


def guard(state: str, reason: str) -> Change:
    """Move the guard."""

    def change(exporter: BotExporter, _: Clock) -> None:
        exporter.guard(state, size_multiplier=0.5, values={}, limits={})
        exporter.guard_moved(state, reason=reason)

    return change


CASES: dict[str, tuple[Change, list[Issue]]] = {
    "loop_stalled": (
        late(121, "contact"),
        [Issue("loop_stalled", UNHEALTHY, "no turn of the loop for 121 s, the limit is 120 s")],
    ),
    "exchange_disconnected": (
        late(301, "loop"),
        [Issue("exchange_disconnected", UNHEALTHY, "no contact with the exchange for 301 s, the limit is 300 s")],
    ),
    "candle_stale": (
        late(7261, "loop", "contact", "decision"),
        [Issue("candle_stale", UNHEALTHY, "no candle of BTC/USDT:USDT 1h for 7261 s, the limit is 7260 s")],
    ),
    "no_decision": (
        late(7261, "loop", "contact", "candle"),
        [Issue("no_decision", UNHEALTHY, "no decision on BTC/USDT:USDT for 7261 s, the limit is 7260 s")],
    ),
    "guard_paused": (
        guard("paused", "losing streak of 14 reaches 14"),
        [Issue("guard_paused", DEGRADED, "the guard pauses trading: losing streak of 14 reaches 14")],
    ),
    "guard_reduced": (
        guard("reduced", "drawdown 10.40% reaches 10.00%"),
        [Issue("guard_reduced", DEGRADED, "the guard reduces trading: drawdown 10.40% reaches 10.00%")],
    ),
    "kill_switch_active": (
        lambda exporter, _: exporter.kill_switch(active=True, reason="a test"),
        [Issue("kill_switch_active", DEGRADED, "the kill switch is active: a test")],
    ),
    "model_missing": (
        lambda exporter, _: exporter.model(None),
        [Issue("model_missing", UNHEALTHY, "no valid model is loaded: the bot does not trade")],
    ),
    "model_stale": (
        lambda exporter, _: exporter.model(replace(MODEL, trained_at=NOW - 91 * 86_400)),
        [Issue("model_stale", DEGRADED, "the model is 91 days old, the limit is 90")],
    ),
    "drawdown_high": (
        lambda exporter, _: exporter.account(equity=94.0, peak=100.0, daily_pnl_ratio=0.0),
        [Issue("drawdown_high", DEGRADED, "the drawdown is 6.00%, the limit is 5.00%")],
    ),
    "drawdown_high, critical": (
        lambda exporter, _: exporter.account(equity=89.0, peak=100.0, daily_pnl_ratio=0.0),
        [Issue("drawdown_high", UNHEALTHY, "the drawdown is 11.00%, the limit is 10.00%")],
    ),
    "daily_loss_high": (
        lambda exporter, _: exporter.account(equity=100.0, peak=100.0, daily_pnl_ratio=-0.051),
        [Issue("daily_loss_high", UNHEALTHY, "5.10% lost today, the limit is 5.00%")],
    ),
    "leverage_high": (
        lambda exporter, _: exporter.position(BTC, Position(BTC, "long", 2.6)),
        [Issue("leverage_high", UNHEALTHY, "leverage is 2.60, the limit is 2.50")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_issue_has_its_verdict_and_its_numbers(case: str, full: BotExporter, clock: Clock) -> None:
    change, issues = CASES[case]
    assert full.health().verdict is Verdict.HEALTHY
    change(full, clock)
    health = full.health()
    assert list(health.issues) == issues
    assert health.verdict is issues[0].verdict
    assert samples(full, "health_issues") == [f'tradebot_health_issues{{issue="{issues[0].name}"}} 1.0']
    assert f'tradebot_health_status{{tradebot_health_status="{health.verdict}"}} 1.0' in samples(full, "health_status")


@pytest.mark.parametrize(
    "change",
    [late(120), late(300, "loop"), late(7260, "loop", "contact")],
    ids=["loop", "exchange", "candle"],
)
def test_at_its_limit_nothing_is_late_yet(change: Change, full: BotExporter, clock: Clock) -> None:
    change(full, clock)
    assert full.health().issues == ()


def test_a_closed_market_needs_no_candle(full: BotExporter, clock: Clock) -> None:
    full.trading_expected(expected=False)
    late(100_000, "loop", "contact")(full, clock)
    assert full.health().issues == ()


def test_the_worst_issue_decides(full: BotExporter, clock: Clock) -> None:
    full.kill_switch(active=True)
    full.model(None)
    assert full.health().verdict is Verdict.UNHEALTHY
    assert [issue.name for issue in full.health().issues] == ["kill_switch_active", "model_missing"]


def test_a_bot_that_has_said_nothing_is_unknown_and_unhealthy_once_it_has_had_its_time(
    exporter: BotExporter, clock: Clock
) -> None:
    assert (exporter.health().verdict, exporter.health().issues) == (Verdict.UNKNOWN, ())
    clock.now += 121
    assert [issue.name for issue in exporter.health().issues] == ["loop_stalled"]
    clock.now += 200
    assert exporter.health().verdict is Verdict.UNHEALTHY
    assert [issue.name for issue in exporter.health().issues] == ["loop_stalled", "exchange_disconnected"]


def test_any_channel_is_contact(full: BotExporter, clock: Clock) -> None:
    clock.now += 299
    full.heartbeat()
    full.contact("rest")
    clock.now += 100
    full.heartbeat()
    assert full.health().issues == ()


def test_a_candle_that_never_came_is_late_from_when_it_was_expected(exporter: BotExporter, clock: Clock) -> None:
    exporter.heartbeat()
    exporter.expect_candles(BTC, "1h", interval_seconds=3600)
    clock.now += 7260
    exporter.heartbeat()
    exporter.contact("ws")
    assert exporter.health().issues == ()
    clock.now += 1
    assert exporter.health().issues == (
        Issue("candle_stale", UNHEALTHY, "no candle of BTC/USDT:USDT 1h for 7261 s, the limit is 7260 s"),
    )
    assert samples(exporter, "candle_interval_seconds") == [
        'tradebot_candle_interval_seconds{symbol="BTC/USDT:USDT",timeframe="1h"} 3600.0'
    ]


def test_a_symbol_whose_market_is_closed_is_not_stale_and_is_again_once_it_opens(
    exporter: BotExporter, clock: Clock
) -> None:
    for symbol in (BTC, "EUR/USDT:USDT"):
        exporter.expect_candles(symbol, "1h", interval_seconds=3600)
        exporter.candle(symbol, "1h", close_time=NOW)
        exporter.decision(symbol, outcome="no_signal", regime="ranging")
    exporter.expect_candles("EUR/USDT:USDT", "1h", interval_seconds=None)
    clock.now += 7000
    exporter.candle(BTC, "1h", close_time=NOW + 3600)
    exporter.decision(BTC, outcome="no_signal", regime="ranging")
    clock.now += 1000

    def late() -> list[str]:
        names = ("candle_stale", "no_decision")
        return [issue.name for issue in exporter.health().issues if issue.name in names]

    assert late() == []
    exporter.expect_candles("EUR/USDT:USDT", "1h", interval_seconds=3600)
    clock.now += 7000
    exporter.candle(BTC, "1h", close_time=NOW + 7200)
    exporter.decision(BTC, outcome="no_signal", regime="ranging")
    clock.now += 300
    assert late() == ["candle_stale"]
