"""The engine where a symbol has no candle: orders wait for one, and an entry counts once REST has its candle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_guard import ModelInUse
from nightdesk_trendbot.engine.engine import Engine, StepResult
from nightdesk_trendbot.engine.state import Book, EngineState, equity, new_state
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome, Permission, Signal

from tests.trendbot.conftest import HOUR
from tests.trendbot.engine_desk import QUIET, START, bar, uncorrelated, wish

FIRST, SECOND = "BTC/USDT:USDT", "EUR/USDT:USDT"


@pytest.fixture
def engine(plain: TrendbotSettings) -> Engine:
    return Engine(plain, interval_seconds=HOUR, guard=None)


@pytest.fixture
def state(plain: TrendbotSettings) -> EngineState:
    return new_state([FIRST, SECOND], plain.initial_equity)


def step(
    engine: Engine, state: EngineState, hour: int, signals: dict[str, Signal], *, price: float = 100.0
) -> StepResult:
    """Have the candles of the symbols that have a signal open, at one price, and close."""
    bars = {symbol: bar(hour, price, price, price, price) for symbol in signals}
    for symbol, candle in bars.items():
        state = engine.at_open(state, symbol, time=MarketTime(candle.time), price=candle.open)
    return engine.at_close(
        state,
        bars,
        signals=signals,
        permission=lambda *_: Permission(),
        correlation=uncorrelated,
        model=ModelInUse("v1"),
    )


def test_an_order_waits_for_its_market_to_open_again_and_fills_at_that_open(engine: Engine, state: EngineState) -> None:
    state = step(engine, state, 0, {FIRST: QUIET, SECOND: wish(1)}).state
    for hour in range(1, 49):
        state = step(engine, state, hour, {FIRST: QUIET}).state
        assert state.books[SECOND].account.waiting
    state = step(engine, state, 49, {FIRST: QUIET, SECOND: QUIET}, price=110.0).state
    account = state.books[SECOND].account
    assert (account.side, account.entry_time) == (1, START + 49 * HOUR)
    assert account.entry_price == pytest.approx(110 * 1.02)
    assert account.deadline == START + 53 * HOUR


def test_an_order_that_waits_takes_its_part_of_the_leverage_cap(engine: Engine, state: EngineState) -> None:
    state = step(engine, state, 0, {FIRST: QUIET, SECOND: wish(1, leverage=2.3)}).state
    result = step(engine, state, 1, {FIRST: wish(1, leverage=0.5)})
    assert result.decisions[FIRST][1].outcome is Outcome.BLOCKED_EXPOSURE


@pytest.mark.parametrize("other_has_one", [True, False], ids=["another symbol has the hour", "no symbol has the hour"])
def test_an_entry_at_an_open_that_only_the_stream_knew_of_waits_for_the_next_candle(
    other_has_one: bool, engine: Engine, state: EngineState
) -> None:
    """As in the backtest, which never hears of that candle."""
    state = step(engine, state, 0, {FIRST: QUIET, SECOND: wish(1)}).state
    live = engine.at_open(state, SECOND, time=MarketTime(START + HOUR), price=105.0)
    assert live.books[SECOND].account.side == 1
    if other_has_one:
        live, state = (step(engine, before, 1, {FIRST: QUIET}).state for before in (live, state))
    live, state = (step(engine, before, 2, {FIRST: QUIET, SECOND: QUIET}).state for before in (live, state))
    assert live == state
    assert live.books[SECOND].account.entry_time == START + 2 * HOUR


def test_a_symbol_without_a_candle_is_marked_at_its_last_close(engine: Engine, state: EngineState) -> None:
    state = step(engine, state, 0, {FIRST: QUIET, SECOND: wish(1)}).state
    state = step(engine, state, 1, {FIRST: QUIET, SECOND: QUIET}).state
    result = step(engine, state, 2, {FIRST: QUIET}, price=50.0)
    assert result.state.equity == state.equity == equity(state, {})
    assert list(result.decisions) == [FIRST]


def test_without_equity_nothing_is_entered(engine: Engine, state: EngineState) -> None:
    for cash in (0.0, -5.0):
        ruined = replace(state, cash=cash, books={FIRST: Book(state.books[FIRST].account), SECOND: state.books[SECOND]})
        result = step(engine, ruined, 0, {FIRST: wish(1), SECOND: wish(-1)})
        assert {decision.outcome for _, decision in result.decisions.values()} == {Outcome.BLOCKED_EXPOSURE}
        assert not any(book.account.waiting for book in result.state.books.values())
