"""The engine: what happens at a candle's open and at its close. Live and backtest run these same lines.

A decision at a candle's close enters at the next candle's open; barriers act on confirmed candles only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nightdesk_core.journal import GuardTransition
from nightdesk_core.trades import ClosedTrade, ExitReason
from nightdesk_guard import GuardState, PerformanceGuard

from nightdesk_trendbot import broker
from nightdesk_trendbot.broker import Account, Barriers, Costs
from nightdesk_trendbot.candles import Bar
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import Decision, Outcome, Permission, Signal, decide

EXIT_REASONS: dict[int, ExitReason] = {broker.TARGET: "target", broker.STOP: "stop", broker.TIME: "time"}


def costs_of(settings: TrendbotSettings) -> Costs:
    """Return the settings' costs as the broker takes them."""
    costs = settings.costs
    return Costs(costs.fee_ratio, costs.slippage_ratio, costs.funding_ratio)


def barriers_of(settings: TrendbotSettings) -> Barriers:
    """Return the settings' barriers as the broker takes them."""
    barriers = settings.barriers
    return Barriers(barriers.target_ratio, barriers.stop_ratio, int(barriers.holding_hours * 3600))


def break_even_win_rate(settings: TrendbotSettings) -> float:
    """Return the share of winners at which trades that end at a barrier just pay the round trip."""
    round_trip = 2 * (settings.costs.fee_ratio + settings.costs.slippage_ratio)
    barriers = settings.barriers
    return (barriers.stop_ratio + round_trip) / (barriers.stop_ratio + barriers.target_ratio)


@dataclass(frozen=True)
class EngineState:
    """Everything that a restarted bot needs to go on as if nothing had happened. Times are market time."""

    account: Account
    guard: GuardState
    peak_equity: float
    """The true peak, never re-anchored."""
    day_start_equity: float
    """Equity at the last midnight UTC."""
    last_open: int = 0
    """The open of the last candle whose open was acted upon."""
    last_close: int = 0
    """The close of the last candle that was decided on."""
    model_version: str = ""
    """The model that the open position, or the entry that waits, was decided by."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as it is stored."""
        return {**asdict(self), "account": self.account._asdict(), "guard": self.guard.to_json()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EngineState:
        """Return the state that `to_json` stored."""
        account, guard = Account(**stored["account"]), GuardState.from_json(stored["guard"])
        return cls(**{**stored, "account": account, "guard": guard})


def new_state(equity: float) -> EngineState:
    """Return the state of a bot that has never traded."""
    return EngineState(
        broker.new_account(equity), GuardState(peak_equity=equity, equity=equity), equity, day_start_equity=equity
    )


@dataclass(frozen=True)
class CandleResult:
    """What one confirmed candle led to."""

    state: EngineState
    equity: float
    trade: ClosedTrade | None
    transition: GuardTransition | None
    permission: Permission
    decision: Decision


class Engine:
    """Moves an `EngineState` through candles. Holds settings, and no state of its own."""

    def __init__(self, settings: TrendbotSettings, *, interval_seconds: int, guard: PerformanceGuard | None) -> None:
        """`guard=None` is the gate's backtest: always at full size."""
        self._symbol = settings.symbol
        self._costs = costs_of(settings)
        self._barriers = barriers_of(settings)
        self._interval_seconds = interval_seconds
        self._guard = guard

    def at_open(self, state: EngineState, *, time: int, price: float, killed: bool = False) -> EngineState:
        """Return the state after a candle opened: funding, then the entry that waited. Does nothing the second time."""
        if time <= state.last_open:
            return state
        account = state.account
        if killed and account.pending_side != 0:
            account = broker.cancel(account)
        account = broker.at_open(account, time, price, self._costs)
        # Not `time % 86_400`: the exchange may lack midnight's own candle.
        new_day = time // 86_400 != state.last_open // 86_400
        day_start = float(broker.equity(account, price)) if new_day else state.day_start_equity
        return replace(state, account=account, last_open=time, day_start_equity=day_start)

    def at_close(
        self,
        state: EngineState,
        bar: Bar,
        *,
        signal: Signal,
        permission: Callable[[GuardState], Permission],
        model_version: str,
    ) -> CandleResult:
        """Return what a confirmed candle leads to: barriers, marking to market, guard, decision, in this order.

        `permission` is asked after the guard has moved, with the guard's new state.
        """
        close_time = bar.time + self._interval_seconds
        account, trade = self._close_at_barrier(state, bar, close_time)
        equity = float(broker.equity(account, bar.close))
        guard, transition = state.guard, None
        if self._guard is not None:
            closed = () if trade is None else (trade.won,)
            guard, transition = self._guard.advance(guard, time=close_time, equity=equity, closed=closed)
        allowed = permission(guard)
        decision = decide(signal, allowed, in_position=account.side != 0)
        version = state.model_version
        if decision.outcome is Outcome.ENTERED:
            account = broker.order(account, decision.side, decision.leverage, self._barriers)
            version = model_version
        state = replace(
            state,
            account=account,
            guard=guard,
            peak_equity=max(state.peak_equity, equity),
            last_close=close_time,
            model_version=version,
        )
        return CandleResult(state, equity, trade, transition, allowed, decision)

    def flatten(self, state: EngineState, bar: Bar) -> CandleResult:
        """Return the state with the open position closed at a candle's close: the end of a backtest."""
        close_time = bar.time + self._interval_seconds
        account, trade = state.account, None
        if account.side != 0:
            done = broker.settle(account, broker.Closing(broker.TIME, bar.close), self._costs)
            account, trade = done.account, self._trade(state, done, close_time)
        state = replace(state, account=account)
        return CandleResult(state, float(account.cash), trade, None, Permission(), Decision(Outcome.NO_SIGNAL))

    def _close_at_barrier(self, state: EngineState, bar: Bar, close_time: int) -> tuple[Account, ClosedTrade | None]:
        done = broker.at_close(state.account, bar.open, bar.high, bar.low, bar.close, close_time, self._costs)
        trade = self._trade(state, done, close_time) if done.reason != 0 else None
        return done.account, trade

    def _trade(self, state: EngineState, done: broker.Close, close_time: int) -> ClosedTrade:
        position = state.account
        return ClosedTrade(
            symbol=self._symbol,
            side="long" if position.side > 0 else "short",
            quantity=position.quantity,
            entry_time=position.entry_time,
            entry_price=position.entry_price,
            exit_time=close_time,
            exit_price=done.price,
            exit_reason=EXIT_REASONS[done.reason],
            fees=done.fees,
            funding=position.funding,
            profit=done.profit,
            equity_before=position.equity_before,
            model_version=state.model_version,
        )
