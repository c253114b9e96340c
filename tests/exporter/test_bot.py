"""The border to the loop: no call raises, wrong input is counted, and the next scrape is whole."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime
from nightdesk_exporter import BotExporter, Limits
from nightdesk_exporter.arguments import WrongCallError
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.conftest import BTC, MODEL, samples, scrape

NAN = math.nan
Call = Callable[[Any], None]

WRONG: dict[str, tuple[Call, str]] = {
    "a channel that is no text": (lambda to: to.contact(5), "contact: channel"),
    "a refusal without a reason": (lambda to: to.rejection(OSError("x")), "rejection: reason"),
    "a connection that may be": (lambda to: to.connection(connected="maybe"), "connection: connected"),
    "a clock that is off by NaN": (lambda to: to.clock_offset(NAN), "clock_offset: seconds"),
    "a channel that is neither": (lambda to: to.contact("REST"), "contact: channel"),
    "a candle's time in milliseconds": (
        lambda to: to.candle(BTC, "1h", close_time=1_700_000_000_000),
        "candle: close_time",
    ),
    "a training's time in milliseconds": (lambda to: to.model("v1", trained_at=1.7e12), "model: trained_at"),
    "a time before all times": (lambda to: to.model("v1", trained_at=-1e15), "model: trained_at"),
    "a win ratio in percent": (lambda to: to.promised(win_ratio=55.0), "promised: win_ratio"),
    "a limit that is NaN": (lambda to: to.set_limits(Limits(heartbeat_seconds=NAN)), "set_limits: limits"),
    "no symbol": (lambda to: to.candle(None, "1h", close_time=1), "candle: symbol"),
    "a candle's time that is NaN": (lambda to: to.candle(BTC, "1h", close_time=NAN), "candle: close_time"),
    "a candle's time that is a number too large": (
        lambda to: to.candle(BTC, "1h", close_time=math.inf),
        "candle: close_time",
    ),
    "an interval below 0": (
        lambda to: to.expect_candles(BTC, "1h", interval_seconds=-1),
        "expect_candles: interval_seconds",
    ),
    "a decision on nothing": (lambda to: to.decision(None), "decision: symbol"),
    "a decision that took less than no time": (lambda to: to.decision(BTC, seconds=-1), "decision: seconds"),
    "no outcome": (lambda to: to.signal(BTC, None), "signal: outcome"),
    "another regime": (lambda to: to.regime(BTC, "odd"), "regime: regime"),
    "another guard state": (lambda to: to.guard("odd"), "guard: state"),
    "a guard value that is infinite": (lambda to: to.guard("normal", values={"drawdown": math.inf}), "guard: values"),
    "a guard limit without a tier": (lambda to: to.guard("normal", limits={"drawdown": 0.1}), "guard: limits"),
    "a guard without a reason": (lambda to: to.guard("paused", reason=None), "guard: reason"),
    "a kill switch that may be active": (lambda to: to.kill_switch(active="soon"), "kill_switch: active"),
    "a model's name only": (lambda to: to.model("v1"), "model: arguments"),
    "a model without an age": (lambda to: to.model(**{**MODEL, "trained_at": NAN}), "model: trained_at"),
    "a model of another standing": (lambda to: to.model("v1", trained_at=1.0, standing="odd"), "model: standing"),
    "a failure without a reason": (lambda to: to.model_load_failed(None), "model_load_failed: reason"),
    "a promise that is NaN": (
        lambda to: to.promised(win_ratio=NAN, sharpe_ratio=1, max_drawdown_ratio=0),
        "promised: win_ratio",
    ),
    "a gap of an unknown source": (lambda to: to.delivered(trades=1, gaps={"luck": 0.1}), "delivered: gaps"),
    "half a trade": (lambda to: to.delivered(trades=0.5), "delivered: trades"),
    "a shadow that is NaN": (
        lambda to: to.shadow(trades_closed=1, win_ratio=NAN, drawdown_ratio=None),
        "shadow: win_ratio",
    ),
    "an equity that is NaN": (lambda to: to.equity(NAN), "equity: equity"),
    "an equity below 0": (lambda to: to.equity(-1.0), "equity: equity"),
    "an equity in words": (lambda to: to.equity("much"), "equity: equity"),
    "a peak of 0": (lambda to: to.equity(1.0, peak=0.0), "equity: peak"),
    "a day that is NaN": (lambda to: to.equity(1.0, daily_pnl_ratio=NAN), "equity: daily_pnl_ratio"),
    "a side that is none": (lambda to: to.position(BTC, "up", size_ratio=1.0), "position: side"),
    "a size that is NaN": (lambda to: to.position(BTC, "long", size_ratio=NAN), "position: size_ratio"),
    "a trade whose profit is NaN": (lambda to: to.trade(BTC, profit=NAN), "trade: profit"),
    "a trade of nothing": (lambda to: to.trade(None, profit=1.0), "trade: symbol"),
    "many trades": (lambda to: to.recent_trades("many"), "recent_trades: count"),
    "trading that may be expected": (lambda to: to.trading_expected(expected="maybe"), "trading_expected: expected"),
    "limits that are a number": (lambda to: to.set_limits(5), "set_limits: limits"),
    "an audit log of a negative length": (lambda to: to.audit(entries=-1, head="x"), "audit: entries"),
    "a request with a number for a name": (lambda to: to.request(5), "request: what"),
    "an alert without a severity": (lambda to: to.send_alert("X", severity="odd", summary="."), "send_alert: severity"),
    "an alert without a name": (lambda to: to.withdraw_alert(" "), "withdraw_alert: alertname"),
    "an alert with odd labels": (
        lambda to: to.send_alert("X", severity="info", summary=".", labels={"symbol": 5}),
        "send_alert: labels",
    ),
    "an event that is none": (lambda to: to.event(None), "event: message"),
    "an event of an unknown level": (lambda to: to.event("x", level="LOUD"), "event: level"),
    "a time without its zone": (
        lambda to: to.candle(BTC, "1h", close_time=datetime(2019, 10, 17)),  # noqa: DTZ001 - what is refused
        "candle: close_time",
    ),
    "too many arguments": (lambda to: to.heartbeat(1, 2), "heartbeat: arguments"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_counted_and_changes_nothing_else_of_the_scrape(
    what: str, full: BotExporter, messages: list[str]
) -> None:
    call, cause = WRONG[what]
    before = tradebot_lines(full)
    call(full)
    call(full)
    after = tradebot_lines(full)
    counted = f'tradebot_instrumentation_errors_total{{cause="{cause}"}} 2.0'
    assert [line for line in after if line not in before and "health" not in line] == [counted]
    assert [line for line in before if line not in after and "health" not in line] == []
    (logged,) = [message for message in messages if message.startswith("exporter:")]
    assert logged.startswith(f"exporter: {cause}")
    (issue,) = [issue for issue in full.health().issues if issue.name == "instrumentation_errors"]
    assert f"{cause}: " in issue.cause


def tradebot_lines(exporter: BotExporter) -> list[str]:
    """Return the samples of the bot's own metrics."""
    return [line for line in scrape(exporter).splitlines() if line.startswith("tradebot_")]


