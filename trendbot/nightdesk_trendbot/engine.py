"""The engine: what happens at a candle's open and at its close. Live and backtest run these same lines.

A decision at a candle's close enters at the next candle's open; barriers act on confirmed candles only. All symbols
share one equity: the candles that close at one time are one step, decided on in the order of the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from nightdesk_core.journal import GuardTransition
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard import GuardState, GuardStatus, PerformanceGuard

from nightdesk_trendbot import broker
from nightdesk_trendbot.broker import Account, Barriers, Order
from nightdesk_trendbot.candles import Bar
from nightdesk_trendbot.portfolio import Caps, room
from nightdesk_trendbot.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import Decision, Outcome, Permission, Signal, decide


@dataclass(frozen=True)
class Book:
    """One symbol's part of the account. Times are market time."""

    account: Account
    mark: float = 0.0
    """The last close; 0 before the first."""
    volatility: float = 0.0
    """Of a day, at the last close: it scales what the next candle's fills cost. 0 where not known."""
    last_open: int = 0
    """The open of the last candle whose open was acted upon."""
    model_version: str = ""
    """The model that the open position, or the order that waits, was decided by."""
    guard: Literal["normal", "reduced"] = "normal"
    """How the guard stood then."""


@dataclass(frozen=True)
class EngineState:
    """Everything that a restarted bot needs to go on as if nothing had happened. Times are market time."""

    books: Mapping[str, Book]
    """By symbol, in the order of the settings."""
    cash: float
    """Equity but for what the books have earned."""
    guard: GuardState
    equity: float
    """At the last close."""
    peak_equity: float
    """The true peak, never re-anchored."""
    day_start_equity: float
    """Equity at the last midnight UTC."""
    last_close: int = 0
    """The close of the last candles that were decided on."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as it is stored."""
        books = {symbol: {**asdict(book), "account": list(book.account)} for symbol, book in self.books.items()}
        return {**vars(self), "books": books, "guard": self.guard.to_json()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EngineState:
        """Return the state that `to_json` stored. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        books = {
            symbol: Book(**{**book, "account": _account(book["account"])}) for symbol, book in stored["books"].items()
        }
        return cls(**{**stored, "books": books, "guard": GuardState.from_json(stored["guard"])})


def _account(stored: Sequence[Any]) -> Account:
    *fields, (side, notional, sized_by, barriers) = stored
    return Account._make([*fields, Order(side, notional, sized_by, Barriers(*barriers))])


def new_state(symbols: Sequence[str], equity: float) -> EngineState:
    """Return the state of a bot that has never traded."""
    return EngineState(
        books={symbol: Book(broker.flat(0.0)) for symbol in symbols},
        cash=equity,
        guard=GuardState(peak_equity=equity, equity=equity),
        equity=equity,
        peak_equity=equity,
        day_start_equity=equity,
    )


def equity(state: EngineState, prices: Mapping[str, float]) -> float:
    """Return the equity with each symbol at its price; at its last close where none is given."""
    total = state.cash
    for symbol, book in state.books.items():
        total += broker.value(book.account, prices.get(symbol, book.mark))
    return total


@dataclass(frozen=True)
class StepResult:
    """What the candles that closed at one time led to."""

    state: EngineState
    trades: tuple[ClosedTrade, ...]
    transition: GuardTransition | None
    decisions: Mapping[str, tuple[Permission, Decision]]
    """By symbol, of those that had a candle."""


class Engine:
    """Moves an `EngineState` through candles. Holds settings, and no state of its own."""

    def __init__(self, settings: TrendbotSettings, *, interval_seconds: int, guard: PerformanceGuard | None) -> None:
        """`guard=None` is the gate's backtest: always at full size."""
        self._rules = Rules.of(settings)
        self._caps = Caps.of(settings.portfolio, interval_seconds=interval_seconds)
        self._interval_seconds = interval_seconds
        self._guard = guard

    def cancel_orders(self, state: EngineState) -> EngineState:
        """Return the state without the orders that wait; the same one where none does."""
        for symbol, book in state.books.items():
            if book.account.waiting:
                state = _with(state, symbol, replace(book, account=broker.cancel(book.account)))
        return state

    def at_open(self, state: EngineState, symbol: str, *, time: int, price: float) -> EngineState:
        """Return the state after a symbol's candle opened: an order that waited fills. Does nothing the second time."""
        book = state.books[symbol]
        if time <= book.last_open:
            return state
        account = broker.at_open(book.account, time, price, costs_at(self._rules, book.volatility))
        return _with(state, symbol, replace(book, account=account, last_open=time))

    def at_close(
        self,
        state: EngineState,
        bars: Mapping[str, Bar],
        *,
        signals: Mapping[str, Signal],
        permission: Callable[[GuardState, Signal], Permission],
        correlation: Callable[[str, str], float],
        model_version: str,
    ) -> StepResult:
        """Return what confirmed candles of one time lead to: barriers, marking, guard, decisions, in this order.

        `bars` has the candle of each symbol that has one, all of them opened; `permission` is asked after the guard has
        moved, with its new state; `correlation` is asked for two symbols' only where both are concerned.
        """
        close_time = next(iter(bars.values())).time + self._interval_seconds
        trades = []
        state = _without_unconfirmed_entries(state)
        for symbol in (symbol for symbol in state.books if symbol in bars):
            state, trade = self._close_at_barrier(state, symbol, bars[symbol], signals[symbol], close_time)
            trades += [] if trade is None else [trade]
        state = self._mark(state, close_time)
        transition = None
        if self._guard is not None:
            won = tuple(trade.won for trade in trades)
            guard, transition = self._guard.advance(state.guard, time=close_time, equity=state.equity, closed=won)
            state = replace(state, guard=guard)
        decisions = {}
        for symbol in (symbol for symbol in state.books if symbol in bars):
            allowed = permission(state.guard, signals[symbol])
            decision = decide(signals[symbol], allowed, in_position=state.books[symbol].account.side != 0)
            if decision.outcome is Outcome.ENTERED:
                decision = self._fit(state, symbol, decision, correlation)
            if decision.outcome is Outcome.ENTERED:
                state = self._order(state, symbol, decision, model_version)
            decisions[symbol] = (allowed, decision)
        return StepResult(state, tuple(trades), transition, decisions)

    def flatten(self, state: EngineState, close_time: int) -> StepResult:
        """Return the state with every open position closed at its symbol's last close: the end of a backtest."""
        trades = []
        for symbol, book in state.books.items():
            if book.account.side == 0:
                continue
            done = broker.settle(
                book.account, broker.Closing(broker.TIME, book.mark), costs_at(self._rules, book.volatility)
            )
            trades.append(_trade(symbol, book, done, close_time))
            state = _with(state, symbol, replace(book, account=done.account))
        return StepResult(replace(state, equity=equity(state, {})), tuple(trades), None, {})

    def _close_at_barrier(
        self, state: EngineState, symbol: str, bar: Bar, signal: Signal, close_time: int
    ) -> tuple[EngineState, ClosedTrade | None]:
        book = state.books[symbol]
        costs = costs_at(self._rules, book.volatility)
        account = broker.at_open(book.account, bar.time, bar.open, costs)
        done = broker.at_close(
            account, bar.time, bar.open, bar.high, bar.low, bar.close, bar.funding, close_time, costs
        )
        trade = _trade(symbol, replace(book, account=account), done, close_time) if done.reason != 0 else None
        moved = replace(book, account=done.account, mark=bar.close, volatility=signal.volatility)
        return _with(state, symbol, moved), trade

    def _mark(self, state: EngineState, close_time: int) -> EngineState:
        now = equity(state, {})
        midnight = close_time // 86_400 * 86_400
        day_start = state.day_start_equity
        if state.last_close < midnight:
            # The exchange may lack the candle that ends at midnight: then it is what there was before.
            day_start = now if close_time == midnight else state.equity
        return replace(
            state,
            equity=now,
            peak_equity=max(state.peak_equity, now),
            day_start_equity=day_start,
            last_close=close_time,
        )

    def _fit(
        self, state: EngineState, symbol: str, decision: Decision, correlation: Callable[[str, str], float]
    ) -> Decision:
        """Return the decision cut down to what the other positions leave room for."""
        if state.equity <= 0:
            return Decision(Outcome.BLOCKED_EXPOSURE)
        symbols = list(state.books)
        leverages = np.array([broker.exposure(book.account, book.mark) / state.equity for book in state.books.values()])
        volatilities = np.array([book.volatility for book in state.books.values()])
        # Only symbols that hold something are asked for: a correlation costs something.
        correlations = np.array(
            [
                correlation(symbol, other) if other != symbol and leverages[index] != 0 else 0.0
                for index, other in enumerate(symbols)
            ]
        )
        allowed = room(
            symbols.index(symbol),
            decision.side,
            decision.leverage,
            leverages,
            volatilities,
            correlations,
            self._caps,
        )
        return replace(decision, leverage=allowed) if allowed > 0 else Decision(Outcome.BLOCKED_EXPOSURE)

    def _order(self, state: EngineState, symbol: str, decision: Decision, model_version: str) -> EngineState:
        book = state.books[symbol]
        barriers = barriers_at(self._rules, book.volatility)
        order = Order(decision.side, decision.leverage * state.equity, state.equity, barriers)
        placed = broker.place(book.account, order)
        guard: Literal["normal", "reduced"] = "reduced" if state.guard.status is GuardStatus.REDUCED else "normal"
        return _with(state, symbol, replace(book, account=placed, model_version=model_version, guard=guard))


def _without_unconfirmed_entries(state: EngineState) -> EngineState:
    """Return the state in which every entry since the last close waits again.

    They filled at what the stream said of an open. The confirmed candle corrects that, or shows that there was none.
    """
    for symbol, book in state.books.items():
        account = book.account
        if account.side != 0 and account.entry_time >= state.last_close:
            state = _with(state, symbol, replace(book, account=broker.place(account, account.order)))
    return state


def _with(state: EngineState, symbol: str, book: Book) -> EngineState:
    return replace(state, books={**state.books, symbol: book})


def _trade(symbol: str, book: Book, done: broker.Close, close_time: int) -> ClosedTrade:
    position = book.account
    return ClosedTrade(
        symbol=symbol,
        side="long" if position.side > 0 else "short",
        quantity=position.quantity,
        entry_time=position.entry_time,
        entry_price=position.entry_price,
        exit_time=close_time,
        exit_price=done.price,
        exit_reason=broker.EXIT_REASONS[done.reason],
        fees=done.fees,
        funding=done.funding,
        profit=done.profit,
        equity_before=position.order.equity,
        model_version=book.model_version,
        slippage=done.slippage,
        risk=broker.risk(position),
        guard=book.guard,
    )
