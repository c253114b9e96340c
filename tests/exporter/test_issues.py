"""What the bot's health check finds reaches people: at once, by the preferences, and no longer than it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from nightdesk_alerts.delivery import entry
from nightdesk_exporter import Alerting, BotExporter

from tests.alerts.conftest import ServedInbox, free_port, only, until

Serve = Callable[..., BotExporter]
BTC = "BTC/USDT:USDT"


class Clock:
    """Wall time that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the news of an alert's end wait for less than a minute."""
    monkeypatch.setattr(entry, "_HOLD_SECONDS", 0.05)


@pytest.fixture
def serve(clock: Clock) -> Iterator[Serve]:
    """Start exporters of a bot that knows its guard, its kill switch and its model; they end with the test."""
    with ExitStack() as stack:

        def start(alerting: Alerting, **changes: Any) -> BotExporter:
            exporter = BotExporter("btc", symbols=[(BTC, "1h")], port=0, clock=clock, alerting=alerting, **changes)
            stack.enter_context(exporter)
            exporter.heartbeat()
            exporter.model("v1", trained_at=clock.now)
            exporter.kill_switch(active=False)
            exporter.guard("normal")
            return exporter

        yield start


def names(inbox: ServedInbox) -> list[tuple[str | None, str | None]]:
    """Return alert and status of every message, oldest first."""
    return [(message.alertname, message.status) for message in inbox.find("discord")]


def sent(exporter: BotExporter) -> float:
    return exporter.snapshot.counters["alerts_sent", "direct"]


def test_a_guard_that_pauses_is_told_at_once_and_so_is_its_end(inbox: ServedInbox, serve: Serve) -> None:
    exporter = serve(only(inbox, "discord"))
    exporter.guard("paused", reason="losing streak of 14 reaches 14")
    (message,) = inbox.arrived("discord")
    assert "losing streak of 14 reaches 14" in message.text
    assert (message.alertname, message.severity, message.bot) == ("TradebotGuardPaused", "critical", "btc")
    exporter.guard("normal")
    inbox.arrived("discord", 2)
    assert names(inbox) == [("TradebotGuardPaused", "firing"), ("TradebotGuardPaused", "resolved")]
    until(lambda: sent(exporter) == 2, "both to be counted")


