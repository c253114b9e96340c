"""Health follows progress, not liveness: what turns without getting anywhere is unhealthy."""

from __future__ import annotations

from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Verdict

from tests.exporter.conftest import BTC, NOW, Clock, late, samples


def test_a_closed_market_needs_no_candle(healthy: BotExporter, clock: Clock) -> None:
    healthy.trading_expected(expected=False)
    late(100_000, "loop", "contact")(healthy, clock)
    assert healthy.health().issues == ()


def test_a_bot_that_has_said_nothing_is_unknown_and_unhealthy_once_it_has_had_its_time(
    exporter: BotExporter, clock: Clock
) -> None:
    assert (exporter.health().verdict, exporter.health().issues) == (Verdict.UNKNOWN, ())
    silent = ["loop_stalled", "exchange_disconnected"]
    for seconds, names in (
        (121, ["loop_stalled", "model_missing"]),
        (301, [*silent, "model_missing"]),
        (601, [*silent, "model_missing", "model_stale", "drawdown_high"]),
        (7261, [*silent, "candle_stale", "model_missing", "model_stale", "drawdown_high", "snapshot_stale"]),
    ):
        clock.now = NOW + seconds
        assert [issue.name for issue in exporter.health().issues] == names
        assert exporter.health().verdict is Verdict.UNHEALTHY


def test_any_channel_is_contact(healthy: BotExporter, clock: Clock) -> None:
    clock.now += 299
    healthy.heartbeat()
    with healthy.request():
        pass
    clock.now += 100
    healthy.heartbeat()
    assert healthy.health().issues == ()


def names_after(exporter: BotExporter, clock: Clock, seconds: float, *kept: str) -> list[str]:
    """Return the issues after hours in which only the named things go on."""
    late(seconds, "equity", *kept)(exporter, clock)
    return [issue.name for issue in exporter.health().issues]


def test_a_loop_that_spins_without_deciding_is_unhealthy(healthy: BotExporter, clock: Clock) -> None:
    assert names_after(healthy, clock, 7261, "loop", "contact", "candle") == ["no_decision"]
    assert healthy.health().verdict is Verdict.UNHEALTHY


def test_a_loop_that_never_decided_is_unhealthy_too(exporter: BotExporter, clock: Clock) -> None:
    exporter.no_model()
    assert names_after(exporter, clock, 7261, "loop", "contact", "candle") == ["no_decision", "model_missing"]


def test_a_stream_that_is_connected_and_silent_is_unhealthy(healthy: BotExporter, clock: Clock) -> None:
    assert healthy.snapshot.connected is True
    assert names_after(healthy, clock, 301, "loop") == ["exchange_disconnected"]
    assert healthy.health().verdict is Verdict.UNHEALTHY


def test_a_scheduler_that_runs_while_candles_do_not_is_unhealthy(healthy: BotExporter, clock: Clock) -> None:
    assert names_after(healthy, clock, 7261, "loop", "contact", "decision") == ["candle_stale"]
    assert healthy.health().verdict is Verdict.UNHEALTHY


def test_candles_of_another_symbol_hide_nothing(clock: Clock) -> None:
    exporter = BotExporter("btc", symbols=[(BTC, "1h"), ("ETH/USDT:USDT", "1h")], port=0, clock=clock)
    exporter.no_model()
    clock.now += 7261
    exporter.heartbeat()
    exporter.contact("ws")
    exporter.equity(1.0)
    exporter.candle("ETH/USDT:USDT", "1h", close_time=NOW)
    exporter.decision("ETH/USDT:USDT")
    assert [(issue.name, issue.labels.get("symbol")) for issue in exporter.health().issues] == [
        ("candle_stale", BTC),
        ("model_missing", None),
    ]


def test_a_candle_that_never_came_is_late_from_when_it_was_expected(exporter: BotExporter, clock: Clock) -> None:
    clock.now += 1000
    exporter.expect_candles(BTC, "1h", interval_seconds=3600)
    for seconds, stale in ((7260, []), (1, ["candle_stale"])):
        clock.now += seconds
        assert [issue.name for issue in exporter.health().issues if issue.name == "candle_stale"] == stale
    assert samples(exporter, "candle_interval_seconds") == [
        'tradebot_candle_interval_seconds{symbol="BTC/USDT:USDT",timeframe="1h"} 3600.0'
    ]


def test_a_symbol_whose_market_is_closed_is_not_stale_and_is_again_once_it_opens(
    exporter: BotExporter, clock: Clock
) -> None:
    for symbol in (BTC, "EUR/USDT:USDT"):
        exporter.expect_candles(symbol, "1h", interval_seconds=3600)
        exporter.candle(symbol, "1h", close_time=NOW)
        exporter.decision(symbol)
    exporter.expect_candles("EUR/USDT:USDT", "1h", interval_seconds=None)
    clock.now += 7000
    exporter.candle(BTC, "1h", close_time=NOW + 3600)
    exporter.decision(BTC)
    clock.now += 1000

    def late() -> list[str]:
        names = ("candle_stale", "no_decision")
        return [issue.name for issue in exporter.health().issues if issue.name in names]

    assert late() == []
    exporter.expect_candles("EUR/USDT:USDT", "1h", interval_seconds=3600)
    clock.now += 7000
    exporter.candle(BTC, "1h", close_time=NOW + 7200)
    exporter.decision(BTC)
    clock.now += 300
    assert late() == ["candle_stale"]


def test_no_trade_is_counted_from_when_the_market_opened(healthy: BotExporter, clock: Clock) -> None:
    healthy.trading_expected(expected=False)
    clock.now += 8 * 86_400
    healthy.trading_expected(expected=True)
    clock.now += 86_400
    assert "no_trades" not in [issue.name for issue in healthy.health().issues]


def test_the_calls_that_the_guide_begins_with_are_all_that_health_asks_for(clock: Clock) -> None:
    exporter = BotExporter("mine", symbols=[(BTC, "1m")], port=0, clock=clock)
    exporter.model("v1", trained_at=clock.now)
    for _ in range(24 * 60):
        clock.now += 60
        exporter.heartbeat()
        exporter.candle(BTC, "1m", close_time=clock.now)
        exporter.decision(BTC)
        exporter.equity(100.0)
        assert exporter.health().issues == ()
    assert exporter.health().verdict is Verdict.HEALTHY
