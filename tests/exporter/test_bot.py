"""The border to the loop: no call raises, wrong input is counted, and the next scrape is whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk_exporter import BotExporter, Position
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.conftest import BTC, MODEL, TRADE, samples, scrape

NAN = math.nan
Call = Callable[[Any], None]

WRONG: dict[str, tuple[Call, str]] = {
    "a channel that is no text": (lambda to: to.contact(5), "contact: ValidationError"),
    "an error as a failure's reason": (lambda to: to.request(failure=OSError("x")), "request: ValidationError"),
    "a connection that may be": (lambda to: to.connection(connected="maybe"), "connection: ValidationError"),
    "no symbol": (lambda to: to.candle(None, "1h", close_time=1), "candle: ValidationError"),
    "a candle's time that is NaN": (
        lambda to: to.candle(BTC, "1h", close_time=NAN),
        "candle: ValidationError",
    ),
    "no outcome": (lambda to: to.decision(BTC, outcome=None, regime="ranging"), "decision: ValidationError"),
    "another regime": (lambda to: to.decision(BTC, outcome="entered", regime="odd"), "decision: ValueError"),
    "another guard state": (
        lambda to: to.guard("odd", size_multiplier=1, values={}, limits={}),
        "guard: ValueError",
    ),
    "a guard value that is infinite": (
        lambda to: to.guard("normal", size_multiplier=1, values={"drawdown": math.inf}, limits={}),
        "guard: ValidationError",
    ),
    "a move to nowhere": (lambda to: to.guard_moved(None, reason="x"), "guard_moved: ValidationError"),
    "a kill switch that may be active": (lambda to: to.kill_switch(active="soon"), "kill_switch: ValidationError"),
    "a model's name only": (lambda to: to.model("v1"), "model: ValidationError"),
    "a model without an age": (lambda to: to.model(replace(MODEL, trained_at=NAN)), "model: ValidationError"),
    "an equity that is NaN": (
        lambda to: to.account(equity=NAN, peak=1.0, daily_pnl_ratio=0.0),
        "account: ValidationError",
    ),
    "a peak of 0": (lambda to: to.account(equity=1.0, peak=0.0, daily_pnl_ratio=0.0), "account: ZeroDivisionError"),
    "a side that is none": (lambda to: to.position(BTC, Position(BTC, "up", 1.0)), "position: ValueError"),
    "a size that is NaN": (lambda to: to.position(BTC, Position(BTC, "long", NAN)), "position: ValidationError"),
    "a trade whose profit is NaN": (lambda to: to.trade(replace(TRADE, profit=NAN)), "trade: ValidationError"),
    "many trades": (lambda to: to.recent_trades("many"), "recent_trades: ValidationError"),
    "trading that may be expected": (
        lambda to: to.trading_expected(expected="maybe"),
        "trading_expected: ValidationError",
    ),
    "too many arguments": (lambda to: to.heartbeat(1, 2), "heartbeat: ValidationError"),
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
    assert [line for line in after if line not in before] == [counted]
    assert [line for line in before if line not in after] == []
    assert [message for message in messages if message.startswith("exporter:")] == [f"exporter: {cause}"]


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


def test_numbers_of_numpy_are_numbers(exporter: BotExporter) -> None:
    exporter.account(equity=numpy.float64(99.0), peak=numpy.float64(100.0), daily_pnl_ratio=0.0)
    assert samples(exporter, "equity") == ['tradebot_equity{currency="USDT"} 99.0']
    assert samples(exporter, "instrumentation_errors_total") == []


def test_outside_its_with_block_it_has_no_url(exporter: BotExporter) -> None:
    with pytest.raises(RuntimeError, match="the exporter serves only inside its with block"):
        _ = exporter.url
