"""What the exporter refuses, forgets and bounds, so that no call costs the bot more than the call."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from nightdesk_exporter import BotExporter, Limits
from nightdesk_exporter.calls.base import MOST_SYMBOLS, MOST_VALUES
from nightdesk_exporter.errors import ExporterError

from tests.exporter.conftest import BTC, MODEL, Clock, make, samples, scrape, until

NAN = math.nan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symbols": [(BTC, "60")]}, "'60' is no timeframe; write it as 1m, 15m, 1h or 1d"),
        ({"symbols": [], "health_check_interval_seconds": 0.0}, "health_check_interval_seconds is 0.0"),
        ({"symbols": [], "limits": Limits(leverage_ratio=NAN)}, "leverage_ratio is nan"),
    ],
)
def test_an_exporter_that_cannot_work_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExporterError, match=message):
        BotExporter("btc", port=0, **options)


def test_an_exporter_serves_once(full: BotExporter) -> None:
    with full, pytest.raises(RuntimeError, match="serves once"):
        full.__enter__()


def test_more_symbols_than_may_be_are_refused_and_remembered_nowhere(full: BotExporter) -> None:
    for number in range(MOST_SYMBOLS + 50):
        full.signal(f"S{number}", "entered")
        full.candle(f"S{number}", "1h", close_time=1.0)
        full.position(f"S{number}", "long", size_ratio=0.1)
        full.decision(f"S{number}")
    snapshot = full.snapshot
    assert {len(snapshot.candles), len(snapshot.positions), len(snapshot.decided_at)} == {MOST_SYMBOLS}
    assert len([key for key in full.snapshot.counters if key[0] == "signals"]) <= 2 * MOST_SYMBOLS


def test_reasons_without_end_are_counted_together(full: BotExporter, messages: list[str]) -> None:
    for number in range(500):
        full.rejection(f"order {number} refused")
    reasons = [key[1] for key in full.snapshot.counters if key[0] == "orders_rejected"]
    assert len(reasons) == MOST_VALUES + 1
    assert full.snapshot.counters["orders_rejected", "other"] == 500 - MOST_VALUES + 1
    assert len([message for message in messages if "one value too many" in message]) == 1


@pytest.mark.parametrize("half", ["\ud800", "x\udcffy"])
def test_half_a_character_breaks_no_page(half: str, full: BotExporter) -> None:
    full.regime(half, "ranging")
    full.event(half)
    full.guard("paused", reason=half)
    with pytest.raises(OSError, match=half), full.request(half):
        raise OSError(half)
    assert scrape(full).encode()
    assert json.dumps(full.status(), ensure_ascii=False).encode()


def test_a_wrong_call_is_forgotten_by_the_health_check_after_ten_minutes(full: BotExporter, clock: Clock) -> None:
    full.snapshot.status_limit_seconds = None
    full.equity(NAN)
    clock.now += 599
    full.heartbeat()
    full.contact("ws")
    assert [issue.name for issue in full.health().issues] == ["instrumentation_errors"]
    clock.now += 1
    assert full.health().issues == ()


def test_a_model_that_is_told_again_changes_nothing(full: BotExporter, clock: Clock) -> None:
    changes: list[str] = []
    full.changed = lambda: changes.append("changed")  # type: ignore[method-assign]
    loaded_at = full.snapshot.model.loaded_at if full.snapshot.model else None
    clock.now += 60
    full.model(**MODEL)
    assert (changes, full.snapshot.model and full.snapshot.model.loaded_at) == ([], loaded_at)
    full.model_load_failed("v2 is damaged")
    full.model(**MODEL)
    assert (len(changes), full.snapshot.model_failure) == (2, "")


def test_what_is_slow_to_find_out_is_asked_for_at_regular_checks_only(clock: Clock) -> None:
    asked: list[BotExporter] = []
    exporter = BotExporter("btc", symbols=[], port=0, clock=clock, before_check=asked.append)
    with exporter:
        until(lambda: asked != [], "the first check")
        turns = len(exporter.snapshot.events)
        exporter.guard("normal")
        exporter.guard("paused", reason="x")
        until(lambda: len(exporter.snapshot.events) > turns + 1, "a health check")
    assert asked == [exporter]


def test_what_is_slow_to_find_out_may_fail(clock: Clock) -> None:
    def fail(_: BotExporter) -> None:
        raise OSError("gone")

    exporter = BotExporter("btc", symbols=[], port=0, clock=clock, before_check=fail)
    with exporter:
        until(lambda: samples(exporter, "instrumentation_errors_total") != [], "the failure")
    assert samples(exporter, "instrumentation_errors_total") == [
        'tradebot_instrumentation_errors_total{cause="before_check: OSError"} 1.0'
    ]


def test_a_late_candle_of_another_symbol_does_not_begin_the_day_anew(clock: Clock) -> None:
    exporter = make(clock)
    exporter.candle(BTC, "1h", close_time=10 * 86_400.0)
    exporter.equity(100.0)
    exporter.equity(92.0)
    exporter.candle("ETH/USDT:USDT", "1h", close_time=10 * 86_400.0 - 3600)
    exporter.equity(92.0)
    assert exporter.snapshot.daily_pnl_ratio == pytest.approx(-0.08)


def test_a_curve_begins_anew_where_time_jumps_back(exporter: BotExporter) -> None:
    exporter.equity(100.0)  # before any candle: wall time
    exporter.candle(BTC, "1h", close_time=86_400.0)
    exporter.equity(101.0)
    exporter.candle(BTC, "1h", close_time=90_000.0)
    exporter.equity(102.0)
    assert [(point.at, point.equity) for point in exporter.snapshot.curve.points()] == [
        (86_400.0, 101.0),
        (90_000.0, 102.0),
    ]
