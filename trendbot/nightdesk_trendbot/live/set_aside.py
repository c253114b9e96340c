"""Which candles the bot has set aside, in its journal: the exchange told of them what cannot be true.

To the bot there is no such candle, for good: neither a restart nor a backtest of what it did takes in what the exchange
may tell of it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nightdesk_core import stored
from nightdesk_core.clock import CandleTime
from nightdesk_core.journal import DamagedJournalError, Journal
from nightdesk_core.stored import StoredError

from nightdesk_trendbot.market.events import SetAside

_MOST = 5000
"""Of a symbol, the newest: many times what any history looks back on."""


@dataclass(frozen=True)
class SetAsideCandle:
    """A candle that was set aside: its open, a digest of what was told in its place, and what was wrong with that."""

    time: CandleTime
    digest: str
    reason: str


@dataclass(frozen=True)
class _Kept:
    candles: tuple[SetAsideCandle, ...] = ()


def set_aside(journal: Journal, symbols: Iterable[str]) -> Mapping[str, tuple[SetAsideCandle, ...]]:
    """Return what was set aside, by symbol, oldest first. Raises `DamagedJournalError` where it cannot be read."""
    return {symbol: _load(journal, symbol).candles for symbol in symbols}


def note(journal: Journal, event: SetAside) -> None:
    """Write down that a candle is set aside; the second time nothing."""
    kept = _load(journal, event.symbol).candles
    if any(candle.time == event.time for candle in kept):
        return
    candles = sorted([*kept, SetAsideCandle(event.time, event.digest, event.reason)], key=lambda each: each.time)
    with journal.transaction():
        journal.save(_key(event.symbol), stored.plain(_Kept(tuple(candles[-_MOST:]))))


def _load(journal: Journal, symbol: str) -> _Kept:
    content = journal.load(_key(symbol))
    if content is None:
        return _Kept()
    try:
        return stored.from_plain(_Kept, content, source=str(journal.path), complete=True)
    except StoredError as error:
        raise DamagedJournalError(journal.path, f"does not say what was set aside ({error.reason})") from error


def _key(symbol: str) -> str:
    return f"set aside {symbol}"
