"""Carries out what an operator ordered closed: each order once, with its record."""

from __future__ import annotations

from collections.abc import Iterator

from loguru import logger
from nightdesk_core.files import stored
from nightdesk_core.files.durable import LockTimeoutError
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard.notices import AUDIT

from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.close_orders import CloseOrder, CloseOrders, close_outcomes, keep_outcome
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.live.record import record_close
from nightdesk_trendbot.live.report import Report


class OperatorCloses:
    """The orders of one bot's operator. What becomes of one is in the journal before anybody hears of it."""

    def __init__(self, parts: LiveParts, report: Report) -> None:
        self._parts = parts
        self._report = report
        self._orders = CloseOrders(parts.state_dir, clock=parts.clock)
        self._trouble = ""

    def take(self, state: EngineState, engine: Engine) -> Iterator[EngineState]:
        """Carry out what waits, and yield the state after each order as soon as the journal has it.

        An entry that no candle has confirmed must wait.
        """
        try:
            waiting = self._orders.waiting()
        except (OSError, LockTimeoutError) as error:
            self._say(f"an operator's orders cannot be read and wait: {error}")
            return
        for order in waiting:
            # One that is known was carried out by a bot that was killed before it could forget the order.
            if order.key not in {each.order.key for each in close_outcomes(self._parts.journal)}:
                book = state.books.get(order.symbol)
                account = None if book is None else book.account
                if account is None or account.side == 0 or account.entry_time != order.entry_time.seconds:
                    self._refuse(order, state)
                elif order.entry_time >= state.last_close:
                    continue
                else:
                    state, trade = self._close(order, state, engine)
                    yield state
                    self._announce(order, state, trade)
            self._forget(order)

    def _forget(self, order: CloseOrder) -> None:
        """Let an order wait no longer, once the disk has what became of it; until then it is looked at again."""
        if self._parts.journal.unwritten is not None:
            return
        try:
            self._orders.forget(order)
        except (OSError, LockTimeoutError) as error:
            self._say(f"an order that was carried out cannot be removed yet: {error}")

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.error("{}", trouble)
        self._trouble = trouble

    def _close(self, order: CloseOrder, state: EngineState, engine: Engine) -> tuple[EngineState, ClosedTrade]:
        journal = self._parts.journal
        state, trade = engine.close_by_operator(state, order.symbol, price=order.price)
        with journal.transaction():
            keep_outcome(journal, order, time=state.last_close)
            record_close(journal, self._parts.decisions, state, trade)
            details = {**stored.plain(order), "profit": trade.profit, "closed_at_market": state.last_close.seconds}
            journal.post(AUDIT, {"event": "position_closed_by_operator", "details": details})
        return state, trade

    def _announce(self, order: CloseOrder, state: EngineState, trade: ClosedTrade) -> None:
        logger.warning("{} is closed at {:g} by {}: {}", order.symbol, order.price, order.actor, order.reason)
        self._report.trades([trade])
        self._report.account(state)

    def _refuse(self, order: CloseOrder, state: EngineState) -> None:
        refused = "that position is not open any more"
        with self._parts.journal.transaction():
            keep_outcome(self._parts.journal, order, time=state.last_close, refused=refused)
            details = {**stored.plain(order), "refused": refused}
            self._parts.journal.post(AUDIT, {"event": "position_close_refused", "details": details})
        logger.warning("{} is not closed as {} ordered: {}", order.symbol, order.actor, refused)
