"""Which market a journal belongs to: its positions and its equity mean nothing in another."""

from __future__ import annotations

from dataclasses import replace

from loguru import logger
from nightdesk_core.files.stored import StoredError
from nightdesk_core.journal.journal import DamagedJournalError, Journal, JournalError

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.state import Book, EngineState, read_state
from nightdesk_trendbot.live.journal_keys import MARKET_KEY, STATE_KEY
from nightdesk_trendbot.settings import TrendbotSettings


def market_of(settings: TrendbotSettings) -> dict[str, str | bool]:
    """Return what a journal's positions belong to."""
    exchange = settings.exchange
    return {
        "exchange": exchange.id,
        "testnet": exchange.testnet,
        "elsewhere": bool(exchange.rest_url),
        "timeframe": settings.timeframe,
    }


def restored(journal: Journal, settings: TrendbotSettings) -> EngineState | None:
    """Return the state that the journal ends with; `None` for a new journal.

    It is for the symbols that the settings name and, after them, those that they no longer name and that still hold a
    position. Raises `JournalError` where it is another market's, `DamagedJournalError` where it cannot be read.
    """
    kept, wanted = journal.load(MARKET_KEY), market_of(settings)
    state = journal.load(STATE_KEY)
    if kept is not None and (differing := _differing(kept, wanted)):
        raise JournalError(
            journal.path, f"is of another market ({differing}); set it aside, or give the bot another bot.state_dir"
        )
    if state is None:
        return None
    try:
        found = read_state(state, source=str(journal.path))
    except StoredError as error:
        raise DamagedJournalError(
            journal.path, f"its state is not one that this release wrote ({error.reason})"
        ) from error
    return _for_symbols(found, _traded(found, settings.symbols))


def _differing(stored: dict[str, object], wanted: dict[str, str | bool]) -> str:
    return ", ".join(
        f"{key} {stored.get(key)!r}, now {value!r}" for key, value in wanted.items() if stored.get(key) != value
    )


def _traded(state: EngineState, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols to go on with: those of the settings, and after them those that still hold a position."""
    held = [symbol for symbol, book in state.books.items() if symbol not in symbols and book.account.side != 0]
    for symbol in state.books.keys() - {*symbols, *held}:
        logger.info("{} is no longer traded; what it earned stays in the account", symbol)
    return (*symbols, *held)


def _for_symbols(state: EngineState, symbols: tuple[str, ...]) -> EngineState:
    """Return the state with a book for each symbol that is traded; what the others earned stays in the account.

    What the shadow holds in them is dropped: it was never money.
    """
    cash = state.cash + sum(book.account.realised for symbol, book in state.books.items() if symbol not in symbols)
    new = Book(broker.flat(0.0))
    books = {symbol: state.books.get(symbol, new) for symbol in symbols}
    shadow = None if state.shadow is None else _for_symbols(state.shadow, symbols)
    return replace(state, cash=cash, books=books, shadow=shadow)
