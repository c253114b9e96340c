"""The border to the loop: no call raises, wrong input is counted, and the next scrape is whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk_exporter import BotExporter, Position
from nightdesk_exporter.arguments import WrongCallError
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.conftest import BTC, MODEL, TRADE, samples, scrape

NAN = math.nan
Call = Callable[[Any], None]

WRONG: dict[str, tuple[Call, str]] = {
    "a channel that is no text": (lambda to: to.contact(5), "contact: channel"),
    "an error as a failure's reason": (lambda to: to.request(failure=OSError("x")), "request: failure"),
    "a connection that may be": (lambda to: to.connection(connected="maybe"), "connection: connected"),
    "no symbol": (lambda to: to.candle(None, "1h", close_time=1), "candle: symbol"),
    "a candle's time that is NaN": (
        lambda to: to.candle(BTC, "1h", close_time=NAN),
        "candle: close_time",
    ),
    "no outcome": (lambda to: to.decision(BTC, outcome=None, regime="ranging"), "decision: outcome"),
    "another regime": (lambda to: to.decision(BTC, outcome="entered", regime="odd"), "decision: regime"),
    "another guard state": (
        lambda to: to.guard("odd", size_multiplier=1, values={}, limits={}),
        "guard: state",
    ),
    "a guard value that is infinite": (
        lambda to: to.guard("normal", size_multiplier=1, values={"drawdown": math.inf}, limits={}),
        "guard: values",
    ),
    "a move to nowhere": (lambda to: to.guard_moved(None, reason="x"), "guard_moved: to"),
    "a kill switch that may be active": (lambda to: to.kill_switch(active="soon"), "kill_switch: active"),
    "a model's name only": (lambda to: to.model("v1"), "model: model"),
    "a model without an age": (lambda to: to.model(replace(MODEL, trained_at=NAN)), "model: model.trained_at"),
    "an equity that is NaN": (
        lambda to: to.account(equity=NAN, peak=1.0, daily_pnl_ratio=0.0),
        "account: equity",
    ),
    "a peak of 0": (lambda to: to.account(equity=1.0, peak=0.0, daily_pnl_ratio=0.0), "account: peak"),
    "a side that is none": (lambda to: to.position(BTC, Position(BTC, "up", 1.0)), "position: position.side"),
    "a size that is NaN": (lambda to: to.position(BTC, Position(BTC, "long", NAN)), "position: position.size_ratio"),
    "a trade whose profit is NaN": (lambda to: to.trade(replace(TRADE, profit=NAN)), "trade: trade.profit"),
    "many trades": (lambda to: to.recent_trades("many"), "recent_trades: count"),
    "trading that may be expected": (
        lambda to: to.trading_expected(expected="maybe"),
        "trading_expected: expected",
    ),
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
CALLS = st.sampled_from(
    sorted(
        name
        for name in vars(BotExporter)
        if not name.startswith("_") and name not in {"url", "health", "status", "note_error"}
    )
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=CALLS, arguments=st.lists(ANYTHING, max_size=3), data=st.data())
def test_no_call_with_whatever_arguments_raises_or_breaks_the_scrape(
    full: BotExporter, name: str, arguments: list[Any], data: st.DataObject
) -> None:
    keywords = {
        key: data.draw(ANYTHING)
        for key in ("active", "expected", "connected", "failure", "outcome", "regime", "reason")
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
    full.decision(BTC, outcome="entered", regime="sideways")
    assert messages == [
        "exporter: candle: close_time: close_time has no time zone; pass an aware datetime, such as datetime.now(UTC)",
        "exporter: decision: regime: regime is 'sideways'; pass one of unknown, trending_up, trending_down, ranging,"
        " high_volatility",
    ]


def test_a_time_may_be_an_aware_datetime(exporter: BotExporter) -> None:
    exporter.candle(BTC, "1h", close_time=datetime(2019, 10, 17, 9, tzinfo=UTC))
    assert exporter.snapshot.market_time == 1_571_302_800.0


def test_a_rebate_does_not_lower_a_counter(exporter: BotExporter) -> None:
    exporter.trade(TRADE)
    exporter.trade(replace(TRADE, fees=-3.0))
    assert samples(exporter, "fees_paid_total") == ['tradebot_fees_paid_total{currency="USDT"} 5.0']


def test_numbers_of_numpy_are_numbers(exporter: BotExporter) -> None:
    exporter.account(equity=numpy.float64(99.0), peak=numpy.float64(100.0), daily_pnl_ratio=0.0)
    assert samples(exporter, "equity") == ['tradebot_equity{currency="USDT"} 99.0']
    assert samples(exporter, "instrumentation_errors_total") == []


def test_outside_its_with_block_it_has_no_url(exporter: BotExporter) -> None:
    with pytest.raises(RuntimeError, match="the exporter serves only inside its with block"):
        _ = exporter.url
