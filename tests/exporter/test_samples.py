"""What calls become in the samples, and what a collector that fails leaves of them."""

from __future__ import annotations

import sys
import threading
from typing import Any, cast

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.metrics.catalogue import METRICS

from tests.exporter.conftest import BTC, MODEL, NOW, Clock, Failing, make, samples, scrape


def test_money_is_counted_apart_for_profit_loss_and_fees(full: BotExporter) -> None:
    wanted = (
        "realized_profit_total",
        "realized_loss_total",
        "fees_paid_total",
        "trades_closed_total",
        "trades_won_total",
    )
    assert [line.split("} ")[1] for name in wanted for line in samples(full, name)] == [
        "85.0",
        "40.0",
        "9.0",
        "2.0",
        "1.0",
    ]


def test_an_unknown_guard_value_emits_no_sample_beside_known_ones(full: BotExporter) -> None:
    assert samples(full, "guard_value") == [
        'tradebot_guard_value{rule="losing_streak"} 2.0',
        'tradebot_guard_value{rule="drawdown"} 0.01',
    ]


def test_no_model_is_known_once_the_bot_has_looked(exporter: BotExporter) -> None:
    assert samples(exporter, "model_loaded") == []
    exporter.no_model()
    assert samples(exporter, "model_loaded") == ["tradebot_model_loaded 0.0"]
    assert samples(exporter, "model_info") == []
    exporter.model(**MODEL)
    assert samples(exporter, "model_loaded") == ["tradebot_model_loaded 1.0"]


def test_a_collector_that_fails_takes_no_other_with_it(full: BotExporter, messages: list[str]) -> None:
    full.registry.register(Failing())
    text = scrape(full)
    assert "\nof_my_own 1.0\n" in text
    assert samples(full, "heartbeat_timestamp_seconds") != []
    scrape(full)
    assert 'tradebot_collector_errors_total{collector="Failing"} 3.0' in samples(full, "collector_errors_total")
    assert [issue.cause for issue in full.health().issues] == [
        "the metrics of Failing cannot be collected: OSError: no such device"
    ]
    wanted = "exporter: the metrics of Failing cannot be collected: OSError: no such device\nTraceback"
    assert len([message for message in messages if message.startswith(wanted)]) == 1


def test_a_topic_that_fails_takes_no_other_with_it(full: BotExporter) -> None:
    full.snapshot.guard_limits = cast(Any, 5)
    text = scrape(full)
    assert "\ntradebot_equity{" in text
    assert "\ntradebot_position_size_ratio{" not in text
    assert full.snapshot.counters["collector_errors", "trading"] == 1


def test_a_collector_that_was_registered_can_be_removed(full: BotExporter) -> None:
    failing = Failing()
    full.registry.register(failing)
    full.registry.unregister(failing)
    assert "of_my_own" not in scrape(full)


def test_timestamps_are_the_clock_s(exporter: BotExporter, clock: Clock) -> None:
    exporter.heartbeat()
    clock.now = NOW + 60
    exporter.contact("ws")
    exporter.trade(BTC, profit=1.0)
    assert samples(exporter, "heartbeat_timestamp_seconds") == ["tradebot_heartbeat_timestamp_seconds 1.5713028e+09"]
    assert float(samples(exporter, "last_trade_timestamp_seconds")[0].split()[1]) == NOW + 60


def test_a_flat_position_is_0_and_not_unknown(exporter: BotExporter) -> None:
    exporter.position(BTC, "short", size_ratio=0.3)
    assert [line[-3:] for line in samples(exporter, "open_positions")] == ["0.0", "1.0"]
    exporter.position(BTC, None)
    assert [line[-3:] for line in samples(exporter, "open_positions")] == ["0.0", "0.0"]
    assert samples(exporter, "leverage_ratio") == ["tradebot_leverage_ratio 0.0"]


def test_a_regime_change_is_counted_and_the_first_regime_is_none(exporter: BotExporter) -> None:
    for regime in ("ranging", "ranging", "trending_up", "ranging"):
        exporter.regime(BTC, regime)
    assert samples(exporter, "regime_changes_total")[0].endswith(" 2.0")


