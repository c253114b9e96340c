"""What holds the bot back, and what it trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_core.clock import WallTime
from nightdesk_core.numbers import Number

from nightdesk_exporter.arguments import WrongCallError, flag, number, numbers, one_of, share, text, whole
from nightdesk_exporter.calls.base import Calls, Moment, never_raises
from nightdesk_exporter.metrics.catalogue import GUARD_STATES
from nightdesk_exporter.snapshot import Position

_GUARD_LEVELS = {"paused": "ERROR", "reduced": "WARNING"}


class TradingCalls(Calls):
    """Guard, kill switch, positions and trades."""

    @never_raises
    def guard(
        self,
        state: str,
        *,
        reason: str = "",
        size_multiplier: Number | None = None,
        values: Mapping[str, Number | None] | None = None,
        limits: Mapping[tuple[str, ...], Number] | None = None,
        limits_from: str = "",
        at: Moment | None = None,
    ) -> None:
        """How the guard stands, and why; changes are counted and logged. `values` by rule, `limits` by rule and tier.

        `limits_from` says in a word where the limits come from, such as `calibrated`. What is left out stays as it was.
        """
        one_of(state, GUARD_STATES, "state")
        stamp = self._stamp(at)
        reason = self._without_secrets(text(reason, "reason"))
        size = None if size_multiplier is None else number(size_multiplier, "size_multiplier")
        by_rule = None if values is None else {text(rule, "values"): n for rule, n in numbers(values, "values").items()}
        by_tier = None if limits is None else {_pair(key): value for key, value in numbers(limits, "limits").items()}
        snapshot = self.snapshot
        snapshot.guard_limits_from = text(limits_from, "limits_from") or snapshot.guard_limits_from
        if size is not None:
            snapshot.gauges["guard_size_multiplier",] = size
        if by_rule is not None:
            snapshot.guard_values = by_rule
        if by_tier is not None:
            snapshot.guard_limits = by_tier
        before = snapshot.guard
        if state == before:
            snapshot.guard_reason = reason or snapshot.guard_reason
            return
        snapshot.guard, snapshot.guard_reason = state, reason
        if before is not None:
            self._count("guard_transitions", state)
            told = f"guard: {before} to {state}: {reason or 'no reason given'}"
            self._tell(_GUARD_LEVELS.get(state, "INFO"), told, at=stamp)
        self.changed()

    @never_raises
    def kill_switch(
        self, *, active: bool, reason: str = "", activations: int | None = None, at: Moment | None = None
    ) -> None:
        """Whether the kill switch is active, and why; changes are counted and logged.

        `activations` is how often it was activated so far, where that is known: one that was lifted again before the
        bot looked is then counted, too.
        """
        active, reason = flag(active, "active"), self._without_secrets(text(reason, "reason"))
        count, stamp = None if activations is None else whole(activations, "activations"), self._stamp(at)
        before, known = self.snapshot.kill_switch, self.snapshot.kill_switch_activations
        self.snapshot.kill_switch_reason = reason
        if count is not None:
            self.snapshot.kill_switch_activations = count
        missed = 0 if count is None or known is None else count - known - int(active and before is False)
        if missed > 0:
            self._count("kill_switch_activations", by=missed)
            self._tell("CRITICAL", "the kill switch was active for a moment", at=stamp)
        if active == before:
            return
        self.snapshot.kill_switch = active
        if before is False:
            self._count("kill_switch_activations")
        if active:
            self._tell("CRITICAL", f"the kill switch is active: {reason or 'no reason given'}", at=stamp)
        elif before:
            self._tell("WARNING", f"the kill switch was lifted: {reason or 'no reason given'}", at=stamp)
        self.changed()

    @never_raises
    def kill_switch_tested(self, *, at: Moment | None = None) -> None:
        """The kill switch was tried and found to work."""
        key, stamp = ("kill_switch_self_test_timestamp_seconds",), self._clock() if at is None else at
        self.snapshot.gauges[key] = self._newest(self.snapshot.gauges.get(key), stamp)

    @never_raises
    def state_lost(self, reason: str, *, at: Moment | None = None) -> None:
        """How it shows that the bot has lived and its state is gone; empty where it is not, or a person began anew."""
        reason, stamp = self._without_secrets(text(reason, "reason")), self._stamp(at)
        before, self.snapshot.state_lost = self.snapshot.state_lost, reason
        if reason and reason != before:
            self._tell("CRITICAL", f"the bot has lived and its state is gone: {reason}", at=stamp)
        elif before and not reason:
            self._tell("WARNING", "a person has let the bot begin anew", at=stamp)
        if bool(reason) != bool(before):
            self.changed()

    @never_raises
    def position(self, symbol: str, side: str | None, *, size_ratio: Number = 0.0) -> None:
        """The open position in a symbol: `long` or `short`, its notional over equity; a side of `None` is flat."""
        if symbol not in self.snapshot.positions:
            symbol = self._symbol(symbol)
        self._touched = True
        if side is None:
            self.snapshot.positions[symbol] = None
            return
        one_of(side, ("long", "short"), "side")
        self.snapshot.positions[symbol] = Position(symbol, side, number(size_ratio, "size_ratio", least=0))

    @never_raises
    def positions(self, positions: Mapping[str, Number | str | tuple[str, Number] | None]) -> None:
        """All open positions at once, by symbol: whatever is missing is flat.

        Each is a side and a size, `("long", 0.4)`, or a size with its sign, `-0.4`, which is a short one: the notional
        over equity. A side alone has a size that is not known; `None` and 0 are flat. Where one makes no sense, none
        counts.
        """
        if not isinstance(positions, Mapping):
            raise WrongCallError("positions", "are none; pass a mapping by symbol, such as {'BTC/USDT': ('long', 0.4)}")
        found = {symbol: _position(self._symbol(symbol), held) for symbol, held in positions.items()}
        for symbol in self.snapshot.positions.keys() - found.keys():
            found[symbol] = None
        self.snapshot.positions.update(found)
        self._touched = True

    @never_raises
    def trade(
        self,
        symbol: str,
        *,
        profit: Number,
        fees: Number | Mapping[str, Number] = 0.0,
        detail: str = "",
        at: Moment | None = None,
    ) -> None:
        """A trade was closed. `profit` is net of `fees`, in the account's currency. `detail` is for people.

        `fees` are in the account's currency, too; those in others are given by currency, as `{"BNB": 0.002}`.
        """
        symbol, detail, stamp = self._symbol(symbol), text(detail, "detail"), self._stamp(at)
        currency, earned = self.snapshot.currency, number(profit, "profit")
        paid = _fees(fees) if isinstance(fees, Mapping) else {currency: number(fees, "fees")}
        self._count("trades_closed", symbol)
        self._count("trades_won", symbol, by=float(earned > 0))
        self._count("realized_profit" if earned > 0 else "realized_loss", currency, by=abs(earned))
        for each, fee in paid.items():
            # A rebate is a negative fee, and a counter never falls.
            self._count("fees_paid", each, by=max(fee, 0.0))
        self._touched = True
        last = self.snapshot.last_trade_at
        self.snapshot.last_trade_at = WallTime(self._newest(None if last is None else last.seconds, stamp))
        told = f" ({detail})" if detail else ""
        self._tell("INFO", f"closed {symbol}: {earned:+.2f} {currency}{told}", at=stamp)

    @never_raises
    def recent_trades(self, count: int) -> None:
        """How many trades closed in the last 24 hours of market time."""
        self.snapshot.recent_trades = whole(count, "count")

    @never_raises
    def shadow(self, *, trades_closed: int, win_ratio: Number | None, drawdown_ratio: Number | None) -> None:
        """How the bot would fare, were it not throttled: trades closed since the last call, and where it stands."""
        closed = whole(trades_closed, "trades_closed")
        won, lost = share(win_ratio, "win_ratio"), share(drawdown_ratio, "drawdown_ratio")
        self._count("shadow_trades_closed", by=closed)
        self._show("shadow_win_ratio", value=won)
        self._show("shadow_drawdown_ratio", value=lost)


def _position(symbol: str, held: Any) -> Position | None:
    """Return the position that a side, a side and a size, or a size with its sign means; `None` where it is flat."""
    if held is None:
        return None
    if isinstance(held, str):
        held = (held, 0.0)
    if isinstance(held, (tuple, list)):
        if len(held) != 2:
            raise WrongCallError("positions", f"has {held!r}; pass a side and a size, such as ('long', 0.4)")
        side, size = held
        return Position(symbol, one_of(side, ("long", "short"), "positions"), number(size, "positions", least=0))
    size = number(held, "positions")
    return Position(symbol, "long" if size > 0 else "short", abs(size)) if size else None


def _fees(fees: Mapping[Any, Any]) -> dict[str, float]:
    return {text(currency, "fees"): fee for currency, fee in numbers(fees, "fees").items()}


def _pair(key: Any) -> tuple[str, ...]:
    if type(key) is tuple and len(key) == 2 and type(key[0]) is str and type(key[1]) is str:
        return key
    if not isinstance(key, tuple) or len(key) != 2:
        raise WrongCallError("limits", "has a key that is no pair of rule and tier")
    return tuple(text(part, "limits") for part in key)
