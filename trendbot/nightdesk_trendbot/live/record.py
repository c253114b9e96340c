"""What the bot writes down of a step: what it saw, what it did, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core import stored
from nightdesk_core.journal import Journal

from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.live.decision_log import DecisionLog, DecisionRecord
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from nightdesk_trendbot.market.feed import Step
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
