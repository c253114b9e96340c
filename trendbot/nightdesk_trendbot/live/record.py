"""What the bot writes down of a step: what it saw, what it did, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_core.trades import ClosedTrade

from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.decision_log import CLOSED_BY_OPERATOR, DecisionLog, DecisionRecord
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from nightdesk_trendbot.market.events import Step
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.signals.signal import Signal


def record(journal: Journal, result: StepResult, *, before: EngineState, keep_equity_seconds: float) -> None:
    """Write down a step's trades, equity and state, within a transaction.

    On the first step of a day the equity that is older than `keep_equity_seconds` of the market is thinned.
    """
    for trade in result.trades:
        journal.record_trade(trade)
    for trade in result.shadow_trades:
        journal.record_trade(trade, shadow=True)
    journal.record_equity(result.state.last_close, result.state.equity)
    journal.save(STATE_KEY, stored.plain(result.state))
    if result.state.last_close.day > before.last_close.day:
        journal.thin_equity(before=result.state.last_close - keep_equity_seconds)


def log_decisions(
    log: DecisionLog, step: Step, signals: Mapping[str, Signal], result: StepResult, model: MetaModel | None
) -> None:
    """Write down what the bot saw of each symbol, what it was allowed, and what became of it."""
    for symbol, (permission, decision) in result.decisions.items():
        signal = signals[symbol]
        log.append(
            DecisionRecord(
                time=result.state.last_close,
                symbol=symbol,
                close=step.bars[symbol].close,
                regime=signal.regime.value,
                breakout=signal.breakout,
                probability=signal.probability,
                threshold=permission.threshold if model is not None else None,
                guard=permission.guard.value,
                size_share=permission.size_share,
                leverage=decision.leverage,
                outcome=decision.outcome.value,
                late="" if permission.blocked is None else permission.blocked.value,
                model_version="" if model is None else model.version,
            )
        )


def record_close(journal: Journal, log: DecisionLog, state: EngineState, trade: ClosedTrade) -> None:
    """Write down that an operator closed a position: trade, equity and state within a transaction, and the decision."""
    log.append(
        DecisionRecord(
            time=state.last_close,
            symbol=trade.symbol,
            close=trade.exit_price,
            regime="",
            breakout=0,
            probability=None,
            threshold=None,
            guard=state.guard.status.value,
            size_share=0.0,
            leverage=0.0,
            outcome=CLOSED_BY_OPERATOR,
            late="",
            model_version=trade.model_version,
        )
    )
    journal.record_trade(trade)
    journal.record_equity(state.last_close, state.equity)
    journal.save(STATE_KEY, stored.plain(state))
