"""The engine over a stretch of history: the gate's judgement, and the yardstick for the live bot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nightdesk_core.journal import GuardTransition
from nightdesk_core.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard import GuardState, PerformanceGuard

from nightdesk_trendbot.candles import Candles, Ints
from nightdesk_trendbot.engine import Engine, EngineState, barriers_of, costs_of, new_state
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import decide
from nightdesk_trendbot.simulation import simulate
from nightdesk_trendbot.strategy import Deployment, Strategy


@dataclass(frozen=True)
class Run:
    """What happened on N candles: `close_time` (market time) and `equity` have shape (N,)."""

    close_time: tuple[int, ...]
    equity: tuple[float, ...]
    trades: tuple[ClosedTrade, ...]
    transitions: tuple[GuardTransition, ...]
    state: EngineState


def run(
    candles: Candles,
    settings: TrendbotSettings,
    *,
    first: int,
    stop: int,
    deployments: Sequence[tuple[int, Deployment]],
    guard: PerformanceGuard | None,
    flat_at_end: bool,
) -> Run:
    """Return what the engine does on the candles from index `first` up to `stop`, starting flat.

    `deployments` are (market time from which it is in use, model), in order; each decides the candles that close at or
    after its time. The candles before `first` are only looked back on.
    """
    strategy = Strategy(settings)
    engine = Engine(settings, interval_seconds=candles.interval_seconds, guard=guard)
    state = new_state(settings.initial_equity)
    close_time = candles.time + candles.interval_seconds
    seen = candles.slice(0, stop)
    per_model = [strategy.signals(seen, deployment.model, first=first) for _, deployment in deployments]
    equity: list[float] = []
    trades: list[ClosedTrade] = []
    transitions: list[GuardTransition] = []
    current = 0
    for index in range(first, stop):
        while current + 1 < len(deployments) and deployments[current + 1][0] <= close_time[index]:
            current += 1
        deployment = deployments[current][1]
        bar = candles.bar(index)
        state = engine.at_open(state, time=bar.time, price=bar.open)
        result = engine.at_close(
            state,
            bar,
            signal=per_model[current][index - first],
            permission=lambda guard_state, used=deployment: strategy.permission(used, guard, guard_state),  # type: ignore[misc]
            model_version=deployment.model.version,
        )
        if flat_at_end and index == stop - 1:
            closing = engine.flatten(result.state, bar)
            trades += [trade for trade in (result.trade, closing.trade) if trade is not None]
            equity.append(closing.equity)
            state = closing.state
            continue
        state = result.state
        equity.append(result.equity)
        trades += [result.trade] if result.trade is not None else []
        transitions += [result.transition] if result.transition is not None else []
    return Run(
        tuple(int(time) for time in close_time[first:stop]), tuple(equity), tuple(trades), tuple(transitions), state
    )


def evaluate(
    candles: Candles, settings: TrendbotSettings, deployment: Deployment, *, first: int, stop: int
) -> Backtest:
    """Return the gate's backtest: guard off, full size, flat at both ends. Compiled, with `run`'s very steps."""
    strategy = Strategy(settings)
    allowed = strategy.permission(Deployment(deployment.model), None, GuardState())
    signals = strategy.signals(candles.slice(0, stop), deployment.model, first=first)
    wishes = [decide(signal, allowed, in_position=False) for signal in signals]
    part = candles.slice(first, stop)
    done = simulate(
        part,
        np.array([wish.side for wish in wishes], dtype=np.int64),
        np.array([wish.leverage for wish in wishes], dtype=np.float64),
        barriers=barriers_of(settings),
        costs=costs_of(settings),
        cash=settings.initial_equity,
        symbol=settings.symbol,
        model_version=deployment.model.version,
    )
    close_time = part.time + part.interval_seconds
    days, returns = daily_returns(close_time, done.equity, start=settings.initial_equity)
    return Backtest(
        start=float(part.time[0]),
        end=float(close_time[-1]),
        days=tuple(int(day) for day in days),
        daily_returns=tuple(float(value) for value in returns),
        trades=done.trades,
    )


def daily_returns(close_time: Ints, equity: np.ndarray, *, start: float) -> tuple[Ints, np.ndarray]:
    """Return (each UTC day's last close, the day's return), shape (D,), of equity marked to market, both shape (N,)."""
    day = (close_time - 1) // 86_400
    last = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    at_end = equity[last]
    before = np.concatenate([[start], at_end[:-1]])
    return close_time[last], at_end / before - 1
