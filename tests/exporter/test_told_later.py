"""Whoever learns of things later says when they happened: nothing is fresh that is not."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter

from tests.exporter.conftest import BTC, MODEL, NOW, Clock, samples

EARLIER = NOW - 3600.0
CALLS: dict[str, dict[str, Any]] = {
    "heartbeat": {},
    "contact": {"channel": "rest"},
    "rejection": {"reason": "insufficient_funds"},
    "connection": {"connected": False},
    "expect_candles": {"symbol": BTC, "timeframe": "1h", "interval_seconds": 60.0},
    "candle": {"symbol": BTC, "timeframe": "1h", "close_time": NOW},
    "candle_rejected": {"symbol": BTC, "timeframe": "1h", "open_time": NOW, "reason": "is upside down"},
    "listed": {"symbol": BTC, "listed": False},
    "decision": {"symbol": BTC},
    "regime": {"symbol": BTC, "regime": "ranging"},
    "trading_expected": {"expected": True},
    "guard": {"state": "paused"},
    "kill_switch": {"active": True},
    "kill_switch_tested": {},
    "state_lost": {"reason": "no journal"},
    "trade": {"symbol": BTC, "profit": 1.0},
    "equity": {"equity": 1.0},
    "model": MODEL,
    "no_model": {},
    "model_load_failed": {"reason": "damaged"},
    "audit_missing": {"reason": "cut"},
    "unwritable": {"what": "journal", "reason": "full"},
    "event": {"message": "funding paid"},
}


@pytest.mark.parametrize("name", CALLS)
def test_whatever_is_stamped_is_stamped_with_the_time_that_is_told(name: str, clock: Clock) -> None:
    exporter = BotExporter("btc", symbols=[], port=0, clock=clock, strict=True)
    if name == "regime":
        exporter.regime(BTC, "trending_up", at=EARLIER)
    if name == "guard":
        exporter.guard("normal", at=EARLIER)
    getattr(exporter, name)(**CALLS[name], at=EARLIER)
    later = {what: at for what, at in exporter.snapshot.stamps().items() if at != WallTime(EARLIER)}
    assert later.keys() <= {"the bot's start", "config loaded", "the model's training"}
    assert {event.at for event in exporter.snapshot.events} <= {WallTime(EARLIER)}
    assert len(exporter.snapshot.stamps()) > 2 or exporter.snapshot.events or exporter.snapshot.unwritable


def test_every_call_that_stamps_takes_the_time() -> None:
    unstamped = {
        "signal", "gap_repaired", "clock_offset", "position", "positions", "recent_trades", "shadow", "promised",
        "delivered", "equity_history", "send_alert", "withdraw_alert", "announce_wait", "request",
    }  # fmt: skip
    calls = {name for name, call in inspect.getmembers(BotExporter, inspect.isfunction) if hasattr(call, "__wrapped__")}
    taking = {name for name in calls if "at" in inspect.signature(getattr(BotExporter, name)).parameters}
    assert {name for name in calls if not name.startswith("_")} - taking <= unstamped
    assert taking >= CALLS.keys()


@pytest.mark.parametrize("at", [EARLIER, datetime.fromtimestamp(EARLIER, UTC), WallTime(EARLIER)])
def test_a_time_is_told_in_seconds_or_aware(at: Any, exporter: BotExporter) -> None:
    exporter.heartbeat(at=at)
    assert exporter.snapshot.heartbeat_at == WallTime(EARLIER)


@pytest.mark.parametrize("at", ["now", datetime(2024, 1, 1), True, NOW * 1000, NOW + 61, float("nan"), -1])  # noqa: DTZ001
@pytest.mark.parametrize("name", CALLS)
def test_a_time_that_is_none_or_ahead_is_a_wrong_call_that_changes_nothing(
    name: str, at: Any, exporter: BotExporter
) -> None:
    before = exporter.snapshot.stamps()
    getattr(exporter, name)(**CALLS[name], at=at)
    assert exporter.snapshot.stamps() == before
    assert f"{name}: at" in exporter.snapshot.wrong_calls


def test_a_clock_that_is_a_little_ahead_is_taken_for_ours(exporter: BotExporter) -> None:
    exporter.heartbeat(at=NOW + 59)
    assert exporter.snapshot.heartbeat_at == WallTime(NOW)


def test_what_is_told_late_takes_nothing_back(exporter: BotExporter, clock: Clock) -> None:
    clock.now += 100
    for at in (None, NOW):
        exporter.heartbeat(at=at)
        exporter.contact("rest", at=at)
        exporter.candle(BTC, "1h", close_time=NOW + 50 if at is None else NOW, at=at)
        exporter.decision(BTC, at=at)
        exporter.equity(10.0 if at is None else 5.0, at=at)
        exporter.trade(BTC, profit=1.0, at=at)
        exporter.kill_switch_tested(at=at)
    now, snapshot = WallTime(NOW + 100), exporter.snapshot
    assert {snapshot.heartbeat_at, snapshot.contact_at["rest"], snapshot.decided_at[BTC], snapshot.last_trade_at} == {
        now
    }
    assert snapshot.candles[BTC, "1h"] == (now, snapshot.market_time)
    assert (snapshot.equity, snapshot.equity_at) == (10.0, now)
    assert snapshot.gauges["kill_switch_self_test_timestamp_seconds",] == NOW + 100


def test_a_stamp_from_before_the_clock_was_set_back_does_not_stay(exporter: BotExporter, clock: Clock) -> None:
    exporter.heartbeat()
    clock.now -= 1000
    exporter.heartbeat(at=clock.now - 5)
    assert exporter.snapshot.heartbeat_at == WallTime(clock.now - 5)


def test_whoever_starts_in_an_outage_does_not_look_fresh(clock: Clock) -> None:
    sidecar = BotExporter("btc", symbols=[BTC], timeframe="5m", port=0, clock=clock)
    sidecar.model("v1", trained_at=EARLIER, at=EARLIER)
    sidecar.heartbeat(at=EARLIER)
    sidecar.contact("rest", at=EARLIER)
    sidecar.candle(BTC, "5m", close_time=EARLIER, at=EARLIER)
    sidecar.decision(BTC, at=EARLIER)
    sidecar.equity(1.0, at=EARLIER)
    assert [issue.name for issue in sidecar.health().issues] == [
        "loop_stalled",
        "exchange_disconnected",
        "candle_stale",
        "snapshot_stale",
    ]
    assert samples(sidecar, "heartbeat_timestamp_seconds") == [
        f"tradebot_heartbeat_timestamp_seconds {EARLIER!r}".replace("1571299200.0", "1.5712992e+09")
    ]


def test_decisions_of_before_the_start_are_old_too(clock: Clock) -> None:
    sidecar = BotExporter("btc", symbols=[BTC], timeframe="5m", model=None, port=0, clock=clock)
    sidecar.decision(BTC, at=EARLIER)
    sidecar.candle(BTC, "5m", close_time=NOW)
    sidecar.heartbeat()
    assert [issue.name for issue in sidecar.health().issues] == ["no_decision"]
