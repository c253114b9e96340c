"""The engine: what happens at a candle's open and at its close. Live and backtest run these same lines.

A decision at a candle's close enters at the next candle's open; barriers act on confirmed candles only. All symbols
share one equity: the candles that close at one time are one step, decided on in the order of the settings.

While the guard holds the bot back it also trades in the shadow: the same steps, at full size and threshold, on an
account of its own that moves no money. What comes of that is the evidence by which the guard lets the bot back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_core.trades import ClosedTrade
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import Close, GuardStatus, GuardStep, ModelInUse, PerformanceGuard, Resume
from nightdesk_guard.policy import step

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Order
from nightdesk_trendbot.engine.portfolio import Caps, room
from nightdesk_trendbot.engine.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.engine.state import Book, EngineState, equity, shadowed, with_book, without_shadow_positions
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar
from nightdesk_trendbot.signals.signal import Decision, Outcome, Permission, Signal, decide


@dataclass(frozen=True)
class StepResult:
    """What the candles that closed at one time led to."""

    state: EngineState
    trades: tuple[ClosedTrade, ...]
    decisions: Mapping[str, tuple[Permission, Decision]]
    """By symbol, of those that had a candle."""
    guard: GuardStep
    """What the guard made of it; nothing where the engine has none."""
    shadow_trades: tuple[ClosedTrade, ...] = ()

    @property
    def transition(self) -> GuardTransition | None:
        """The guard's move, where it made one."""
        return self.guard.moved


@dataclass(frozen=True)
class _Asked:
    """What the decisions of one time are made of."""

    bars: Mapping[str, Bar]
    signals: Mapping[str, Signal]
    permission: Callable[[EngineState, Signal], Permission]
    correlation: Callable[[str, str], float]
    model_version: str