ANYTHING = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.floats(),
    st.integers(),
    st.binary(max_size=3),
    st.just({}),
    st.just([]),
    st.just(MODEL),
)
NO_CALLS = {
    "asgi_app",
    "wsgi_app",
    "name",
    "place",
    "url",
    "held_in_memory",
    "health",
    "status",
    "note_error",
    "changed",
    "forked",
}
CALLS = st.sampled_from(sorted(name for name in dir(BotExporter) if not name.startswith("_") and name not in NO_CALLS))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=CALLS, arguments=st.lists(ANYTHING, max_size=3), data=st.data())
def test_no_call_with_whatever_arguments_raises_or_breaks_the_scrape(
    full: BotExporter, name: str, arguments: list[Any], data: st.DataObject
) -> None:
    keywords = {
        key: data.draw(ANYTHING)
        for key in ("active", "expected", "connected", "side", "seconds", "peak", "level", "reason")
        if data.draw(st.booleans())
    }
    getattr(full, name)(*arguments, **keywords)
    values = [
        sample.value
        for found in text_string_to_metric_families(scrape(full))
        if found.name.startswith("tradebot_")
        for sample in found.samples
    ]
    assert all(math.isfinite(value) for value in values)
    full.status()


@pytest.mark.parametrize("what", WRONG)
def test_a_strict_exporter_raises_the_same(what: str, full: BotExporter) -> None:
    call, _ = WRONG[what]
    full.strict = True
    with pytest.raises((WrongCallError, TypeError)):
        call(full)


