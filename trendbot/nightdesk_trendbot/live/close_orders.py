"""An operator's orders to close a position at a price that the operator names: given by a file, carried out once.

The bot takes an order within half a second, or before anything else at its next start. That it was carried out is in
the journal, in one transaction with the trade, so that no crash has it carried out twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import CandleTime, WallClock, WallTime, system_clock
from nightdesk_core.files import stored
from nightdesk_core.files.durable import locked, set_aside, write_json_atomic
from nightdesk_core.files.reader import InputError, MissingInputError
from nightdesk_core.files.stored import StoredError
from nightdesk_core.journal.journal import DamagedJournalError, Journal

from nightdesk_trendbot.market.rows import LARGEST_PRICE

_KEY = "close orders"
_LOCK_SECONDS = 1.0
"""It is held for a read and a write. The bot waits for it never: no candle may wait for who holds it and hangs."""
_MOST = 1000
"""Orders, the newest, of which the journal holds what became of them."""


@dataclass(frozen=True)
class CloseOrder:
    """One position is to be closed: that of a symbol that was entered at a time. `price` is in the quote currency."""

    key: str
    symbol: str
    entry_time: CandleTime
    price: float
    reason: str
    actor: str
    ordered_at: WallTime

    def __post_init__(self) -> None:
        """Raises `ValueError` where the price is none."""
        if not is_price(self.price):
            raise ValueError(f"{self.price:g} is no price")


@dataclass(frozen=True)
class CloseOutcome:
    """What became of an order: closed in the books at a market time, or, where `refused` says why, nothing."""

    order: CloseOrder
    time: CandleTime
    refused: str = ""


@dataclass(frozen=True)
class _Outcomes:
    orders: tuple[CloseOutcome, ...] = ()


def is_price(value: float) -> bool:
    """Return whether anything can have been closed at a price."""
    return 0 < value <= LARGEST_PRICE


class CloseOrders:
    """The orders of one bot that wait, in its state folder. Command line and bot share them under one lock."""

    def __init__(self, state_dir: Path, *, clock: WallClock = system_clock) -> None:
        self.path = state_dir / "close_orders.json"
        self._clock = clock

    def give(self, symbol: str, *, entry_time: CandleTime, price: float, reason: str, actor: str) -> CloseOrder:
        """Order the close of a position, in place of an earlier order for it; return the order once it is on disk.

        Raises `OSError` and `LockTimeoutError`.
        """
        order = CloseOrder(uuid.uuid4().hex, symbol, entry_time, price, reason, actor, self._clock())
        with self._held(_LOCK_SECONDS) as waiting:
            others = [each for each in waiting if (each.symbol, each.entry_time) != (symbol, entry_time)]
            self._store([*others, order])
        return order

    def waiting(self) -> tuple[CloseOrder, ...]:
        """Return the orders that nobody has taken yet, oldest first. Waits for nobody.

        Raises `OSError`, and `LockTimeoutError` where the file is damaged and another process is at it.
        """
        try:
            return self._read()
        except InputError:
            with self._held(0.0) as waiting:
                return waiting

    def forget(self, order: CloseOrder) -> None:
        """Let an order wait no longer. Waits for nobody. Raises `OSError` and `LockTimeoutError`."""
        with self._held(0.0) as waiting:
            self._store([each for each in waiting if each.key != order.key])

    @contextmanager
    def _held(self, timeout_seconds: float) -> Iterator[tuple[CloseOrder, ...]]:
        with locked(self.path.with_suffix(".lock"), timeout_seconds=timeout_seconds):
            yield self._read_or_set_aside()

    def _read(self) -> tuple[CloseOrder, ...]:
        try:
            return stored.read(tuple[CloseOrder, ...], self.path)
        except MissingInputError:
            return ()

    def _read_or_set_aside(self) -> tuple[CloseOrder, ...]:
        try:
            return self._read()
        except InputError as error:
            aside = set_aside(self.path, now=self._clock())
            logger.error("{}; it is set aside as {}: what it ordered is to be ordered again", error, aside.name)
            return ()

    def _store(self, orders: list[CloseOrder]) -> None:
        if orders:
            write_json_atomic(self.path, [stored.plain(order) for order in orders])
        else:
            self.path.unlink(missing_ok=True)


def close_outcomes(journal: Journal) -> tuple[CloseOutcome, ...]:
    """Return what became of the orders so far, oldest first. Raises `DamagedJournalError` where it cannot be read."""
    content = journal.load(_KEY)
    if content is None:
        return ()
    try:
        return stored.from_plain(_Outcomes, content, source=str(journal.path), complete=True).orders
    except StoredError as error:
        raise DamagedJournalError(journal.path, f"does not say what was closed ({error.reason})") from error


def keep_outcome(journal: Journal, order: CloseOrder, *, time: CandleTime, refused: str = "") -> None:
    """Keep what became of an order, within a transaction."""
    found = CloseOutcome(order, time, refused)
    journal.save(_KEY, stored.plain(replace(_Outcomes(), orders=(*close_outcomes(journal), found)[-_MOST:])))