CONDITIONS: dict[str, tuple[Callable[[BotExporter, Clock], None], str]] = {
    "TradebotGuardReduced": (lambda exporter, _: exporter.guard("reduced", reason="drawdown"), "warning"),
    "TradebotKillSwitchActive": (lambda exporter, _: exporter.kill_switch(active=True, reason="a test"), "critical"),
    "TradebotModelStale": (
        lambda exporter, clock: exporter.model("v0", trained_at=clock.now - 91 * 86_400),
        "warning",
    ),
    "TradebotModelMissing": (lambda exporter, _: exporter.no_model(), "critical"),
    "TradebotDrawdownHigh": (lambda exporter, _: exporter.equity(80.0, peak=100.0), "critical"),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_without_an_alertmanager_every_condition_of_the_requirements_is_told(
    name: str, inbox: ServedInbox, serve: Serve, clock: Clock
) -> None:
    change, severity = CONDITIONS[name]
    exporter = serve(only(inbox, "discord"))
    change(exporter, clock)
    (message,) = inbox.arrived("discord")
    assert (message.alertname, message.severity, message.bot) == (name, severity, "btc")


@pytest.mark.parametrize(
    ("seconds", "name", "kept"),
    [
        (301, "TradebotExchangeDisconnected", ()),
        (7 * 86_400 + 1, "TradebotNoTrades", ("contact", "candle")),
        (7_261, "TradebotCandleStale", ("contact",)),
    ],
)
def test_without_an_alertmanager_what_does_not_happen_is_told(
    seconds: float, name: str, kept: tuple[str, ...], inbox: ServedInbox, serve: Serve, clock: Clock
) -> None:
    exporter = serve(only(inbox, "discord"))
    exporter.trading_expected(expected=True)
    clock.now += seconds
    exporter.heartbeat()
    exporter.equity(100.0)
    if "contact" in kept:
        exporter.contact("ws")
    if "candle" in kept:
        exporter.candle(BTC, "1h", close_time=clock.now)
        exporter.decision(BTC)
    exporter.health()
    until(lambda: name in [alert for alert, _ in names(inbox)], name)


def test_an_alertmanager_s_rules_see_to_what_is_not_instant(inbox: ServedInbox, serve: Serve) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    exporter = serve(only(inbox, "discord", alertmanagers=(nobody,)))
    exporter.no_model()
    exporter.kill_switch(active=True, reason="a test")
    until(lambda: names(inbox) == [("TradebotKillSwitchActive", "firing")], "the fallback", seconds=20)


@pytest.mark.parametrize(
    ("preference", "change"),
    [
        ("on_pause", lambda exporter: exporter.guard("paused", reason="x")),
        ("on_pause", lambda exporter: exporter.guard("reduced", reason="x")),
        ("on_kill_switch", lambda exporter: exporter.kill_switch(active=True, reason="x")),
        ("enabled", lambda exporter: exporter.guard("paused", reason="x")),
    ],
)
def test_who_does_not_want_to_hear_of_it_does_not(
    preference: str, change: Callable[[BotExporter], None], inbox: ServedInbox, serve: Serve
) -> None:
    exporter = serve(only(inbox, "discord", **{preference: False}))
    change(exporter)
    # What comes later is told of first: for who wants to hear of nothing, by another bot that takes the same way.
    teller = serve(only(inbox, "discord")) if preference == "enabled" else exporter
    teller.no_model()
    inbox.arrived("discord")
    assert names(inbox) == [("TradebotModelMissing", "firing")]


def test_the_bot_s_own_alert_goes_the_same_way(inbox: ServedInbox, serve: Serve) -> None:
    exporter = serve(only(inbox, "discord"))
    exporter.send_alert("FundsLow", severity="warning", summary="The account is nearly empty.")
    inbox.arrived("discord")
    exporter.withdraw_alert("FundsLow")
    inbox.arrived("discord", 2)
    assert names(inbox) == [("FundsLow", "firing"), ("FundsLow", "resolved")]


def test_a_bot_that_dies_says_so_where_nobody_would_miss_it(inbox: ServedInbox, clock: Clock) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        BotExporter("btc", symbols=[], port=0, clock=clock, alerting=only(inbox, "discord")),
    ):
        _ = 1 / 0
    (message,) = inbox.arrived("discord")
    assert message.alertname == "TradebotDown"
    assert "ZeroDivisionError: division by zero" in message.text


def test_what_a_run_before_could_not_send_is_discarded_once_the_bot_says_that_it_is_over(
    inbox: ServedInbox, serve: Serve, clock: Clock, tmp_path: Path
) -> None:
    spool = tmp_path / "alerts.json"
    inbox.fault("error500", "discord")
    with BotExporter(
        "btc", symbols=[], port=0, clock=clock, alerting=only(inbox, "discord"), alert_spool=spool
    ) as exporter:
        exporter.guard("paused", reason="x")
        until(lambda: spool.exists() and "TradebotGuardPaused" in spool.read_text(), "the spool")
    inbox.clear()
    assert "TradebotGuardPaused" in spool.read_text()
    serve(only(inbox, "discord"), alert_spool=spool)  # which reports a guard that is normal again
    until(lambda: json.loads(spool.read_text())["alerts"] == [], "an empty spool")
    assert inbox.find() == []


def test_more_alerts_than_the_queue_holds_keep_nothing_busy(
    inbox: ServedInbox, serve: Serve, logged: list[tuple[str, str]]
) -> None:
    inbox.fault("error500", "discord")
    exporter = serve(only(inbox, "discord"))
    for number in range(300):
        exporter.send_alert(f"Own{number}", severity="critical", summary="One of many.")

    def dropped() -> float:
        return exporter.snapshot.counters["alerts_dropped", "queue_full"]

    until(lambda: dropped() >= 44, "the queue to be full")
    exporter.changed()  # the check finds alerts that were dropped, and there is no room to tell of it
    time.sleep(0.5)  # long enough for a loop to go round many times: nothing shows that it does not
    assert dropped() <= 50
    assert len([text for level, text in logged if level == "ERROR" and "dropped" in text]) == 1


def test_a_kill_switch_that_was_lifted_before_anybody_looked_is_told(inbox: ServedInbox, serve: Serve) -> None:
    exporter = serve(only(inbox, "discord"))
    exporter.kill_switch(active=False, activations=1)
    exporter.kill_switch(active=False, activations=2)
    exporter.changed()
    (message,) = inbox.arrived("discord")
    assert message.alertname == "TradebotKillSwitchActive"
    assert "It is over already" in message.text
