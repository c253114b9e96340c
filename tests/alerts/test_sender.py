"""The calls that a trading loop makes: they wait for nothing, raise nothing, load nothing, follow the preferences."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_alerts.alert import SentAlert, new_alert
from nightdesk_alerts.catalogue.declaration import Preference
from nightdesk_alerts.delivery.ledger import Ledger, Now
from nightdesk_alerts.delivery.worker import DeliveryWorker
from nightdesk_alerts.preferences import silenced, silenced_by

from tests.alerts.conftest import PAUSED, Counts, ServedInbox, StartSender, only, until

DELIVERS = ("requests", "smtplib", "urllib3", "pydantic", "yaml", "ssl")


def loaded_after(code: str) -> str:
    """Return which modules that deliver are loaded once `code` has run in a process of its own."""
    code += f"; import sys; print([name for name in {DELIVERS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def test_importing_the_interface_loads_nothing_that_delivers() -> None:
    plain = loaded_after("import prometheus_client, loguru")
    assert loaded_after("import prometheus_client, loguru, nightdesk_alerts") == plain
    every = "discord_webhook_url='http://x', mail=Mail(server='x', recipients=('a@b.c',))"
    sender = f"from nightdesk_alerts import Alerting, AlertSender, Mail; AlertSender('btc', alerting=Alerting({every}))"
    begun = f"import prometheus_client, loguru; {sender}"
    assert loaded_after(begun) == plain
    assert "requests" in loaded_after("import nightdesk_alerts.delivery.destinations")


def test_a_call_takes_microseconds_while_everything_hangs(inbox: ServedInbox, start: StartSender) -> None:
    inbox.fault("silence", "discord")
    sender = start(only(inbox, "discord"))
    sender.send_alert("First", **PAUSED)
    took = []
    for number in range(500):
        began = time.perf_counter()
        sender.send_alert(f"X{number}", **PAUSED)
        sender.withdraw(f"X{number}")
        took.append(time.perf_counter() - began)
    assert sorted(took)[250] < 0.001
    inbox.clear()


@pytest.mark.parametrize(
    "wrong",
    [
        {"alertname": ""},
        {"alertname": None},
        {"alertname": ["X"]},
        {"labels": 5},
        {"labels": {"symbol": object()}},
        {"labels": {"job": "x"}},
        {"severity": None},
        {"summary": None},
    ],
)
def test_a_wrong_call_never_raises(wrong: dict[str, Any], inbox: ServedInbox, start: StartSender) -> None:
    sender = start(only(inbox, "discord"))
    call: dict[str, Any] = {"alertname": "X", **PAUSED, **wrong}
    sender.send_alert(call.pop("alertname"), **call)
    sender.withdraw(wrong.get("alertname", "X"), wrong.get("labels"))
    sender.send_alert("Right", **PAUSED)
    until(lambda: any(message.alertname == "Right" for message in inbox.find("discord")), "the right one")


def test_only_the_labels_of_an_identity_leave_the_bot(
    inbox: ServedInbox, start: StartSender, logged: list[tuple[str, str]]
) -> None:
    labels = {"symbol": "S", "timeframe": "1h", "criterion": "sharpe", "job": "x", "instance": "y"}
    start(only(inbox, "webhook")).send_alert("X", **PAUSED, labels=labels)
    assert inbox.arrived("webhook")[0].raw["commonLabels"] == {
        "alertname": "X",
        "severity": "critical",
        "bot": "btc",
        "symbol": "S",
        "timeframe": "1h",
        "criterion": "sharpe",
    }
    assert "job is no label of an alert" in "".join(text for _, text in logged)


@pytest.mark.parametrize(
    ("preference", "silent"),
    [
        ("on_pause", silenced_by(Preference.PAUSE)),
        ("on_kill_switch", silenced_by(Preference.KILL_SWITCH)),
        ("on_model_rotation", silenced_by(Preference.MODEL_ROTATION)),
    ],
)
def test_a_preference_silences_its_alerts_and_no_others(
    preference: str, silent: tuple[str, ...], inbox: ServedInbox, start: StartSender
) -> None:
    sender = start(only(inbox, "discord", **{preference: False}))
    everything = (*(name for preference in Preference for name in silenced_by(preference)), "TradebotDrawdownHigh")
    for name in everything:
        sender.send_alert(name, **PAUSED)
    found = inbox.arrived("discord", len(everything) - len(silent))
    assert {message.alertname for message in found} == set(everything) - set(silent)


def test_the_preferences_name_the_alerts_of_the_requirements() -> None:
    assert silenced(Alerting()) == ()
    assert silenced(Alerting(on_pause=False, on_kill_switch=False, on_model_rotation=False)) == (
        "TradebotGuardPaused",
        "TradebotGuardReduced",
        "TradebotKillSwitchActive",
        "TradebotModelPromoted",
        "TradebotModelKept",
        "TradebotModelRolledBack",
    )


def test_switched_off_it_sends_nothing_and_starts_nothing(inbox: ServedInbox) -> None:
    before = threading.active_count()
    with AlertSender("btc", alerting=only(inbox, "discord", enabled=False)) as sender:
        sender.send_alert("X", **PAUSED)
        sender.withdraw("X")
        assert threading.active_count() == before
    assert inbox.find() == []


def test_without_any_channel_it_says_so_and_takes_every_call(logged: list[tuple[str, str]]) -> None:
    with AlertSender("btc", alerting=Alerting()) as sender:
        sender.send_alert("X", **PAUSED)
        sender.withdraw("X")
    assert [level for level, _ in logged] == ["WARNING"]


def test_an_exit_delivers_what_was_sent_just_before(inbox: ServedInbox, counts: Counts) -> None:
    with AlertSender("btc", alerting=only(inbox, "discord"), count=counts) as sender:
        sender.send_alert("X", **PAUSED)
    assert [message.alertname for message in inbox.find("discord")] == ["X"]
    counts.reach("alerts_sent direct", 1)


def test_an_exit_waits_for_no_alertmanager_that_is_gone(inbox: ServedInbox) -> None:
    alerting = only(inbox, "discord", alertmanagers=("http://127.0.0.1:1",))
    began = time.monotonic()
    with AlertSender("btc", alerting=alerting, fallback_seconds=60, close_seconds=5) as sender:
        sender.send_alert("X", **PAUSED)
    assert [message.alertname for message in inbox.find("discord")] == ["X"]
    assert time.monotonic() - began < 4


def test_an_exit_waits_in_vain_for_no_alertmanager_that_hangs(inbox: ServedInbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:  # which takes connections and never answers
        alerting = only(inbox, "discord", alertmanagers=(f"http://127.0.0.1:{hangs.getsockname()[1]}",))
        with AlertSender("btc", alerting=alerting, fallback_seconds=60, timeout_seconds=5, close_seconds=2) as sender:
            sender.send_alert("X", **PAUSED)
    assert [message.alertname for message in inbox.find("discord")] == ["X"]


def test_an_exit_tells_nobody_twice_where_an_alertmanager_takes_its_time() -> None:
    desk = Ledger(alertmanagers=["am"], direct=["discord"], fallback_seconds=60, count=lambda *_: None)
    labels = {"alertname": "X", "severity": "info", "bot": "btc"}
    desk.take(new_alert(labels, summary="", description="", lasting=False, starts_at=0.0), Now(0.0, 0.0))
    assert desk.next_job("am", Now(0.0, 0.0)) is not None
    desk.hasten(Now(1.0, 1.0), whatever_is_on_its_way=False)
    assert desk.next_job("discord", Now(1.0, 1.0)) is None
    desk.hasten(Now(1.5, 1.5), whatever_is_on_its_way=True)
    assert desk.next_job("discord", Now(1.5, 1.5)) is not None


def test_an_exit_ends_its_threads_also_where_nobody_answers(inbox: ServedInbox) -> None:
    inbox.fault("silence", "discord", seconds=60)
    began = time.monotonic()
    with AlertSender("btc", alerting=only(inbox, "discord"), timeout_seconds=1, close_seconds=0.3) as sender:
        sender.send_alert("X", **PAUSED)
    assert time.monotonic() - began < 2
    inbox.clear()
    until(
        lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("nightdesk-alerts")],
        "the threads to end",
    )


def test_a_count_that_raises_ends_nothing(inbox: ServedInbox, start: StartSender) -> None:
    def broken(*_: str) -> None:
        raise RuntimeError("s3cret")

    sender = start(only(inbox, "discord"), count=broken)
    sender.send_alert("X", **PAUSED)
    inbox.arrived("discord")
    sender.send_alert("Y", **PAUSED)
    assert [message.alertname for message in inbox.arrived("discord", 2)] == ["X", "Y"]


def test_what_is_sent_before_the_start_goes_out_after_it(inbox: ServedInbox) -> None:
    sender = AlertSender("btc", alerting=only(inbox, "discord"))
    sender.send_alert("Early", **PAUSED)
    sender.send_alert("Over", **PAUSED)
    sender.withdraw("Over")
    with sender:
        inbox.arrived("discord")
    assert [message.alertname for message in inbox.find("discord")] == ["Early"]


def test_a_call_that_goes_wrong_costs_those_behind_it_nothing(
    inbox: ServedInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = DeliveryWorker.take

    def taken(worker: DeliveryWorker, alert: SentAlert) -> None:
        if alert.name == "Bad":
            raise ArithmeticError
        take(worker, alert)

    monkeypatch.setattr(DeliveryWorker, "take", taken)
    sender = AlertSender("btc", alerting=only(inbox, "discord"), fallback_seconds=0.1)
    for name in ("First", "Bad", "Second", "Bad", "Third"):
        sender.send_alert(name, **PAUSED)
    with sender:
        names = {message.alertname for message in inbox.arrived("discord", 3)}
    assert names == {"First", "Second", "Third"}


def test_a_thread_that_hangs_lets_no_memory_grow(inbox: ServedInbox, counts: Counts) -> None:
    sender = AlertSender("btc", alerting=only(inbox, "discord"), capacity=2, count=counts)
    for number in range(100):
        sender.send_alert(f"X{number}", **PAUSED)
    assert len(sender._calls) == 16
    with sender:
        inbox.arrived("discord", 2)
    counts.reach("alerts_dropped queue_full", 84 + 14)