def test_a_wrong_call_says_what_to_do(full: BotExporter, messages: list[str]) -> None:
    full.candle(BTC, "1h", close_time=datetime(2019, 10, 17))  # noqa: DTZ001 - what is refused
    full.regime(BTC, "sideways")
    assert messages == [
        "exporter: candle: close_time: close_time has no time zone; pass an aware datetime, such as datetime.now(UTC)",
        "exporter: regime: regime: regime is 'sideways'; pass one of unknown, trending_up, trending_down, ranging,"
        " high_volatility",
    ]


def test_a_time_may_be_an_aware_datetime(exporter: BotExporter) -> None:
    exporter.candle(BTC, "1h", close_time=datetime(2019, 10, 17, 9, tzinfo=UTC))
    assert exporter.snapshot.market_time == MarketTime(1_571_302_800.0)


def test_a_rebate_does_not_lower_a_counter(exporter: BotExporter) -> None:
    exporter.trade(BTC, profit=1.0, fees=5.0)
    exporter.trade(BTC, profit=1.0, fees=-3.0)
    assert samples(exporter, "fees_paid_total") == ['tradebot_fees_paid_total{currency="USDT"} 5.0']


def test_numbers_of_numpy_are_numbers(exporter: BotExporter) -> None:
    exporter.equity(numpy.float64(99.0), peak=numpy.float64(100.0), daily_pnl_ratio=numpy.float64(0.0))
    assert samples(exporter, "equity") == ['tradebot_equity{currency="USDT"} 99.0']
    assert samples(exporter, "instrumentation_errors_total") == []


def test_outside_its_with_block_it_has_no_url(exporter: BotExporter) -> None:
    with pytest.raises(RuntimeError, match="the exporter serves only inside its with block"):
        _ = exporter.url


class MuteError(Exception):
    """An exception that cannot say what happened."""

    def __str__(self) -> str:
        raise self


def test_a_failure_that_cannot_be_shown_does_not_raise_another(full: BotExporter, messages: list[str]) -> None:
    with pytest.raises(MuteError), full.request("an order"):
        raise MuteError
    assert messages[-1] == "an order failed: MuteError: <exception str() failed>"
    assert samples(full, "instrumentation_errors_total") == []


async def test_a_request_is_an_asynchronous_context_manager_too(full: BotExporter) -> None:
    before = full.snapshot.counters["exchange_requests",]
    async with full.request("a candle"):
        pass
    assert full.snapshot.counters["exchange_requests",] == before + 1


def test_a_cancelled_request_is_neither_success_nor_failure(full: BotExporter) -> None:
    before = dict(full.snapshot.counters)
    with pytest.raises(asyncio.CancelledError), full.request():
        raise asyncio.CancelledError
    assert full.snapshot.counters == before


def test_a_guard_that_stays_as_it_is_may_have_another_reason(full: BotExporter) -> None:
    full.guard("paused", reason="losing streak")
    full.guard("paused", reason="drawdown")
    full.guard("paused")
    assert full.snapshot.guard_reason == "drawdown"
