"""After a restart an alert is withdrawn only once the bot has said enough for that very condition."""

from __future__ import annotations

import pytest
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_core.clock import WallTime
from nightdesk_exporter.snapshot import CandlesExpected, Limits

from tests.exporter.conftest import BTC
from tests.exporter.health_cases import CASES
from tests.exporter.health_cases.case import ETH, Say
from tests.exporter.test_issue_alerts import START, Desk

MARKETS = ((BTC, "1h"), (ETH, "1h"))
KNOWN_BY: dict[str, Say] = {
    case.issue.alert.name: case.story.known_by
    for case in CASES
    if case.issue.alert and case.story and case.story.known_by
}
"""By alertname, what the bot says that makes its condition known."""
LATER = {case.issue.alert.name for case in CASES if case.issue.alert} - KNOWN_BY.keys()
"""What shows that nothing failed is that time has passed."""


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.snapshot.candles_expected |= {market: CandlesExpected(WallTime(START), 3600) for market in MARKETS}
    return desk


def withdrawn(desk: Desk) -> set[str]:
    desk.turn()
    return set(desk.sender.withdrawn)


def test_a_bot_that_has_said_nothing_withdraws_nothing(desk: Desk) -> None:
    assert withdrawn(desk) == set()


@pytest.mark.parametrize("name", KNOWN_BY)
def test_what_the_bot_says_withdraws_what_it_is_about_and_nothing_else(name: str, desk: Desk) -> None:
    KNOWN_BY[name](desk.snapshot)
    assert withdrawn(desk) == {other for other, say in KNOWN_BY.items() if say is KNOWN_BY[name]}


def test_everything_that_the_bot_can_say_withdraws_every_alert(desk: Desk) -> None:
    for say in KNOWN_BY.values():
        say(desk.snapshot)
    assert withdrawn(desk) == {alert.name for alert in ALERTS if alert.condition is not None} - LATER


def test_that_nothing_failed_is_known_after_the_time_for_which_a_failure_counts(desk: Desk) -> None:
    desk.turn(seconds=Limits().trouble_seconds - 1)
    assert not LATER & withdrawn(desk)
    desk.turn(seconds=1)
    assert withdrawn(desk) >= LATER


def test_one_symbol_s_candles_say_nothing_of_another_s(desk: Desk) -> None:
    desk.snapshot.candles_wall_and_market[BTC, "1h"] = (START, START)
    assert withdrawn(desk) == set()


def test_while_no_trading_is_expected_no_candle_is_missing(desk: Desk) -> None:
    desk.snapshot.trading_expected = False
    assert withdrawn(desk) == {
        "TradebotCandleStale",
        "TradebotCandleRejected",
        "TradebotUnhealthy",
        "TradebotNoTrades",
    }
