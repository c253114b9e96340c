"""Deposits and withdrawals as the exporter shows them: drawdown and the day's change are what the trading made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import BotExporter
from nightdesk_exporter.arguments import WrongCallError

from tests.campaigns import SEED, cases

START = 20_000.0 * DAY_SECONDS + 3600


class Bot:
    """An exporter without a server, on a clock that moves only when it is told to."""

    def __init__(self, **given: Any) -> None:
        self.now = START
        self.exporter = BotExporter("mine", symbols=[], strict=True, clock=lambda: self.now, **given)

    def show(self, money: float, *, days: float = 0.0) -> None:
        self.now += 1 + days * DAY_SECONDS
        self.exporter.equity(money)

    def value(self, name: str, **labels: str) -> float | None:
        return self.exporter.registry.get_sample_value(f"tradebot_{name}", labels)

    @property
    def ratios(self) -> tuple[float | None, float | None]:
        return self.value("drawdown_ratio"), self.value("daily_pnl_ratio")


def test_a_withdrawal_is_no_drawdown_and_no_loss_of_the_day() -> None:
    bot = Bot()
    bot.show(1000.0)
    bot.show(960.0)
    bot.exporter.cash_flow(-480.0, currency="USDT")
    for _ in range(2):
        assert bot.ratios == pytest.approx((0.04, -0.04))
        assert bot.value("equity", currency="USDT") == pytest.approx(480.0)
        assert bot.value("equity_peak", currency="USDT") == pytest.approx(500.0)
        bot.show(480.0)
    bot.show(450.0)
    assert bot.ratios == pytest.approx((0.1, -0.1))


def test_what_was_paid_is_counted_by_its_direction() -> None:
    bot = Bot(currency="EUR")
    assert bot.value("deposits_total", currency="EUR") == 0.0
    bot.show(1000.0)
    for amount in (100.0, -30.0, -20.0):
        bot.exporter.cash_flow(amount)
    assert bot.value("deposits_total", currency="EUR") == 100.0
    assert bot.value("withdrawals_total", currency="EUR") == 50.0
    assert [event.text for event in bot.exporter.snapshot.events][:2] == [
        "deposit of 100.00 EUR",
        "withdrawal of 30.00 EUR",
    ]


def test_told_late_over_midnight_it_moves_no_day_s_start_that_contains_it() -> None:
    bot = Bot()
    bot.show(1000.0)
    paid_at = bot.now + 0.5
    bot.show(1600.0)
    bot.show(1520.0, days=1)
    bot.exporter.cash_flow(600.0, at=paid_at)
    assert bot.ratios == pytest.approx((0.05, -0.05))


def test_between_the_last_equity_of_a_day_and_midnight_it_moves_the_next_day_s_start() -> None:
    bot = Bot()
    bot.show(1000.0)
    bot.exporter.cash_flow(-600.0)
    bot.show(392.0, days=1)
    assert bot.ratios == pytest.approx((0.02, -0.02))


def test_told_late_the_start_of_the_day_since_moves_with_it() -> None:
    bot = Bot()
    bot.show(1000.0)
    paid_at = bot.now + 0.5
    bot.show(392.0, days=1)
    bot.exporter.cash_flow(-600.0, at=paid_at)
    assert bot.ratios == pytest.approx((0.02, -0.02))


def test_the_curve_is_shown_in_the_money_of_now() -> None:
    bot = Bot()
    bot.show(1000.0)
    bot.show(900.0, days=0.1)
    bot.exporter.cash_flow(-450.0)
    points = bot.exporter.snapshot.curve.points()
    assert [(point.equity, point.drawdown_ratio) for point in points] == [(500.0, 0.0), (450.0, pytest.approx(0.1))]


def test_an_emptied_account_keeps_its_ratios_until_there_is_money_again() -> None:
    bot = Bot()
    for money in (1000.0, 960.0):
        bot.show(money)
    bot.exporter.cash_flow(-960.0)
    bot.show(0.0)
    assert bot.ratios == pytest.approx((0.04, -0.04))
    assert bot.value("equity", currency="USDT") == 0.0
    bot.exporter.cash_flow(480.0)
    bot.show(456.0)
    assert bot.ratios == pytest.approx((0.088, -0.088))


def test_a_flow_while_the_bot_was_down_is_scaled_by_what_the_status_file_knows(tmp_path: Path) -> None:
    file = tmp_path / "bot_status.json"
    first = Bot(status_file=file, port=0)
    with first.exporter:
        for money in (1000.0, 960.0):
            first.show(money)
    second = Bot(status_file=file, port=0)
    second.now = first.now + 60
    second.exporter.cash_flow(-480.0)
    second.show(480.0)
    assert second.ratios == pytest.approx((0.04, -0.04))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"amount": float("nan")}, "amount is nan"),
        ({"amount": None}, "amount is None; pass a number"),
        ({"amount": -1300.0}, "amount cannot be: a cash flow of -1300 takes out more than the 1000 that were there"),
        ({"amount": 1.0, "currency": "BTC"}, "currency is 'BTC'; the account is in USDT: convert the amount"),
        ({"amount": 1.0, "at": START + 1e6}, "at is .* ahead of the clock"),
        ({"amount": 1.0, "flow_id": 7}, "flow_id is a int; pass text"),
    ],
)
def test_a_flow_that_makes_no_sense_counts_for_nothing(given: dict[str, Any], why: str) -> None:
    bot = Bot()
    bot.show(1000.0)
    with pytest.raises(WrongCallError, match=why):
        bot.exporter.cash_flow(**given)
    assert bot.value("deposits_total", currency="USDT") == bot.value("withdrawals_total", currency="USDT") == 0.0
    assert bot.ratios == (0.0, 0.0)


def test_by_its_id_a_flow_counts_once() -> None:
    bot = Bot()
    bot.show(1000.0)
    for _ in range(3):
        bot.exporter.cash_flow(-500.0, flow_id="withdrawal 17")
    bot.show(500.0)
    assert bot.ratios == (0.0, 0.0)
    assert bot.value("withdrawals_total", currency="USDT") == 500.0


@pytest.mark.fuzz
@seed(SEED)
@settings(max_examples=cases(sample=150, campaign=20_000), deadline=None, print_blob=True)
@given(
    steps=st.lists(
        st.tuples(st.floats(-0.2, 0.3), st.floats(0.0, 0.6), st.lists(st.floats(-0.9, 3.0), max_size=2), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_any_sequence_of_flows_and_returns_leaves_each_ratio_as_if_the_account_had_been_scaled(
    steps: Sequence[tuple[float, float, list[float], bool]],
) -> None:
    paid, alone, money, scale = Bot(), Bot(), 1000.0, 1.0
    told_late = []
    for bot in (paid, alone):
        bot.show(money)
    for growth, days, flows, late in steps:
        for share in flows:
            paid.now += 0.001
            alone.now = paid.now
            amount = money * scale * share
            if late:
                told_late.append((amount, paid.now))
            else:
                paid.exporter.cash_flow(amount)
                assert late or told_late or paid.ratios == pytest.approx(alone.ratios, abs=1e-9)
            scale *= 1 + share
        money *= 1 + growth
        paid.show(money * scale, days=days)
        alone.show(money, days=days)
    for amount, at in told_late:
        paid.exporter.cash_flow(amount, at=at)
    assert paid.ratios == pytest.approx(alone.ratios, abs=1e-9)