class Engine:
    """Moves an `EngineState` through candles. Holds settings, and no state of its own."""

    def __init__(self, settings: TrendbotSettings, *, interval_seconds: int, guard: PerformanceGuard | None) -> None:
        """`guard=None` is the gate's backtest: always at full size."""
        self._rules = Rules.of(settings)
        self._caps = Caps.of(settings.portfolio, interval_seconds=interval_seconds)
        self._interval_seconds = interval_seconds
        self._guard = guard

    def cancel_orders(self, state: EngineState) -> EngineState:
        """Return the state without the orders that wait; the same one where none does.

        A shadow loses its positions, too: they are no money, and what they would have come to is not known.
        """
        for symbol, book in state.books.items():
            if book.account.waiting:
                state = with_book(state, symbol, replace(book, account=broker.cancel(book.account)))
        return state if state.shadow is None else without_shadow_positions(state, state.shadow)

    def at_open(self, state: EngineState, symbol: str, *, time: MarketTime, price: float) -> EngineState:
        """Return the state after a symbol's candle opened: an order that waited fills. Does nothing the second time."""
        book = state.books[symbol]
        if time <= book.last_open:
            return state
        account = broker.at_open(book.account, time.whole_seconds, price, costs_at(self._rules, book.volatility))
        state = with_book(state, symbol, replace(book, account=account, last_open=time))
        if state.shadow is None:
            return state
        return replace(state, shadow=self.at_open(state.shadow, symbol, time=time, price=price))

    def at_close(
        self,
        state: EngineState,
        bars: Mapping[str, Bar],
        *,
        signals: Mapping[str, Signal],
        permission: Callable[[EngineState, Signal], Permission],
        correlation: Callable[[str, str], float],
        model: ModelInUse,
        resume: Resume | None = None,
    ) -> StepResult:
        """Return what confirmed candles of one time lead to: barriers, marking, guard, decisions, in this order.

        `bars` has the candle of each symbol that has one, all of them opened; `permission` is asked for each once the
        trades are counted and the guard has moved, and for the shadow as if that were NORMAL; `correlation` is asked
        for two symbols' only where both are concerned. `resume` is the last one that an operator gave.
        """
        close_time = MarketTime(next(iter(bars.values())).time) + self._interval_seconds
        state, trades = self._settle(state, bars, signals, close_time)
        shadow_trades: tuple[ClosedTrade, ...] = ()
        if state.shadow is not None:
            shadow, shadow_trades = self._settle(state.shadow, bars, signals, close_time)
            state = replace(state, shadow=shadow)
        taken = GuardStep(close_time, state.guard)
        if self._guard is not None:
            close = Close(
                time=close_time,
                equity=state.equity,
                trades=trades,
                shadow_equity=None if state.shadow is None else state.shadow.equity,
                shadow_trades=shadow_trades,
            )
            taken = step(self._guard, state.guard, close, model=model, resume=resume)
            state = shadowed(replace(state, guard=taken.memory))
        asked = _Asked(bars, signals, permission, correlation, model.version)
        state, decisions = self._decide(state, state, asked)
        if state.shadow is not None:
            # As if the guard were NORMAL; what the model has earned of its size is the real account's all the same.
            normal = replace(state, guard=replace(state.guard, performance=state.shadow.guard.performance))
            shadow, _ = self._decide(state.shadow, normal, asked)
            state = replace(state, shadow=shadow)
        return StepResult(state, trades, decisions, taken, shadow_trades)

    def close_positions(
        self, state: EngineState, prices: Mapping[str, float], *, time: MarketTime
    ) -> tuple[EngineState, tuple[ClosedTrade, ...]]:
        """Return the state with the open positions of the symbols that have a price closed at it, and the trades.

        The same state where there is nothing to close.
        """
        trades = []
        for symbol in [symbol for symbol in prices if state.books[symbol].account.side != 0]:
            book = state.books[symbol]
            closing = broker.Closing(broker.KILL_SWITCH, prices[symbol])
            done = broker.settle(book.account, closing, costs_at(self._rules, book.volatility))
            trades.append(_trade(symbol, book, done, time))
            state = with_book(state, symbol, replace(book, account=done.account))
        return state, tuple(trades)

    def close_by_operator(self, state: EngineState, symbol: str, *, price: float) -> tuple[EngineState, ClosedTrade]:
        """Return the state in which an operator closed a symbol's open position at the last close, and the trade.

        The price is what was got: there is no slippage, and the fee is that of any exit. The account is marked anew;
        the guard is not told of the trade, which no rule ended, as of one that the kill switch closed. What the shadow
        holds in the symbol is dropped.
        """
        book = state.books[symbol]
        costs = costs_at(self._rules, book.volatility)._replace(slippage_ratio=0.0)
        done = broker.settle(book.account, broker.Closing(broker.OPERATOR, price), costs)
        trade = _trade(symbol, book, done, state.last_close)
        state = with_book(state, symbol, replace(book, account=done.account, mark=price))
        now = equity(state, {})
        state = replace(state, equity=now, peak_equity=max(state.peak_equity, now))
        if state.shadow is not None:
            held = state.shadow.books[symbol]
            flat = replace(held, account=broker.flat(held.account.realised))
            state = replace(state, shadow=with_book(state.shadow, symbol, flat))
        return state, trade

    def _settle(
        self, state: EngineState, bars: Mapping[str, Bar], signals: Mapping[str, Signal], close_time: MarketTime
    ) -> tuple[EngineState, tuple[ClosedTrade, ...]]:
        """Return the state after the candles ended what they end, marked to their closes, and the trades."""
        trades = []
        state = _without_unconfirmed_entries(state)
        for symbol in (symbol for symbol in state.books if symbol in bars):
            state, trade = self._close_at_barrier(state, symbol, bars[symbol], signals[symbol], close_time)
            trades += [] if trade is None else [trade]
        return self._mark(state, close_time), tuple(trades)

    def _decide(
        self, state: EngineState, asking: EngineState, asked: _Asked
    ) -> tuple[EngineState, Mapping[str, tuple[Permission, Decision]]]:
        """Return the state with the orders that the signals lead to, and what was decided on each.

        Permission is asked for in the name of `asking`.
        """
        decisions = {}
        for symbol in (symbol for symbol in state.books if symbol in asked.bars):
            signal = asked.signals[symbol]
            allowed = asked.permission(asking, signal)
            decision = decide(signal, allowed, in_position=state.books[symbol].account.side != 0)
            if decision.outcome is Outcome.ENTERED:
                decision = self._fit(state, symbol, decision, asked.correlation)
            if decision.outcome is Outcome.ENTERED:
                state = self._order(state, symbol, decision, asked.model_version)
            decisions[symbol] = (allowed, decision)
        return state, decisions

    def flatten(self, state: EngineState, close_time: MarketTime) -> StepResult:
        """Return the state with every open position closed at its symbol's last close: the end of a backtest."""
        trades = []
        for symbol, book in state.books.items():
            if book.account.side == 0:
                continue
            done = broker.settle(
                book.account, broker.Closing(broker.TIME, book.mark), costs_at(self._rules, book.volatility)
            )
            trades.append(_trade(symbol, book, done, close_time))
            state = with_book(state, symbol, replace(book, account=done.account))
        state = replace(state, equity=equity(state, {}))
        return StepResult(state, tuple(trades), {}, GuardStep(close_time, state.guard))

    def _close_at_barrier(
        self, state: EngineState, symbol: str, bar: Bar, signal: Signal, close_time: MarketTime
    ) -> tuple[EngineState, ClosedTrade | None]:
        book = state.books[symbol]
        costs = costs_at(self._rules, book.volatility)
        account = broker.at_open(book.account, bar.time, bar.open, costs)
        done = broker.at_close(account, bar, close_time.whole_seconds, costs)
        trade = _trade(symbol, replace(book, account=account), done, close_time) if done.reason != 0 else None
        moved = replace(book, account=done.account, mark=bar.close, volatility=signal.volatility)
        return with_book(state, symbol, moved), trade

    def _mark(self, state: EngineState, close_time: MarketTime) -> EngineState:
        now = equity(state, {})
        midnight = MarketTime(close_time.day * DAY_SECONDS)
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
        return with_book(state, symbol, replace(book, account=placed, model_version=model_version, guard=guard))


def _without_unconfirmed_entries(state: EngineState) -> EngineState:
    """Return the state in which every entry since the last close waits again.

    They filled at what the stream said of an open. The confirmed candle corrects that, or shows that there was none.
    """
    for symbol, book in state.books.items():
        account = book.account
        if account.side != 0 and account.entry_time >= state.last_close.seconds:
            state = with_book(state, symbol, replace(book, account=broker.place(account, account.order)))
    return state


def _trade(symbol: str, book: Book, done: broker.CandleClose, close_time: MarketTime) -> ClosedTrade:
    position = book.account
    return ClosedTrade(
        symbol=symbol,
        side="long" if position.side > 0 else "short",
        quantity=position.quantity,
        entry_time=position.entry_time,
        entry_price=position.entry_price,
        exit_time=close_time.whole_seconds,
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