def test_a_kill_switch_found_active_at_the_start_is_no_activation(clock: Clock) -> None:
    exporter = make(clock)
    exporter.kill_switch(active=True)
    assert samples(exporter, "kill_switch_activations_total") == ["tradebot_kill_switch_activations_total 0.0"]
    exporter.kill_switch(active=False)
    exporter.kill_switch(active=True)
    assert samples(exporter, "kill_switch_activations_total") == ["tradebot_kill_switch_activations_total 1.0"]


def test_a_kill_switch_that_was_lifted_before_the_bot_looked_is_counted(
    exporter: BotExporter, messages: list[str]
) -> None:
    exporter.kill_switch(active=False, activations=3)
    exporter.kill_switch(active=True, reason="a test", activations=4)
    exporter.kill_switch(active=False, activations=4)
    exporter.kill_switch(active=False, activations=6)
    exporter.kill_switch(active=True, activations=8)
    assert samples(exporter, "kill_switch_activations_total") == ["tradebot_kill_switch_activations_total 5.0"]
    assert messages.count("the kill switch was active for a moment") == 2


def test_calls_from_many_threads_lose_no_count(exporter: BotExporter) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def count() -> None:
            for _ in range(5_000):
                exporter.signal(BTC, "entered")
                exporter.gap_repaired(BTC, "1h")
                with exporter.request():
                    pass

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    counters, histogram = exporter.snapshot.counters, exporter.snapshot.histograms["exchange_request_duration_seconds"]
    assert counters["signals", BTC, "entered"] == counters["candle_gaps", BTC, "1h"] == 20_000
    assert counters["exchange_requests",] == sum(histogram.counts) == 20_000


def test_the_charts_begin_with_what_was_before_the_start(exporter: BotExporter) -> None:
    exporter.equity_history([(NOW - 7200, 100.0), (NOW - 3600, 90.0), (NOW - 1800, 0.0)])
    exporter.equity(95.0)
    points = [(point.at, point.equity, round(point.drawdown_ratio, 9)) for point in exporter.snapshot.curve.points()]
    assert points == [(NOW - 7200, 100.0, 0.0), (NOW - 3600, 90.0, 0.1), (NOW - 1800, 0.0, 1.0), (NOW, 95.0, 0.0)]


def test_a_curve_never_grows_beyond_its_size_and_keeps_its_beginning(exporter: BotExporter) -> None:
    exporter.equity_history((float(hour * 3600), 100.0 + hour % 7) for hour in range(100_000))
    points = exporter.snapshot.curve.points()
    assert 200 <= len(points) <= 400
    assert points[0].at == 0.0
    assert points[-1].at > 99_000 * 3600
    assert sorted(points) == list(points)


def test_a_closed_market_moves_since_when_trading_is_expected(exporter: BotExporter, clock: Clock) -> None:
    exporter.trading_expected(expected=True)
    clock.now = NOW + 10
    exporter.trading_expected(expected=True)
    assert exporter.snapshot.trading_expected_since == WallTime(NOW)
    exporter.trading_expected(expected=False)
    assert exporter.snapshot.trading_expected_since == WallTime(NOW + 10)


def test_a_model_swap_leaves_no_sample_of_the_old_model(full: BotExporter) -> None:
    full.model("v2", trained_at=NOW)
    assert samples(full, "model_info") == ['tradebot_model_info{standing="champion",version="v2"} 1.0']


@pytest.mark.parametrize("lost", [False, True])
def test_what_a_model_promised_and_delivered_goes_with_it(lost: bool, full: BotExporter) -> None:
    of_the_model = ("model_live_", "model_backtest_", "model_expectation_", "model_gap_", "model_probation_")

    def shown() -> list[str]:
        return [name for name in METRICS if name.startswith(of_the_model) and samples(full, name)]

    assert len(shown()) == 10
    full.model(**{**MODEL, "standing": "champion"})
    assert len(shown()) == 10, "another standing is no other model"
    if lost:
        full.no_model()
    else:
        full.model("v2", trained_at=NOW)
    assert shown() == []
    assert full.status()["model"]["expectation"]["live_to_backtest"] == {}
