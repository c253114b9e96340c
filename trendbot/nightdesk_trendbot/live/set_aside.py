"""Which candles the bot has set aside, in its journal: the exchange told of them what cannot be true.

To the bot there is no such candle, for good: neither a restart nor a backtest of what it did takes in what the exchange
may tell of it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loguru import logger
from nightdesk_core.clock import CandleTime, MarketTime
from nightdesk_core.files import stored
from nightdesk_core.files.stored import StoredError
from nightdesk_core.journal.journal import DamagedJournalError, Journal

from nightdesk_trendbot.live.report import Report
from nightdesk_trendbot.market.events import SetAside
from nightdesk_trendbot.market.rows import Rejected

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


class SetAsideCandles:
    """Those of one bot: what is set aside is in the journal before anybody hears of it."""

    def __init__(self, journal: Journal, report: Report, symbols: Iterable[str]) -> None:
        self._journal = journal
        self._report = report
        self._symbols = tuple(symbols)

    def times(self) -> dict[str, frozenset[int]]:
        """Return the opens of what was set aside, by symbol."""
        kept = set_aside(self._journal, self._symbols)
        return {symbol: frozenset(each.time.whole_seconds for each in candles) for symbol, candles in kept.items()}

    def note(self, event: SetAside) -> None:
        """Write down that a candle is set aside, and tell of it; the second time only tell."""
        kept = _load(self._journal, event.symbol).candles
        if all(candle.time != event.time for candle in kept):
            candles = sorted([*kept, SetAsideCandle(event.time, event.digest, event.reason)], key=lambda one: one.time)
            with self._journal.transaction():
                self._journal.save(_key(event.symbol), stored.plain(_Kept(tuple(candles[-_MOST:]))))
        self._report.set_aside(event)

    def of_history(self, rejected: Mapping[str, Sequence[Rejected]], *, fresh: bool) -> None:
        """Tell of what cannot be a candle in the history that a bot begins with; for a `fresh` one it is set aside."""
        for symbol, row in [(symbol, row) for symbol, rows in rejected.items() for row in rows]:
            if row.time is None:
                logger.warning("a row of the history of {} {}: it is left out", symbol, row.reason)
            elif fresh:
                self.note(SetAside(symbol, MarketTime(row.time), row.digest, row.reason))
            else:
                # An earlier run may have traded on it when it was told rightly: what was done stays as it is.
                self._report.set_aside(SetAside(symbol, MarketTime(row.time), row.digest, row.reason))


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
