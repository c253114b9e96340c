"""What is handed to the sender of what the health check finds, and what is taken back: without a thread or a socket."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pytest
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_core.clock import WallTime
from nightdesk_exporter.health.assessment import assess
from nightdesk_exporter.health.issue_alerts import IssueAlerts
from nightdesk_exporter.snapshot import CandlesExpected, Limits, Position, ReportedModel, Snapshot

START = 1_700_000_000.0


class Sent(NamedTuple):
    """One call of `send_alert`."""

    name: str
    severity: str
    description: str
    lasting: bool


class Sender:
    """Writes down what it is given."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = ()) -> None:
        self.alerting = Alerting(alertmanagers=alertmanagers)
        self.now = START
        self.sent: list[Sent] = []
        self.withdrawn: list[str] = []

    def clock(self) -> WallTime:
        return WallTime(self.now)

    def send_alert(self, alertname: str, **what: Any) -> None:
        what = {"lasting": True, **what}
        del what["summary"]
        self.sent.append(Sent(alertname, **what))

    def withdraw(self, alertname: str) -> None:
        self.withdrawn.append(alertname)


class Desk:
    """A bot of which nothing is known yet, and its alerts."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = ()) -> None:
        self.sender = Sender(alertmanagers=alertmanagers)
        self.snapshot = Snapshot(started_at=WallTime(START))
        self._alerts = IssueAlerts(cast(AlertSender, self.sender))

    def turn(self, *, seconds: float = 0.0) -> list[Sent]:
        """Let time pass and check the health; return what was sent for it."""
        self.sender.now += seconds
        before = len(self.sender.sent)
        limits = Limits()
        self._alerts.follow(assess(self.snapshot, limits, now=WallTime(self.sender.now)), self.snapshot, limits)
        return self.sender.sent[before:]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_condition_is_sent_when_it_comes_gets_graver_or_has_other_words(desk: Desk) -> None:
    desk.snapshot.drawdown_ratio = 0.07
    assert [(sent.name, sent.severity) for sent in desk.turn()] == [("TradebotDrawdownHigh", "warning")]
    assert desk.turn() == []
    desk.snapshot.drawdown_ratio = 0.08
    assert [sent.description for sent in desk.turn()] == ["The drawdown is 8.00%, the limit is 5.00%."]
    desk.snapshot.drawdown_ratio = 0.12
    assert [(sent.name, sent.severity) for sent in desk.turn()] == [("TradebotDrawdownHigh", "critical")]
    assert desk.turn() == []


def names(sent: list[Sent]) -> list[str]:
    return [each.name for each in sent]


def expect(desk: Desk, *, symbols: int) -> None:
    """Have candles of so many symbols expected, none of which comes."""
    for number in range(symbols):
        desk.snapshot.candles_expected[f"S{number}/USDT", "1m"] = CandlesExpected(WallTime(START), 60.0)


def test_a_lost_exchange_is_one_alert_however_many_symbols_are_traded(desk: Desk) -> None:
    expect(desk, symbols=200)
    desk.snapshot.model = ReportedModel("v1", "champion", WallTime(START), None, WallTime(START))
    desk.snapshot.model_known = True
    desk.snapshot.heartbeat_at_wall = START + 301
    assert names(desk.turn(seconds=301)) == ["TradebotExchangeDisconnected"]


def test_a_loop_that_stands_still_is_one_alert(desk: Desk) -> None:
    expect(desk, symbols=5)
    assert "TradebotModelMissing" in names(desk.turn(seconds=400)[1:])
    assert not {"TradebotExchangeDisconnected", "TradebotCandleStale", "TradebotSnapshotStale"} & set(
        names(desk.sender.sent)
    )


def test_stale_symbols_are_one_alert_that_names_five(desk: Desk) -> None:
    expect(desk, symbols=200)
    desk.snapshot.heartbeat_at_wall = desk.snapshot.contact_at_wall["ws"] = START + 181
    (sent,) = [each for each in desk.turn(seconds=181) if each.name == "TradebotCandleStale"]
    assert sent.description == (
        "No candle of S0/USDT 1m for 181 s, the limit is 180 s;"
        " likewise S1/USDT 1m, S2/USDT 1m, S3/USDT 1m, S4/USDT 1m and 195 more."
    )


def test_the_symbol_that_is_held_is_named_first_and_makes_it_critical(desk: Desk) -> None:
    expect(desk, symbols=2)
    desk.snapshot.positions["S1/USDT"] = Position("S1/USDT", "long", 0.1)
    desk.snapshot.heartbeat_at_wall = desk.snapshot.contact_at_wall["ws"] = START + 181
    (sent,) = [each for each in desk.turn(seconds=181) if each.name == "TradebotCandleStale"]
    assert sent.severity == "critical"
    assert sent.description == "No candle of S1/USDT 1m for 181 s, the limit is 180 s; likewise S0/USDT 1m."


def test_what_was_told_before_its_cause_came_is_not_said_to_be_over(desk: Desk) -> None:
    expect(desk, symbols=1)
    desk.snapshot.heartbeat_at_wall = START + 181
    assert "TradebotCandleStale" in names(desk.turn(seconds=181))
    desk.snapshot.heartbeat_at_wall = START + 301
    assert "TradebotExchangeDisconnected" in names(desk.turn(seconds=120))
    assert desk.sender.withdrawn == ["TradebotLoopStalled"]


def test_what_is_left_when_its_cause_is_over_is_told_then(desk: Desk) -> None:
    expect(desk, symbols=1)
    desk.snapshot.heartbeat_at_wall = START + 301
    desk.turn(seconds=301)
    desk.snapshot.contact_at_wall["ws"] = START + 301
    assert "TradebotCandleStale" in names(desk.turn())
    assert "TradebotExchangeDisconnected" in desk.sender.withdrawn


@pytest.mark.parametrize("alertmanagers", [(), ("http://127.0.0.1:1",)])
@pytest.mark.parametrize(
    ("counter", "name", "severity"),
    [
        (("guard_transitions", "paused"), "TradebotGuardPaused", "critical"),
        (("guard_transitions", "reduced"), "TradebotGuardReduced", "warning"),
        (("kill_switch_activations",), "TradebotKillSwitchActive", "critical"),
    ],
)
def test_what_came_and_went_between_two_looks_is_told_as_an_event(
    counter: tuple[str, ...], name: str, severity: str, alertmanagers: tuple[str, ...]
) -> None:
    desk = Desk(alertmanagers=alertmanagers)
    desk.snapshot.guard, desk.snapshot.kill_switch = "normal", False
    desk.turn()
    desk.snapshot.counters[counter] = 1.0
    words = "It is over already: it came and went between two looks."
    assert desk.turn() == [Sent(name, severity, words, lasting=False)]
    assert desk.turn() == []


def test_what_still_holds_is_no_event(desk: Desk) -> None:
    desk.snapshot.guard = "paused"
    desk.snapshot.counters["guard_transitions", "paused"] = 1.0
    assert [(sent.name, sent.lasting) for sent in desk.turn()] == [("TradebotGuardPaused", True)]
    desk.snapshot.guard = "normal"
    assert desk.turn() == []
