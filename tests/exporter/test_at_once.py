"""The health check looks when something changes and when a limit passes, whatever the status file's interval is."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_alerts import Alerting
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter, Limits
from nightdesk_exporter.health.assessment import assess

from tests.exporter.conftest import BTC, NOW, Clock, until
from tests.exporter.health_cases import CASES
from tests.exporter.story import Bot

INTERVAL = 86_400.0
"""Of the status file, so that no regular check comes to help."""


class Told:
    """An exporter in its block, and what its alerts say."""

    def __init__(self, exporter: BotExporter) -> None:
        self.exporter = exporter
        self.sent: dict[str, float] = {}
        self.withdrawn: dict[str, float] = {}
        sender: Any = exporter._alerts
        sender.send_alert = lambda name, **_: self.sent.setdefault(name, time.monotonic())
        sender.withdraw = lambda name, *_: self.withdrawn.setdefault(name, time.monotonic())


def healthy_bot(clock: Callable[[], float], *, limits: Limits | None = None, **options: Any) -> BotExporter:
    exporter = BotExporter(
        "mine",
        symbols=[BTC],
        timeframe="1h",
        port=0,
        clock=clock,
        limits=limits,
        health_check_interval_seconds=INTERVAL,
        alerting=Alerting(discord_webhook_url="http://127.0.0.1:1/nobody"),
        **options,
    )
    beat(exporter)
    exporter.model("v1", trained_at=clock())
    return exporter


def beat(exporter: BotExporter) -> None:
    """Let a turn of the loop happen in which everything goes well."""
    exporter.heartbeat()
    exporter.contact("ws")
    exporter.candle(BTC, "1h", close_time=exporter._clock())
    exporter.decision(BTC)
    exporter.equity(1000.0)


def looks_of(exporter: BotExporter) -> list[float]:
    """Return when the health is looked at from now on."""
    looks: list[float] = []
    checkup: Any = exporter._checkup
    checked = checkup.look

    def look(now: WallTime) -> Any:
        looks.append(time.monotonic())
        return checked(now)

    checkup.look = look
    return looks


@pytest.fixture
def told(clock: Clock) -> Iterator[Told]:
    exporter = healthy_bot(clock)
    told = Told(exporter)
    with exporter:
        until(lambda: exporter._checkup.due is not None, "the first check")
        yield told


@pytest.mark.parametrize(
    ("seconds", "alert"),
    [(121.0, "TradebotLoopStalled"), (301.0, "TradebotLoopStalled"), (7261.0, "TradebotLoopStalled")],
)
def test_a_limit_that_passes_is_told_of_within_a_second(seconds: float, alert: str, told: Told, clock: Clock) -> None:
    clock.now += seconds
    passed = time.monotonic()
    until(lambda: alert in told.sent, alert)
    assert told.sent[alert] - passed < 1.0


def test_a_lost_exchange_is_told_of_within_a_second_of_its_limit_by_the_real_clock() -> None:
    limits = Limits(exchange_contact_seconds=1.5)
    exporter = healthy_bot(time.time, limits=limits)
    told, begun = Told(exporter), time.monotonic()
    with exporter:
        until(lambda: "TradebotExchangeDisconnected" in told.sent, "the alert")
    assert 1.4 < told.sent["TradebotExchangeDisconnected"] - begun < 2.5


def test_what_comes_back_is_withdrawn_within_two_seconds(told: Told, clock: Clock) -> None:
    clock.now += 121
    until(lambda: "TradebotLoopStalled" in told.sent, "the alert")
    told.withdrawn.clear()
    told.exporter.heartbeat()
    clock.now += 1
    back = time.monotonic()
    until(lambda: "TradebotLoopStalled" in told.withdrawn, "its end")
    assert told.withdrawn["TradebotLoopStalled"] - back < 2.0


CHANGES: dict[str, Callable[[BotExporter], object]] = {
    "TradebotClockSkewed": lambda bot: bot.clock_offset(5.0),
    "TradebotLeverageHigh": lambda bot: bot.position(BTC, "long", size_ratio=3.0),
    "TradebotDrawdownHigh": lambda bot: bot.equity(800.0),
    "TradebotGuardPaused": lambda bot: bot.guard("paused"),
    "TradebotKillSwitchActive": lambda bot: bot.kill_switch(active=True),
    "TradebotSymbolUnlisted": lambda bot: bot.listed(BTC, listed=False),
    "TradebotModelMissing": lambda bot: bot.no_model(),
    "TradebotModelNotLoaded": lambda bot: bot.model_load_failed("damaged"),
    "TradebotModelStale": lambda bot: bot.model("v0", trained_at=NOW - 100 * 86_400),
    "TradebotModelUnderperforming": lambda bot: bot.delivered(trades=1, breached=True),
    "TradebotDiskUnwritable": lambda bot: bot.unwritable("journal", "full"),
    "TradebotStateLost": lambda bot: bot.state_lost("no journal"),
    "TradebotAuditMissing": lambda bot: bot.audit_missing("cut"),
    "TradebotCandleRejected": lambda bot: bot.candle_rejected(BTC, "1h", open_time=NOW, reason="is upside down"),
}


@pytest.mark.parametrize("alert", CHANGES)
def test_a_condition_is_evaluated_when_it_changes(alert: str, told: Told) -> None:
    at = time.monotonic()
    CHANGES[alert](told.exporter)
    until(lambda: alert in told.sent, alert)
    assert told.sent[alert] - at < 1.0


def test_several_positions_at_once_are_a_change_too(told: Told) -> None:
    told.exporter.positions({BTC: 2.0, "ETH": -2.0})
    until(lambda: "TradebotLeverageHigh" in told.sent, "the alert")


def test_the_status_file_keeps_its_interval(clock: Clock, tmp_path: Path) -> None:
    exporter = healthy_bot(clock, status_file=tmp_path / "status.json")
    with exporter:
        until(lambda: exporter.snapshot.status_written_at is not None, "the first file")
        time.sleep(0.6)  # the model's report woke it, too
        written = (tmp_path / "status.json").stat().st_mtime_ns
        for _ in range(8):
            clock.now += 10
            beat(exporter)
            exporter.position(BTC, "long", size_ratio=0.1)
            exporter.clock_offset(0.1)
            time.sleep(0.15)
        assert (tmp_path / "status.json").stat().st_mtime_ns == written


def test_wakes_without_end_leave_regular_checks_their_turn_and_are_few_turns(clock: Clock) -> None:
    regular: list[float] = []
    exporter = BotExporter(
        "mine",
        symbols=[],
        model=None,
        port=0,
        clock=clock,
        health_check_interval_seconds=0.5,
        before_check=lambda _: regular.append(time.monotonic()),
    )
    turns = looks_of(exporter)
    with exporter:
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            exporter.changed()
            time.sleep(0.005)
        in_time = len(turns)
    assert len(regular) >= 3
    # Each turn looks twice: for alerts and for the file.
    assert in_time <= 2 * (2.0 / 0.5 + 5)


def test_300_symbols_and_100_calls_a_second_cost_little() -> None:
    symbols = [f"S{number}/USDT" for number in range(300)]
    exporter = BotExporter(
        "mine", symbols=symbols, timeframe="1m", model=None, port=0, health_check_interval_seconds=INTERVAL
    )
    looks = looks_of(exporter)
    with exporter:
        for symbol in symbols:
            exporter.candle(symbol, "1m", close_time=time.time())
            exporter.decision(symbol)
        exporter.heartbeat()
        exporter.equity(1.0)
        # The first words are looked at, and what comes of them is: from then on nothing of it is anything new.
        until(lambda: looks != [] and time.monotonic() - looks[-1] > 2.0, "the first words to be looked at")
        looks.clear()
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.monotonic()
        for turn in range(300):
            symbol = symbols[turn]
            exporter.heartbeat()
            exporter.candle(symbol, "1m", close_time=time.time())
            exporter.decision(symbol)
            time.sleep(0.01)
        took = time.monotonic() - begun
        after, looked = resource.getrusage(resource.RUSAGE_SELF), len(looks)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Nothing of it brings a limit nearer.
    assert looked <= 1
    assert used / took < 0.15


@pytest.mark.parametrize("case", [case for case in CASES if case.story], ids=lambda case: case.name)
def test_nothing_changes_by_time_alone_before_the_next_look_is_due(case: Any) -> None:
    """Lived minute by minute, the health is what it was until the moment that it named itself."""
    bot = Bot()
    for minute in range(case.story.minutes):
        bot.now = 3600.0 + 60.0 * minute
        case.story.plot(bot, minute)
        unchanged_until_due(bot.exporter, bot.now, 59.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["heartbeat", "contact", "candle", "decision", "equity", "trade"]), st.integers(1, 400)
        ),
        max_size=25,
    )
)
def test_whatever_is_told_and_when_the_health_changes_only_when_it_said(told: list[tuple[str, int]]) -> None:
    bot = Bot()
    for what, seconds in told:
        everything = ("heartbeat", "contact", "candle", "decision", "equity", "trade", "status", "clock", "position")
        bot.healthy(without=tuple(each for each in everything if each != what))
        unchanged_until_due(bot.exporter, bot.now, float(seconds))
        bot.now += seconds


def unchanged_until_due(exporter: BotExporter, now: float, seconds: float) -> None:
    """Assert that nothing changes in the seconds that come but at the moments at which the health is looked at."""
    limits, step = exporter._limits, 0.0
    health = assess(exporter.snapshot, limits, now=WallTime(now))
    due = health.due
    while (step := step + 1.0) <= seconds:
        later = assess(exporter.snapshot, limits, now=WallTime(now + step))
        names = {(issue.key, issue.verdict) for issue in later.issues}
        if due is None or now + step <= due.seconds:
            assert names == {(issue.key, issue.verdict) for issue in health.issues}
        else:
            health, due = later, later.due


def test_the_thread_is_one_and_ends_with_the_block(told: Told) -> None:
    assert [thread.name for thread in threading.enumerate()].count("nightdesk-health") == 1
