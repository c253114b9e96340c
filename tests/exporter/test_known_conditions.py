"""After a restart an alert is withdrawn only once the bot has said enough for that very condition."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nightdesk_exporter.alert_names import ALERTS
from nightdesk_exporter.snapshot import CandlesExpected, Limits, ModelInUse, Position, Snapshot

from tests.exporter.test_issue_alerts import START, Desk

Say = Callable[[Snapshot], None]
BTC, ETH = ("BTC/USDT:USDT", "1h"), ("ETH/USDT:USDT", "1h")
_MODEL = ModelInUse("v1", "champion", START, None, START)


def model(snapshot: Snapshot) -> None:
    snapshot.model, snapshot.model_known = _MODEL, True


def candles(snapshot: Snapshot) -> None:
    snapshot.candles |= {BTC: (START, START), ETH: (START, START)}


SAID: dict[str, tuple[Say, set[str]]] = {
    "heartbeat": (lambda snapshot: setattr(snapshot, "heartbeat_at", START), {"TradebotLoopStalled"}),
    "contact": (lambda snapshot: snapshot.contact_at.update(ws=START), {"TradebotExchangeDisconnected"}),
    "clock": (lambda snapshot: setattr(snapshot, "clock_offset", 0.1), {"TradebotClockSkewed"}),
    "candles": (candles, {"TradebotCandleStale"}),
    "decisions": (lambda snapshot: snapshot.decided_at.update({BTC[0]: START, ETH[0]: START}), {"TradebotUnhealthy"}),
    "guard": (
        lambda snapshot: setattr(snapshot, "guard", "normal"),
        {"TradebotGuardPaused", "TradebotGuardReduced"},
    ),
    "kill switch": (lambda snapshot: setattr(snapshot, "kill_switch", False), {"TradebotKillSwitchActive"}),
    "trading": (lambda snapshot: setattr(snapshot, "trading_expected", True), {"TradebotNoTrades"}),
    "model": (model, {"TradebotModelMissing", "TradebotModelNotLoaded", "TradebotModelStale"}),
    "expectation": (
        lambda snapshot: setattr(snapshot, "expectation_breached", False),
        {"TradebotModelUnderperforming"},
    ),
    "drawdown": (lambda snapshot: setattr(snapshot, "drawdown_ratio", 0.0), {"TradebotDrawdownHigh"}),
    "daily PnL": (lambda snapshot: setattr(snapshot, "daily_pnl_ratio", 0.0), {"TradebotDailyLossHigh"}),
    "positions": (
        lambda snapshot: snapshot.positions.update({BTC[0]: Position(BTC[0], "long", 0.1)}),
        {"TradebotLeverageHigh"},
    ),
    "equity": (lambda snapshot: setattr(snapshot, "equity_at", START), {"TradebotSnapshotStale"}),
    "status file": (lambda snapshot: setattr(snapshot, "status_written_at", START), {"TradebotStatusFileStale"}),
}
LATER = {"TradebotCollectorFailing", "TradebotAlertsDropped"}
"""What shows that nothing failed is that time has passed."""


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.snapshot.candles_expected |= {BTC: CandlesExpected(START, 3600), ETH: CandlesExpected(START, 3600)}
    return desk


def withdrawn(desk: Desk) -> set[str]:
    desk.turn()
    return set(desk.sender.withdrawn)


def test_a_bot_that_has_said_nothing_withdraws_nothing(desk: Desk) -> None:
    assert withdrawn(desk) == set()


@pytest.mark.parametrize("what", SAID)
def test_what_the_bot_says_withdraws_what_it_is_about_and_nothing_else(what: str, desk: Desk) -> None:
    say, names = SAID[what]
    say(desk.snapshot)
    assert withdrawn(desk) == names


def test_everything_that_the_bot_can_say_withdraws_every_alert(desk: Desk) -> None:
    for say, _ in SAID.values():
        say(desk.snapshot)
    assert withdrawn(desk) == {alert.name for alert in ALERTS.values()} - LATER


def test_that_nothing_failed_is_known_after_the_time_for_which_a_failure_counts(desk: Desk) -> None:
    desk.turn(seconds=Limits().trouble_seconds - 1)
    assert not LATER & withdrawn(desk)
    desk.turn(seconds=1)
    assert withdrawn(desk) >= LATER


def test_one_symbol_s_candles_say_nothing_of_another_s(desk: Desk) -> None:
    desk.snapshot.candles[BTC] = (START, START)
    assert withdrawn(desk) == set()


def test_while_no_trading_is_expected_no_candle_is_missing(desk: Desk) -> None:
    desk.snapshot.trading_expected = False
    assert withdrawn(desk) == {"TradebotCandleStale", "TradebotUnhealthy", "TradebotNoTrades"}
