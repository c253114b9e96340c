"""The page server's look at silences: what it exports, and what it tells people itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest
from nightdesk.answers import AnswerError
from nightdesk.pages import watch as watching
from nightdesk.pages.watch import SilenceWatch
from nightdesk.silences import Muted
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_core.clock import WallTime
from prometheus_client import CollectorRegistry, generate_latest

from tests.desk.test_silences import DAY, DOWN, HOUR, NOW, muted, silence

EVERYTHING = silence({"alertname": ".+"}, regex=True)


class Sender:
    """Notes what would be sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.said = ""
        self.lasting: list[bool] = []

    def send_alert(self, name: str, *, description: str, lasting: bool = True, **_: Any) -> None:
        self.calls.append(("send", name))
        self.said = description
        self.lasting.append(lasting)

    def withdraw(self, name: str) -> None:
        self.calls.append(("withdraw", name))


class Desk:
    """A watch whose Alertmanager says what a test wants."""

    def __init__(self) -> None:
        self.now: WallTime = NOW
        self.found: Muted | None = muted()
        self.sender = Sender()
        self.watch = SilenceWatch("btc", look=self.look, clock=lambda: self.now)

    def look(self) -> Muted:
        if self.found is None:
            raise AnswerError("http://alertmanager", "does not answer")
        return self.found

    def see(self, found: Muted | None) -> str:
        """Look once and return the metrics."""
        self.found = found
        self.watch.look_once(cast(AlertSender, self.sender))
        registry = CollectorRegistry()
        registry.register(self.watch)
        return generate_latest(registry).decode()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_not_known_is_not_exported(desk: Desk) -> None:
    assert "tradebot_critical_alerts_silenced_ratio 0.0" in desk.see(muted())
    assert "tradebot" not in desk.see(None)
    assert "tradebot_critical_alert_silenced_seconds 0.0" in desk.see(muted())


def test_it_exports_what_the_rule_asks_for(desk: Desk) -> None:
    text = desk.see(muted(silence(DOWN, end=2 * DAY)))
    assert f"tradebot_critical_alert_silenced_seconds {2 * DAY + HOUR}" in text
    assert "tradebot_critical_alerts_silenced_ratio 1.0" in desk.see(muted(EVERYTHING))
    assert "tradebot_critical_alerts_silenced_ratio 0.0" in desk.see(muted(silence({"bot": "eth"})))


def test_a_silence_of_everything_is_told_straight_to_people_once_and_so_is_its_end(desk: Desk) -> None:
    for _ in range(3):
        desk.see(muted(EVERYTHING))
    assert desk.sender.calls == [("send", "TradebotAlertsSilenced")]
    assert "by alice" in desk.sender.said
    desk.see(None)
    assert len(desk.sender.calls) == 1, "what is not known is not over"
    desk.see(muted())
    desk.see(muted())
    assert desk.sender.calls == [("send", "TradebotAlertsSilenced"), ("withdraw", "TradebotAlertsSilenced")]


def test_what_alertmanager_tells_is_not_told_twice(desk: Desk) -> None:
    desk.see(muted(silence(DOWN, end=3650 * DAY)))
    assert desk.sender.calls == []


def test_only_too_much_is_told(desk: Desk) -> None:
    """Alertmanager's own alert about it is silenced, but there is none."""
    desk.see(muted(silence({"alertname": "TradebotAlertsSilenced"})))
    assert desk.sender.calls == []
    desk.see(muted(silence({"alertname": "TradebotAlertsSilenced"}), silence(DOWN, end=2 * DAY)))
    assert desk.sender.calls == [("send", "TradebotAlertsSilenced")]


async def test_a_look_that_fails_in_whatever_way_is_not_the_last_and_what_was_known_is_not_known_any_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that had ended would export for ever that nothing is silenced."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
    answers: list[Muted | Exception] = [muted(), OverflowError("date value out of range"), muted(EVERYTHING), muted()]
    seen: list[float | None] = []

    def look() -> Muted:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def also(_: AlertSender) -> None:
        found = desk.watch.muted
        seen.append(None if found is None else found.silenced_ratio("btc"))
        if not answers:
            running.cancel()
        raise OSError(28, "No space left on device")

    desk.watch = SilenceWatch("btc", look=look, clock=lambda: desk.now)
    running = asyncio.create_task(desk.watch.run(Alerting(), also=also))
    with suppress(asyncio.CancelledError):
        await running
    assert seen == [0.0, None, 1.0, 0.0]
