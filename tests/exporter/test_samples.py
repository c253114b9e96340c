"""What calls become in the samples, and what a collector that fails leaves of them."""

from __future__ import annotations

from typing import Any, cast

from nightdesk_exporter import BotExporter

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
    assert messages.count("exporter: the metrics of Failing cannot be collected: OSError: no such device") == 1


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


def test_a_closed_market_moves_since_when_trading_is_expected(exporter: BotExporter, clock: Clock) -> None:
    exporter.trading_expected(expected=True)
    clock.now = NOW + 10
    exporter.trading_expected(expected=True)
    assert exporter.snapshot.trading_expected_since == NOW
    exporter.trading_expected(expected=False)
    assert exporter.snapshot.trading_expected_since == NOW + 10


def test_a_model_swap_leaves_no_sample_of_the_old_model(full: BotExporter) -> None:
    full.model("v2", trained_at=NOW)
    assert samples(full, "model_info") == ['tradebot_model_info{standing="champion",version="v2"} 1.0']
