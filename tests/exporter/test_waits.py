"""A loop that waits on purpose is missed no sooner than it said; one that hangs is found all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from nightdesk_exporter import BotExporter

from tests.exporter.conftest import BTC, NOW, Clock, samples

HOUR = 3600.0


@pytest.fixture
def hourly(clock: Clock) -> BotExporter:
    """A bot that asks for its candle every hour, and does nothing in between."""
    return BotExporter("mine", symbols=[BTC], timeframe="1h", model=None, port=0, clock=clock)


def turn(exporter: BotExporter, clock: Clock) -> None:
    """Let the loop see a candle, decide on it, and wait for the next one."""
    exporter.heartbeat()
    with exporter.request():
        pass
    exporter.candle(BTC, "1h", close_time=clock.now)
    exporter.decision(BTC)
    exporter.equity(1.0)


def issues(exporter: BotExporter) -> list[str]:
    return [issue.name for issue in exporter.health().issues]


def test_known_failure_29_an_announced_hour_between_two_candles_is_healthy(hourly: BotExporter, clock: Clock) -> None:
    for _ in range(5):
        turn(hourly, clock)
        hourly.announce_wait(clock.now + HOUR)
        for _ in range(12):
            clock.now += HOUR / 12
            assert issues(hourly) == []


def test_a_loop_that_hangs_after_its_wait_or_in_it_is_found(hourly: BotExporter, clock: Clock) -> None:
    turn(hourly, clock)
    hourly.announce_wait(NOW + HOUR)
    for seconds, found in (
        (HOUR + 120, []),
        (HOUR + 121, ["loop_stalled"]),
        (HOUR + 301, ["loop_stalled", "exchange_disconnected"]),
    ):
        clock.now = NOW + seconds
        assert issues(hourly) == found


def test_a_wait_that_nobody_announced_is_a_loop_that_stands_still(hourly: BotExporter, clock: Clock) -> None:
    turn(hourly, clock)
    clock.now += 121
    assert issues(hourly) == ["loop_stalled"]


def test_a_wait_that_ends_early_counts_no_longer(hourly: BotExporter, clock: Clock) -> None:
    turn(hourly, clock)
    hourly.announce_wait(NOW + HOUR)
    clock.now += 60
    hourly.announce_wait(clock.now)
    clock.now += 121
    assert issues(hourly) == ["loop_stalled"]


def test_no_contact_is_made_up(hourly: BotExporter, clock: Clock) -> None:
    turn(hourly, clock)
    hourly.announce_wait(NOW + HOUR)
    clock.now += 600
    assert hourly.snapshot.contact_at["rest"].seconds == hourly.snapshot.heartbeat_at_wall == NOW
    assert samples(hourly, "heartbeat_limit_seconds") == ["tradebot_heartbeat_limit_seconds 3720.0"]
    assert samples(hourly, "exchange_contact_limit_seconds") == ["tradebot_exchange_contact_limit_seconds 3900.0"]


def test_the_limit_of_contact_follows_the_candles_where_only_requests_fetch_them(
    hourly: BotExporter, clock: Clock
) -> None:
    turn(hourly, clock)
    for seconds, found in ((301, []), (3660, []), (3661, ["exchange_disconnected"])):
        clock.now = NOW + seconds
        hourly.heartbeat()
        assert issues(hourly) == found


@pytest.mark.parametrize(
    "change",
    [
        lambda bot: bot.connection(connected=True),
        lambda bot: bot.connection(connected=False),
        lambda bot: bot.contact("ws"),
    ],
)
def test_where_there_is_a_stream_its_silence_counts(change: Any, hourly: BotExporter, clock: Clock) -> None:
    turn(hourly, clock)
    change(hourly)
    clock.now += 301
    hourly.heartbeat()
    assert "exchange_disconnected" in issues(hourly)


def test_a_request_that_fails_brings_the_limit_back_and_one_that_succeeds_lifts_it(
    hourly: BotExporter, clock: Clock
) -> None:
    turn(hourly, clock)
    hourly.announce_wait(NOW + HOUR)
    clock.now += 301
    with pytest.raises(TimeoutError), hourly.request():
        raise TimeoutError
    assert issues(hourly) == ["exchange_disconnected"]
    with hourly.request():
        pass
    assert issues(hourly) == []


def test_candles_that_come_faster_than_the_limit_leave_it(clock: Clock) -> None:
    exporter = BotExporter("mine", symbols=[BTC], timeframe="1m", model=None, port=0, clock=clock)
    exporter.contact("rest")
    assert samples(exporter, "exchange_contact_limit_seconds") == ["tradebot_exchange_contact_limit_seconds 300.0"]


def test_a_wait_is_a_day_long_at_most_or_as_the_candles_are(clock: Clock) -> None:
    for timeframe, most in (("1h", 86_400.0), ("1w", 604_800.0)):
        exporter = BotExporter("mine", symbols=[BTC], timeframe=timeframe, model=None, port=0, clock=clock)
        exporter.announce_wait(NOW + 1e9)
        assert exporter.snapshot.waiting_until_wall == NOW + most


@pytest.mark.parametrize("until", ["soon", None, NOW * 1000, datetime(2024, 1, 1), True])  # noqa: DTZ001
def test_a_wait_until_what_is_no_time_is_a_wrong_call(until: Any, hourly: BotExporter) -> None:
    hourly.announce_wait(until)
    assert "announce_wait: until" in hourly.snapshot.wrong_calls
    assert hourly.snapshot.waiting_until_wall is None


def test_a_wait_is_told_as_an_aware_time_too(hourly: BotExporter) -> None:
    hourly.announce_wait(datetime.fromtimestamp(NOW + 60, UTC))
    assert hourly.snapshot.waiting_until_wall == NOW + 60
