"""What the engine remembers between two candles: each symbol's account, the guard, and the shadow's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.files import stored
from nightdesk_guard import GuardMemory, GuardState

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Account
from nightdesk_trendbot.engine.stored_form import present_form


@dataclass(frozen=True)
class Book:
    """One symbol's part of the account."""

    account: Account
    mark: float = 0.0
    """The last close; 0 before the first."""
    volatility: float = 0.0
    """Of a day, at the last close: it scales what the next candle's fills cost. 0 where not known."""
    last_open: CandleTime = MarketTime(0)
    """The open of the last candle whose open was acted upon."""
    model_version: str = ""
    """The model that the open position, or the order that waits, was decided by."""
    guard: Literal["normal", "reduced"] = "normal"
    """How the guard stood then."""


@dataclass(frozen=True)
class EngineState:
    """Everything that a restarted bot needs to go on as if nothing had happened."""

    books: Mapping[str, Book]
    """By symbol, in the order of the settings."""
    cash: float
    """Equity but for what the books have earned."""
    guard: GuardMemory
    equity: float
    """At the last close."""
    peak_equity: float
    """The true peak, never re-anchored."""
    day_start_equity: float
    """Equity at the last midnight UTC."""
    last_close: CandleTime = MarketTime(0)
    """The close of the last candles that were decided on."""
    shadow: EngineState | None = None
    """The shadow's account while the guard is not NORMAL; it has no guard and no shadow of its own."""


def read_state(content: object, *, source: str) -> EngineState:
    """Return the state that was stored. Raises `StoredError` for what is none, or lacks anything."""
    return stored.from_plain(EngineState, present_form(content), source=source, complete=True)


def new_state(symbols: Sequence[str], equity: float) -> EngineState:
    """Return the state of a bot that has never traded."""
    return EngineState(
        books={symbol: Book(broker.flat(0.0)) for symbol in symbols},
        cash=equity,
        guard=GuardMemory(GuardState(peak_equity=equity, equity=equity)),
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


def with_book(state: EngineState, symbol: str, book: Book) -> EngineState:
    """Return the state with another book for one symbol."""
    return replace(state, books={**state.books, symbol: book})


def shadowed(state: EngineState) -> EngineState:
    """Return the state with a shadow where the guard holds the bot back, and without one where it does not.

    A shadow begins flat, with the equity that there is: it enters what the bot may not.
    """
    if not state.guard.holds_back:
        return state if state.shadow is None else replace(state, shadow=None)
    if state.shadow is not None:
        return state
    blank = new_state(list(state.books), state.equity)
    books = {
        symbol: replace(book, account=blank.books[symbol].account, model_version="", guard="normal")
        for symbol, book in state.books.items()
    }
    return replace(state, shadow=replace(blank, books=books, last_close=state.last_close))


def without_shadow_positions(state: EngineState, shadow: EngineState) -> EngineState:
    """Return the state whose shadow holds nothing and wants nothing; the same one where that is so."""
    for symbol, book in shadow.books.items():
        if book.account.side != 0 or book.account.waiting:
            flat = replace(book, account=broker.flat(book.account.realised))
            shadow = with_book(shadow, symbol, flat)
    return state if shadow is state.shadow else replace(state, shadow=shadow)
