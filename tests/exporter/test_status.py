"""What the status says of the bot, how soon, and what a start takes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter, StatusFile

from tests.exporter.conftest import BTC, NOW, WAIT_SECONDS, Clock, make, samples, until


def test_known_failure_14_the_model_s_age_is_in_the_status(full: BotExporter, clock: Clock) -> None:
    clock.now += 86_400 / 2
    assert full.status()["model"] == {
        "version": "v1",
        "standing": "provisional",
        "trained_at": "2019-10-16T09:00:00Z",
        "age_days": 1.5,
        "data_end": "2019-10-17T08:00:00Z",
        "load_failure": None,
        "performance": {
            "live_trades": 20,
            "live_win_ratio": 0.4,
            "live_sharpe_ratio": 0.9,
            "backtest_win_ratio": 0.45,
            "backtest_sharpe_ratio": 1.2,
        },
        "expectation": {
            "breached": False,
            "signals": 24,
            "evalue": 1.5,
            "gap": {"fees": 0.1, "slippage": None, "missed": None, "signal": None},
            "live_to_backtest": {"sharpe": 0.75, "drawdown": None},
        },
    }


def test_the_status_holds_every_health_check_component_of_the_requirements(full: BotExporter) -> None:
    status = full.status()
    wanted = {
        "bot": {"running", "last_candle_received_at", "websocket_connected", "exchange_contact_at", "health", "issues"},
        "trading": {"guard", "regime", "open_positions", "recent_trades", "kill_switch"},
        "model": {"version", "age_days", "trained_at", "performance"},
        "risk": {"drawdown_ratio", "daily_pnl_ratio", "positions", "leverage_ratio"},
    }
    for section, keys in wanted.items():
        assert keys <= set(status[section])
        assert not [key for key in keys if status[section][key] is None], section


def test_an_issue_says_since_when_and_against_which_limit(full: BotExporter, clock: Clock) -> None:
    full.equity(9_400.0, peak=10_000.0, daily_pnl_ratio=0.0)
    clock.now += 10
    assert full.status()["bot"]["issues"] == [
        {
            "name": "drawdown_high",
            "verdict": "degraded",
            "cause": "the drawdown is 6.00%, the limit is 5.00%",
            "since": "2019-10-17T09:00:10Z",
            "limit": 0.05,
            "alert": "TradebotDrawdownHigh",
        }
    ]


def test_what_is_not_known_is_null(exporter: BotExporter) -> None:
    status = exporter.status()
    assert set(status) == {"bot", "trading", "model", "risk"}
    assert {key: value for key, value in status["model"].items() if value is not None} == {
        "performance": dict.fromkeys(status["model"]["performance"]),
        "expectation": {
            "breached": None,
            "signals": None,
            "evalue": None,
            "gap": dict.fromkeys(("fees", "slippage", "missed", "signal")),
            "live_to_backtest": {},
        },
    }
    assert status["trading"]["guard"] is None
    assert status["trading"]["open_positions"] is None
    assert status["risk"]["drawdown_ratio"] is None
    assert json.loads(json.dumps(status)) == status


CHANGES: dict[str, tuple[Callable[[BotExporter], None], Callable[[dict[str, Any]], bool]]] = {
    "guard": (
        lambda exporter: exporter.guard("paused", reason="losing streak of 14 reaches 14"),
        lambda status: status["trading"]["guard"] == "paused",
    ),
    "kill switch": (
        lambda exporter: exporter.kill_switch(active=True, reason="a test"),
        lambda status: status["trading"]["kill_switch_reason"] == "a test",
    ),
    "regime": (
        lambda exporter: exporter.regime("BTC/USDT:USDT", "high_volatility"),
        lambda status: status["trading"]["regime"] == {"BTC/USDT:USDT": "high_volatility"},
    ),
    "model": (
        lambda exporter: exporter.model("v2", trained_at=NOW),
        lambda status: status["model"]["version"] == "v2",
    ),
    "health": (
        lambda exporter: exporter.equity(89.0, peak=100.0),
        lambda status: status["bot"]["health"] == "unhealthy",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_is_in_the_file_at_once(what: str, status_file: StatusFile, clock: Clock) -> None:
    change, is_there = CHANGES[what]
    with make(clock, status_file=status_file) as exporter:
        exporter.heartbeat()
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        change(exporter)
        begun = time.monotonic()
        until(lambda: is_there(status_file.read()), "the change")
        assert time.monotonic() - begun < 2.0  # the interval is five minutes


def test_health_that_a_scrape_finds_changed_is_in_the_file_at_once(status_file: StatusFile, clock: Clock) -> None:
    with make(clock, status_file=status_file) as exporter:
        exporter.heartbeat()
        until(lambda: exporter.snapshot.status_written_at is not None, "the first write")
        clock.now += 121
        requests.get(f"{exporter.url}/metrics", timeout=5)
        until(lambda: status_file.read()["bot"]["health"] == "unhealthy", "the new verdict")


def test_a_start_remembers_the_last_trade_and_the_equity_s_peak_and_day(status_file: StatusFile, clock: Clock) -> None:
    with make(clock, status_file=status_file) as exporter:
        exporter.trading_expected(expected=True)
        exporter.trade(BTC, profit=1.0)
        exporter.equity(100.0)
        exporter.equity(90.0)
        clock.now += 600
    clock.now += 3600
    again = make(clock, status_file=status_file)
    again.trading_expected(expected=True)
    again.equity(95.0)
    assert samples(again, "last_trade_timestamp_seconds") == ["tradebot_last_trade_timestamp_seconds 1.5713028e+09"]
    assert samples(again, "drawdown_ratio") == [f"tradebot_drawdown_ratio {1 - 95 / 100}"]
    assert samples(again, "daily_pnl_ratio") == [f"tradebot_daily_pnl_ratio {95 / 100 - 1}"]
    # The hour in which it was down is not held against it, the ten minutes before are.
    assert again.snapshot.trading_expected_since == WallTime(clock.now - 600)


def test_eight_days_off_are_no_week_without_a_trade(status_file: StatusFile, clock: Clock) -> None:
    with make(clock, status_file=status_file) as exporter:
        exporter.trading_expected(expected=True)
        exporter.trade(BTC, profit=1.0)
    clock.now += 8 * 86_400
    again = make(clock, status_file=status_file)
    again.trading_expected(expected=True)
    assert "no_trades" not in [issue.name for issue in again.health().issues]


def test_a_new_day_begins_with_the_equity_of_the_day_before(exporter: BotExporter, clock: Clock) -> None:
    exporter.equity(100.0)
    exporter.equity(110.0)
    clock.now += 86_400
    exporter.equity(99.0)
    assert exporter.snapshot.daily_pnl_ratio == pytest.approx(-0.1)
    assert exporter.snapshot.equity_peak == 110.0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"bot": {"name": "eth"}, "risk": {"currency": "USDT", "equity_peak": 5.0}},
        {"bot": {"name": "btc"}, "risk": {"currency": "EUR", "equity_peak": 5.0}},
        {"bot": {"name": "btc"}, "risk": {"currency": "USDT", "equity_peak": "much"}, "trading": None},
        {"bot": [], "risk": 5},
    ],
)
def test_a_status_file_of_another_bot_or_an_odd_one_is_not_remembered(
    document: dict[str, Any], status_file: StatusFile, clock: Clock
) -> None:
    status_file.path.parent.mkdir()
    status_file.path.write_text(json.dumps({"schema_version": 1, **document}))
    assert make(clock, status_file=status_file).snapshot.equity_peak is None


def test_the_exception_that_ends_the_bot_is_in_its_last_status(status_file: StatusFile, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), make(clock, status_file=status_file):
        _ = 1 / 0
    assert status_file.read()["bot"]["running"] is False
    assert status_file.read()["bot"]["stopped_by"] == "ZeroDivisionError: division by zero"
    assert status_file.read()["bot"]["events"][-1]["level"] == "critical"


async def test_it_is_an_asynchronous_context_manager_too(status_file: StatusFile, clock: Clock) -> None:
    async with make(clock, status_file=status_file) as exporter:
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await asyncio.to_thread(requests.get, f"{exporter.url}/healthz", timeout=5)
    assert answer.json() == {"status": "unknown", "issues": []}
    assert status_file.read()["bot"]["running"] is False
