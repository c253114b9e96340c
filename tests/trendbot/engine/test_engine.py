"""The engine's rules, each reckoned by hand, and over random markets that the money adds up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime
from nightdesk_core.files import stored
from nightdesk_core.trades import ClosedTrade
from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
from nightdesk_trendbot.engine.state import equity, read_state
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar, Candles
from nightdesk_trendbot.signals.signal import Outcome, Permission

from tests.trendbot.conftest import HOUR, bars_of, make_candles
from tests.trendbot.engine_desk import START, SYMBOL, Desk, bar, entered, wish


@pytest.fixture
def desk(plain: TrendbotSettings) -> Desk:
    return Desk(plain)


def test_a_decision_at_the_close_enters_at_the_next_open_with_slippage_and_fee(desk: Desk) -> None:
    assert desk.candle(bar(0, 90, 95, 85, 92), wish(1)) is Outcome.ENTERED
    assert (desk.state.equity, desk.account.side, desk.account.waiting) == (1000.0, 0, True)
    desk.opens(1, 100.0)
    account = desk.account
    assert account.entry_price == pytest.approx(102.0)  # 100 and 2% slippage
    assert account.quantity == pytest.approx(500 / 102)  # half of the equity
    assert account.fees == pytest.approx(5.0)  # 1% of 500
    assert equity(desk.state, {SYMBOL: 102.0}) == pytest.approx(995.0)
    assert (account.target_price, account.stop_price) == pytest.approx((112.2, 96.9))
    assert account.deadline == START + 5 * HOUR
    assert (account.order.equity, account.order.notional) == (1000.0, 500.0)


def test_a_short_pays_slippage_downwards(desk: Desk) -> None:
    desk.candle(bar(0, 90, 95, 85, 92), wish(-1))
    desk.opens(1, 100.0)
    account = desk.account
    assert account.entry_price == pytest.approx(98.0)
    assert (account.target_price, account.stop_price) == pytest.approx((88.2, 102.9))


def test_an_open_acts_once_however_often_it_is_told(desk: Desk) -> None:
    desk.candle(bar(0, 90, 95, 85, 92), wish(1))
    desk.opens(1, 100.0)
    once = desk.state
    desk.opens(1, 150.0)
    desk.opens(0, 150.0)
    assert desk.state is once


def test_an_entry_at_an_open_that_the_stream_misheard_is_put_right_by_the_confirmed_candle(
    plain: TrendbotSettings,
) -> None:
    heard, misheard = Desk(plain), Desk(plain)
    for desk, price in ((heard, 100.0), (misheard, 101.5)):
        desk.candle(bar(0, 90, 95, 85, 92), wish(1))
        desk.opens(1, price)
        desk.candle(bar(1, 100, 103, 99, 101))
    assert misheard.state == heard.state
    assert heard.account.side == 1


def test_a_target_pays_gross_less_both_fees_and_slippage(plain: TrendbotSettings) -> None:
    desk = entered(plain)
    quantity = 500 / 102
    trade = desk.trade(bar(2, 105, 113, 104, 110))
    fill = 112.2 * 0.98
    assert trade.exit_reason == "target"
    assert trade.exit_price == pytest.approx(fill)
    assert trade.fees == pytest.approx(5.0 + quantity * fill * 0.01)
    assert trade.profit == pytest.approx(quantity * (fill - 102) - trade.fees)
    assert desk.state.equity == pytest.approx(1000 + trade.profit)
    assert (trade.entry_time, trade.exit_time) == (START + HOUR, START + 3 * HOUR)
    assert (trade.side, trade.equity_before) == ("long", 1000.0)
    assert trade.quantity == pytest.approx(quantity)
    assert trade.funding == 0.0
    assert trade.model_version == "v1"


@pytest.mark.parametrize(
    ("side", "candle", "reason", "price"),
    [
        (1, bar(2, 100, 101, 96.89, 99), "stop", 96.9),
        (1, bar(2, 100, 112.21, 99, 101), "target", 112.2),
        (1, bar(2, 100, 115, 95, 101), "stop", 96.9),
        (1, bar(2, 94, 99, 90, 98), "stop", 94.0),
        (1, bar(2, 120, 125, 118, 121), "target", 120.0),
        (1, bar(2, 94, 125, 93, 121), "stop", 94.0),
        (-1, bar(2, 100, 102.91, 99, 101), "stop", 102.9),
        (-1, bar(2, 100, 101, 88.19, 99), "target", 88.2),
        (-1, bar(2, 100, 104, 85, 99), "stop", 102.9),
        (-1, bar(2, 105, 106, 101, 104), "stop", 105.0),
        (-1, bar(2, 80, 84, 79, 82), "target", 80.0),
    ],
    ids=[
        "a stop that is touched",
        "a target that is touched",
        "the stop before the target in one candle",
        "a gap beyond the stop fills at the open",
        "a gap beyond the target fills at the open",
        "a gap beyond the stop before the target",
        "a short's stop",
        "a short's target",
        "a short's stop before its target",
        "a short's gap beyond the stop",
        "a short's gap beyond the target",
    ],
)
def test_where_a_candle_ends_a_position(
    side: int, candle: Bar, reason: str, price: float, plain: TrendbotSettings
) -> None:
    desk = entered(plain, side)
    trade = desk.trade(candle)
    assert trade.exit_reason == reason
    assert trade.exit_price == pytest.approx(price * (1 - side * 0.02))


def test_a_candle_between_the_barriers_ends_nothing(plain: TrendbotSettings) -> None:
    desk = entered(plain)
    desk.candle(bar(2, 100, 112.19, 96.91, 105))
    assert desk.trades == []
    assert desk.state.equity == pytest.approx(995 + 500 / 102 * (105 - 102))


def test_the_candle_of_the_entry_can_end_it(desk: Desk) -> None:
    desk.candle(bar(0, 90, 95, 85, 92), wish(1))
    trade = desk.trade(bar(1, 100, 101, 90, 100))
    assert (trade.exit_reason, trade.entry_time, trade.exit_time) == ("stop", START + HOUR, START + 2 * HOUR)


def test_time_is_the_last_barrier_and_fills_at_the_close(plain: TrendbotSettings) -> None:
    desk = entered(plain)
    for hour in (2, 3):
        desk.candle(bar(hour, 100, 101, 99, 100))
    trade = desk.trade(bar(4, 100, 104, 99, 103))
    assert trade.exit_reason == "time"
    assert trade.exit_price == pytest.approx(103 * 0.98)
    assert trade.exit_time - trade.entry_time == 4 * HOUR


@pytest.mark.parametrize(("side", "sign"), [(1, 1), (-1, -1)])
def test_longs_pay_shorts_at_each_settlement_on_what_they_hold(side: int, sign: int, plain: TrendbotSettings) -> None:
    far = BarrierSettings(target_ratio=0.5, stop_ratio=0.4, holding_hours=100)
    desk = entered(plain.model_copy(update={"barriers": far}), side)
    quantity, entry = desk.account.quantity, desk.account.entry_price
    for hour in range(2, 16):
        desk.candle(bar(hour, 110, 111, 109, 110, funding={7: 0.001, 15: -0.0004}.get(hour, 0.0)))
    paid = sign * quantity * 110 * 0.0006
    assert desk.account.funding == pytest.approx(paid)
    assert desk.state.equity == pytest.approx(995 - paid + side * quantity * (110 - entry))
    result = desk.engine.flatten(desk.state, MarketTime(START + 16 * HOUR))
    (trade,) = result.trades
    assert trade.funding == pytest.approx(paid)
    assert result.state.equity == pytest.approx(1000 + trade.profit)


def test_a_position_that_ends_in_the_candle_of_a_settlement_has_paid_it(plain: TrendbotSettings) -> None:
    trade = entered(plain).trade(bar(2, 100, 101, 90, 95, funding=0.01))
    assert trade.funding == pytest.approx(500 / 102 * 100 * 0.01)


def test_a_position_that_fills_at_the_hour_of_funding_pays_none(plain: TrendbotSettings) -> None:
    desk = Desk(plain)
    desk.candle(bar(6, 100, 100, 100, 100), wish(1))
    desk.candle(bar(7, 100, 100, 100, 100, funding=0.01))
    assert desk.account.side == 1
    assert desk.account.funding == 0.0


def test_orders_that_wait_can_be_taken_back_and_positions_keep_their_barriers(plain: TrendbotSettings) -> None:
    desk = Desk(plain)
    desk.candle(bar(0, 90, 95, 85, 92), wish(1))
    desk.state = desk.engine.cancel_orders(desk.state)
    desk.candle(bar(1, 100, 100, 100, 100))
    assert (desk.state.equity, desk.account.side, desk.account.waiting) == (1000.0, 0, False)
    desk = entered(plain)
    assert desk.engine.cancel_orders(desk.state) is desk.state
    assert desk.trade(bar(2, 100, 101, 90, 95)).exit_reason == "stop"


def test_a_position_keeps_the_barriers_and_the_model_of_its_entry_through_a_swap_and_a_restart(
    plain: TrendbotSettings,
) -> None:
    desk = entered(plain)
    written = json.loads(json.dumps(stored.plain(desk.state)))
    other = plain.model_copy(update={"barriers": BarrierSettings(target_ratio=0.01, stop_ratio=0.01, holding_hours=1)})
    again = Desk(other)
    again.state = read_state(written, source="a test")
    assert again.state == desk.state
    again.candle(bar(2, 100, 104, 98, 103), wish(1), version="v2")
    assert again.trades == []
    again.candle(bar(3, 103, 113, 103, 112), wish(-1), version="v2")
    (trade,) = again.trades
    assert (trade.exit_reason, trade.model_version) == ("target", "v1")
    assert trade.exit_price == pytest.approx(112.2 * 0.98)
    assert again.book.model_version == "v2"


def test_an_entry_that_waits_belongs_to_the_model_that_decided_it(desk: Desk) -> None:
    desk.candle(bar(0, 90, 95, 85, 92), wish(1), version="v1")
    desk.candle(bar(1, 100, 101, 99, 100), wish(1), version="v2")
    desk.candle(bar(2, 100, 101, 90, 95), version="v2")
    assert [trade.model_version for trade in desk.trades] == ["v1"]


def test_the_share_that_guard_and_standing_leave_scales_the_size(plain: TrendbotSettings) -> None:
    desk = Desk(plain)
    desk.candle(bar(0, 90, 90, 90, 90), wish(1, leverage=2.0), permission=Permission(size_share=0.125))
    desk.candle(bar(1, 100, 100, 100, 100))
    assert desk.account.quantity * desk.account.entry_price == pytest.approx(250.0)


def test_the_day_starts_with_the_equity_at_midnight_also_where_midnight_s_own_candle_is_missing(
    plain: TrendbotSettings,
) -> None:
    desk = entered(plain)
    desk.state = replace(desk.state, last_close=MarketTime(START + 2 * HOUR))
    desk.candle(bar(2, 100, 101, 97, 98))
    before = desk.state.equity
    assert desk.state.day_start_equity == 1000.0
    missing = replace(desk.state)
    desk.candle(bar(22, 98, 99, 97, 99))
    assert desk.state.day_start_equity == desk.state.equity != before
    desk.state = missing
    desk.candle(bar(24, 98, 99, 97, 99))
    assert desk.state.day_start_equity == before


def test_the_true_peak_is_never_anchored_anew(desk: Desk) -> None:
    desk.candle(bar(0, 90, 95, 85, 92), wish(1))
    desk.candle(bar(1, 100, 108, 100, 108))
    peak = desk.state.peak_equity
    assert peak == pytest.approx(995 + 500 / 102 * 6)
    desk.candle(bar(2, 100, 101, 90, 95))
    assert desk.state.peak_equity == peak


def test_break_even_is_where_winners_just_pay_for_losers_and_costs() -> None:
    share = break_even_win_rate(Rules.of(TrendbotSettings()))
    # Fees twice, slippage once: that of the entry is in the fill that the barriers lie around.
    assert share == pytest.approx((0.01 + 0.00125) / 0.03)
    assert share * 0.02 - (1 - share) * 0.01 - 0.00125 == pytest.approx(0.0)


def walk(trade: ClosedTrade, candles: Candles, chosen: TrendbotSettings) -> tuple[str, int, float]:
    """Return (reason, exit time, price before slippage) of a trade by the rules, bar by bar, in another way."""
    long = trade.side == "long"
    barriers = chosen.barriers
    target = trade.entry_price * (1 + (barriers.target_ratio if long else -barriers.target_ratio))
    stop = trade.entry_price * (1 - (barriers.stop_ratio if long else -barriers.stop_ratio))
    for candle in bars_of(candles):
        if candle.time < trade.entry_time:
            continue
        close_time = candle.time + HOUR
        if (candle.low <= stop) if long else (candle.high >= stop):
            return "stop", close_time, min(candle.open, stop) if long else max(candle.open, stop)
        if (candle.high >= target) if long else (candle.low <= target):
            return "target", close_time, max(candle.open, target) if long else min(candle.open, target)
        if close_time - trade.entry_time >= barriers.holding_hours * HOUR:
            return "time", close_time, candle.close
    raise AssertionError("the trade ended in the candles")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    target=st.floats(0.002, 0.05),
    stop=st.floats(0.002, 0.05),
    hours=st.integers(1, 30),
    fee=st.floats(0, 0.002),
    slippage=st.floats(0, 0.002),
    funding=st.floats(-0.001, 0.001),
    wishes=st.lists(st.tuples(st.sampled_from((-1, 0, 1)), st.floats(0.05, 2.0)), min_size=150, max_size=150),
)
def test_over_any_market_cash_and_profits_agree_to_the_cent_and_every_exit_is_where_the_rules_say(
    seed: int,
    target: float,
    stop: float,
    hours: int,
    fee: float,
    slippage: float,
    funding: float,
    wishes: list[tuple[int, float]],
) -> None:
    chosen = TrendbotSettings(
        initial_equity=10_000,
        barriers=BarrierSettings(target_ratio=target, stop_ratio=stop, holding_hours=hours),
        costs=CostSettings(fee_ratio=fee, slippage_ratio=slippage, slippage_scaled=False),
    )
    candles = make_candles(150, seed=seed, missing=(40, 41, 77))
    candles = candles.with_funding({int(time): funding for time in candles.time if time % (8 * HOUR) == 0})
    desk = Desk(chosen)
    entries: dict[int, tuple[int, float]] = {}
    for candle, (side, leverage) in zip(bars_of(candles), wishes, strict=False):
        waiting = desk.account.order.side if desk.account.waiting else 0
        desk.candle(candle, wish(side, leverage=leverage))
        if waiting:
            entries[candle.time] = (waiting, candle.open)
        realised = sum(trade.profit for trade in desk.trades)
        account = desk.account
        assert account.realised == pytest.approx(realised, abs=0.005)
        held = account.side * account.quantity * (candle.close - account.entry_price)
        open_costs = account.fees + account.funding if account.side else 0.0
        assert desk.state.equity == pytest.approx(10_000 + realised + held - open_costs, abs=0.005)
    done = desk.engine.flatten(desk.state, MarketTime(candle.time + HOUR))
    finished = list(desk.trades)
    desk.trades += done.trades
    assert done.state.equity == pytest.approx(10_000 + sum(trade.profit for trade in desk.trades), abs=0.005)
    assert done.state.books[SYMBOL].account.side == 0
    for trade in desk.trades:
        side, price = entries[trade.entry_time]
        assert trade.side == ("long" if side > 0 else "short")
        assert trade.entry_price == pytest.approx(price * (1 + side * slippage), rel=1e-12)
    for trade in finished:
        reason, exit_time, price = walk(trade, candles, chosen)
        sign = 1 if trade.side == "long" else -1
        assert (trade.exit_reason, trade.exit_time) == (reason, exit_time)
        assert trade.exit_price == pytest.approx(price * (1 - sign * slippage), rel=1e-12)
