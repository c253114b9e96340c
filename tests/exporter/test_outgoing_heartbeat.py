"""The heartbeat to the outside, end to end: it follows what the bot gets done, and its silence is that of the bot."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from nightdesk_alerts import Heartbeat, HeartbeatError
from nightdesk_alerts.delivery import heartbeat_sender
from nightdesk_exporter import BotExporter

from tests.alerts.conftest import ServedInbox, until
from tests.exporter.conftest import BTC, Clock

UUID = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
TOKEN = "Ab3dE6gH1j"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_sender, "_LOOK_SECONDS", 0.02)


def bot(clock: Clock, url: str, **more: float) -> BotExporter:
    return BotExporter("mine", symbols=[(BTC, "1h")], port=0, clock=clock, heartbeat_url=Heartbeat(url, **more))  # type: ignore[arg-type]


def working(exporter: BotExporter) -> None:
    exporter.heartbeat()
    exporter.model("v1", trained_at=exporter.snapshot.started_at.seconds)
    exporter.contact("rest")
    exporter.equity(10_000.0)


def value(exporter: BotExporter, name: str) -> float | None:
    return exporter.registry.get_sample_value(name)


def titles(inbox: ServedInbox, channel: str) -> list[str]:
    return [message.title for message in inbox.find(channel)]


Address = tuple[str, str, list[str]]


@pytest.fixture(params=["healthchecks", "uptime_kuma"])
def service(request: pytest.FixtureRequest, inbox: ServedInbox) -> Iterator[Address]:
    """Return a channel of the inbox, an address of it, and what a start, up and down are called there."""
    if request.param == "healthchecks":
        yield "healthchecks", f"{inbox.url}/ping/{UUID}", ["start", "success", "fail"]
    else:
        yield "uptime_kuma", f"{inbox.url}/api/push/{TOKEN}?status=up&msg=OK&ping=", ["", "up", "down"]


def test_a_start_then_beats_then_down_at_once_and_back(inbox: ServedInbox, service: Address, clock: Clock) -> None:
    channel, url, (start, up, down) = service
    with bot(clock, url) as exporter:
        first = [start] if start else []
        until(lambda: titles(inbox, channel) == first, "the start")
        working(exporter)
        until(lambda: titles(inbox, channel) == [*first, up], "the first beat, and only once the loop has turned")
        clock.now += 121
        until(lambda: titles(inbox, channel) == [*first, up, down], "down at once, long before the interval is over")
        words = inbox.find(channel)[-1].text
        assert words == "mine: unhealthy. The bot answers, but its trading loop stands still."
        exporter.heartbeat()
        until(lambda: titles(inbox, channel) == [*first, up, down, up], "up at once")
        assert value(exporter, "tradebot_heartbeats_sent_total") == len(first) + 3


def test_a_bot_that_only_loses_money_says_so_without_a_number(inbox: ServedInbox, clock: Clock) -> None:
    with bot(clock, f"{inbox.url}/ping/{UUID}") as exporter:
        working(exporter)
        exporter.equity(1_234.0)
        until(lambda: "fail" in titles(inbox, "healthchecks"), "down")
    assert inbox.find("healthchecks")[-1].text == (
        "mine: unhealthy. The drawdown is above its critical limit. The loss of the day is above its limit."
    )


def test_beats_come_by_the_interval(inbox: ServedInbox, clock: Clock) -> None:
    with bot(clock, f"{inbox.url}/ping/{UUID}", interval_seconds=1.0) as exporter:
        begun = time.monotonic()
        working(exporter)
        until(lambda: titles(inbox, "healthchecks").count("success") >= 3, "three beats")
        assert time.monotonic() - begun >= 1.8


def test_a_health_check_that_hangs_or_raises_silences_the_heartbeat(
    inbox: ServedInbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = bot(clock, f"{inbox.url}/ping/{UUID}", interval_seconds=1.0)
    working(exporter)

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(exporter, "_assess", broken)
    monkeypatch.setattr(exporter._checkup, "_assess", broken)
    with exporter:
        until(lambda: "heartbeat: KeyError" in exporter.snapshot.wrong_calls, "it is told")
        time.sleep(0.2)
        monkeypatch.undo()
    assert titles(inbox, "healthchecks") == ["start"]


def test_a_bot_that_ends_by_an_error_is_down_at_once_and_one_that_is_stopped_says_nothing(
    inbox: ServedInbox, clock: Clock
) -> None:
    with bot(clock, f"{inbox.url}/ping/{UUID}"):
        until(lambda: bool(inbox.find("healthchecks")), "the start")
    assert titles(inbox, "healthchecks") == ["start"]
    with pytest.raises(ZeroDivisionError), bot(clock, f"{inbox.url}/ping/{UUID}"):
        raise ZeroDivisionError("-1234.5 lost")
    assert titles(inbox, "healthchecks") == ["start", "start", "fail"]
    assert inbox.find("healthchecks")[-1].text == "mine: the bot has ended by an error."


FAULTS: list[Callable[[ServedInbox], None]] = [
    lambda inbox: inbox.fault("error500"),
    lambda inbox: inbox.fault("rate_limit"),
    lambda inbox: inbox.fault("refuse", "healthchecks", reason="not_found"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["error500", "rate_limit", "refuse"])
def test_what_does_not_arrive_is_counted_told_once_shown_and_sent_again(
    inbox: ServedInbox, clock: Clock, fault: Callable[[ServedInbox], None], messages: list[str]
) -> None:
    fault(inbox)
    with bot(clock, f"{inbox.url}/ping/{UUID}", interval_seconds=1.0) as exporter:
        working(exporter)
        until(lambda: (value(exporter, "tradebot_heartbeats_failed_total") or 0) >= 2, "two failures")
        assert [issue.name for issue in exporter.health().issues] == ["heartbeat_unsent"]
        inbox.clear()
        until(lambda: "success" in titles(inbox, "healthchecks"), "the next beat")
    assert sum("will take the bot for dead" in line for line in messages) == 1
    assert not any(UUID in line for line in messages)


def test_a_service_that_never_answers_delays_neither_the_bot_nor_its_end(clock: Clock) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with bot(clock, f"http://127.0.0.1:{silent.getsockname()[1]}/ping/{UUID}") as exporter:
            working(exporter)
            assert time.monotonic() - begun < 2
        assert time.monotonic() - begun < 6


def test_an_address_that_can_never_work_stops_the_start() -> None:
    with pytest.raises(HeartbeatError, match="no address"):
        BotExporter("mine", symbols=[], heartbeat_url="hc-ping.com/x")
    with pytest.raises(HeartbeatError, match="what kind of service"):
        BotExporter("mine", symbols=[], heartbeat_url="https://example.org/x")


def test_no_address_means_no_heartbeat() -> None:
    assert BotExporter("mine", symbols=[], heartbeat_url="", port=0)._heartbeat is None
