"""The engine over a stretch of history: the gate's judgement, and the yardstick for the live bot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import PerformanceGuard

from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.portfolio import Caps, correlation
from nightdesk_trendbot.engine.rules import Rules
from nightdesk_trendbot.engine.simulation import Wishes, simulate
from nightdesk_trendbot.engine.state import EngineState, new_state
from nightdesk_trendbot.model.strategy import Deployment, Strategy
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles, Floats, Ints
from nightdesk_trendbot.signals.signal import Outcome, Permission, Signal, decide

Markets = Mapping[str, Candles]
"""Candles by symbol, in the order of the settings."""


@dataclass(frozen=True)
class Run:
    """What happened on T steps: `close_time` (market time) and `equity` have shape (T,)."""

    close_time: tuple[int, ...]
    equity: tuple[float, ...]
    trades: tuple[ClosedTrade, ...]
    transitions: tuple[GuardTransition, ...]
    state: EngineState
    shadow_trades: tuple[ClosedTrade, ...]
    """Those that the bot made while the guard held it back; they moved no money."""


def run(
    markets: Markets,
    settings: TrendbotSettings,
    *,
    start: float,
    end: float,
    deployments: Sequence[tuple[int, Deployment]],
    guard: PerformanceGuard | None,
    flat_at_end: bool,
    blocked: Mapping[int, Outcome] | None = None,
    set_aside: Mapping[str, Collection[int]] | None = None,
    closed: Mapping[int, Mapping[str, float]] | None = None,
) -> Run:
    """Return what the engine does on the candles that open in [start, end) (market time), starting flat.

    `deployments` are (market time from which it is in use, model), in order; each decides the candles that close at or
    after its time. The candles before `start` are only looked back on. `blocked` says, by a candle's close, where a
    live bot entered nothing because it saw the candle too late; `set_aside`, by symbol, the opens of the candles
    that it left out because what the exchange told of them could not be true; `closed`,
    by a step's close, the prices at which an operator then closed the positions of some symbols.
    """
    markets = {symbol: candles.without((set_aside or {}).get(symbol, ())) for symbol, candles in markets.items()}
    interval = _interval(markets)
    strategy = Strategy(settings)
    engine = Engine(settings, interval_seconds=interval, guard=guard)
    state = new_state(list(markets), settings.initial_equity)
    time, closes = aligned(markets)
    caps = Caps.of(settings.portfolio, interval_seconds=interval)
    steps = np.flatnonzero((time >= start) & (time < end))
    # By symbol: the index of the first candle in question, and one list of signals for each deployment.
    firsts = {symbol: int(np.searchsorted(candles.time, start)) for symbol, candles in markets.items()}
    signals = {
        symbol: [
            strategy.signals(candles.before(end), deployment.model, first=firsts[symbol])
            for _, deployment in deployments
        ]
        for symbol, candles in markets.items()
    }
    equity: list[float] = []
    trades: list[ClosedTrade] = []
    shadow_trades: list[ClosedTrade] = []
    transitions: list[GuardTransition] = []
    current = 0
    for step in steps:
        close_time = int(time[step]) + interval
        while current + 1 < len(deployments) and deployments[current + 1][0] <= close_time:
            current += 1
        deployment = deployments[current][1]
        late = None if blocked is None else blocked.get(close_time)
        at = {
            symbol: int(np.searchsorted(candles.time, time[step]))
            for symbol, candles in markets.items()
            if not np.isnan(closes[symbol][step])
        }
        bars = {symbol: markets[symbol].bar(index) for symbol, index in at.items()}
        for symbol, bar in bars.items():
            state = engine.at_open(state, symbol, time=MarketTime(bar.time), price=bar.open)

        def permission(
            state: EngineState,
            signal: Signal,
            used: Deployment = deployment,
            late: Outcome | None = late,
        ) -> Permission:
            return strategy.permission(used, guard, state, signal, blocked=late)

        def correlated(first: str, second: str, last: int = int(step)) -> float:
            return float(correlation(time, closes[first], closes[second], last, caps.correlation_seconds))

        result = engine.at_close(
            state,
            bars,
            signals={symbol: signals[symbol][current][index - firsts[symbol]] for symbol, index in at.items()},
            permission=permission,
            correlation=correlated,
            model=deployment.in_use,
        )
        state = result.state
        trades += result.trades
        for symbol, price in (closed or {}).get(close_time, {}).items():
            state, trade = engine.close_by_operator(state, symbol, price=price)
            trades.append(trade)
        shadow_trades += result.shadow_trades
        if flat_at_end and step == steps[-1]:
            closing = engine.flatten(state, MarketTime(close_time))
            state = closing.state
            trades += closing.trades
        else:
            transitions += [result.transition] if result.transition is not None else []
        equity.append(state.equity)
    return Run(
        tuple(int(time[step]) + interval for step in steps),
        tuple(equity),
        tuple(trades),
        tuple(transitions),
        state,
        tuple(shadow_trades),
    )


def evaluate(
    markets: Markets, settings: TrendbotSettings, deployment: Deployment, *, start: float, end: float
) -> Backtest:
    """Return the gate's backtest on the candles that open in [start, end): guard off, full size, flat at both ends.

    Compiled, with `run`'s very steps.
    """
    caps = Caps.of(settings.portfolio, interval_seconds=_interval(markets))
    # One symbol has none to be correlated with.
    seen_from = start if len(markets) == 1 else start - caps.correlation_seconds
    done = simulate(
        [
            (symbol, candles.between(seen_from, end), wishes(candles, settings, deployment, start=start, end=end))
            for symbol, candles in markets.items()
        ],
        start=start,
        rules=Rules.of(settings),
        caps=caps,
        equity=settings.initial_equity,
        model_version=deployment.model.version,
    )
    days, returns = daily_returns(done.close_time, done.equity, start=settings.initial_equity)
    return Backtest(
        start=float(done.close_time[0] - _interval(markets)),
        end=float(done.close_time[-1]),
        days=tuple(int(day) for day in days),
        daily_returns=tuple(float(value) for value in returns),
        trades=done.trades,
    )


def wishes(candles: Candles, settings: TrendbotSettings, deployment: Deployment, *, start: float, end: float) -> Wishes:
    """Return what a model at full size, and without a guard, would do at each candle that opens in [start, end)."""
    strategy = Strategy(settings)
    full, nothing = Deployment(deployment.model), new_state((), settings.initial_equity)
    signals = strategy.signals(candles.before(end), deployment.model, first=int(np.searchsorted(candles.time, start)))
    sides = np.zeros(len(signals), dtype=np.int64)
    leverages = np.zeros(len(signals))
    for index, signal in enumerate(signals):
        if signal.probability is not None:
            decision = decide(signal, strategy.permission(full, None, nothing, signal), in_position=False)
            sides[index], leverages[index] = decision.side, decision.leverage
    return Wishes(sides, leverages, np.array([signal.volatility for signal in signals]))


def aligned(markets: Markets) -> tuple[Ints, Mapping[str, Floats]]:
    """Return the times at which any symbol has a candle, shape (T,), and each symbol's closes then, NaN without one."""
    time = np.unique(np.concatenate([candles.time for candles in markets.values()]))
    closes = {}
    for symbol, candles in markets.items():
        closes[symbol] = np.full(len(time), np.nan)
        closes[symbol][np.searchsorted(time, candles.time)] = candles.close
    return time, closes


def _interval(markets: Markets) -> int:
    return next(iter(markets.values())).interval_seconds


def daily_returns(close_time: Ints, equity: np.ndarray, *, start: float) -> tuple[Ints, np.ndarray]:
    """Return (each UTC day's last close, the day's return), shape (D,), of equity marked to market, both shape (N,)."""
    day = (close_time - 1) // DAY_SECONDS
    last = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    at_end = equity[last]
    before = np.concatenate([[start], at_end[:-1]])
    return close_time[last], at_end / before - 1
