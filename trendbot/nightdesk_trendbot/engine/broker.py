"""The paper broker: one account a symbol with at most one position, and what each fill costs.

Every function takes an account and returns the next one; the same compiled functions serve live, backtest and labels.
Money is in the account's currency, times are market time in Unix seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from nightdesk_core.trades import ExitReason

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.signals.candles import Bar

TARGET = 1
STOP = 2
TIME = 3
KILL_SWITCH = 4
OPERATOR = 5

EXIT_REASONS: dict[int, ExitReason] = {
    TARGET: "target",
    STOP: "stop",
    TIME: "time",
    KILL_SWITCH: "kill_switch",
    OPERATOR: "operator",
}


class Costs(NamedTuple):
    """Shares of notional: fee and slippage of a fill."""

    fee_ratio: float
    slippage_ratio: float


class Barriers(NamedTuple):
    """Where a position ends: distances from the entry price as ratios, and the time it may be held."""

    target_ratio: float
    stop_ratio: float
    holding_seconds: int


class Order(NamedTuple):
    """An entry that fills at the next candle's open: `side` 1 or -1 (0: there is none), and its notional in money.

    `equity` is the portfolio's, by which it was sized.
    """

    side: int
    notional: float
    equity: float
    barriers: Barriers


class Account(NamedTuple):
    """What a symbol has earned so far, its open position, and the order that waits or that the position came from.

    `side` is 1, -1 or 0 (flat). `fees` and `funding` are those of the open position, and not yet in `realised`;
    `slippage` is what its entry lost against the price seen, and lies in the entry price.
    """

    realised: float
    side: int
    quantity: float
    entry_time: int
    entry_price: float
    target_price: float
    stop_price: float
    deadline: int
    fees: float
    funding: float
    slippage: float
    waiting: bool
    order: Order


class Closing(NamedTuple):
    """How a position ended: 0 (it did not), TARGET, STOP or TIME, and the price without slippage."""

    reason: int
    price: float


@compiled()
def flat(realised: float) -> Account:
    """Return an account without position and order."""
    nothing = Order(0, 0.0, 0.0, Barriers(0.0, 0.0, 0))
    return Account(realised, 0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, False, nothing)


@compiled()
def value(account: Account, price: float) -> float:
    """Return what the account adds to the equity: earned, and the open position's profit before closing it."""
    if account.side == 0:
        return account.realised
    gross = account.side * account.quantity * (price - account.entry_price)
    return account.realised + (gross - account.fees - account.funding)


@compiled()
def risk(account: Account) -> float:
    """Return what the open position loses at its stop, before fees and slippage of the exit."""
    return account.quantity * abs(account.entry_price - account.stop_price)


@compiled()
def exposure(account: Account, price: float) -> float:
    """Return the signed notional of the open position at a price, or of the order that waits."""
    if account.side != 0:
        return account.side * account.quantity * price
    return account.order.side * account.order.notional if account.waiting else 0.0


@compiled()
def place(account: Account, order: Order) -> Account:
    """Return the flat account with an order that waits for the next candle's open."""
    return Account(account.realised, 0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, True, order)


@compiled()
def cancel(account: Account) -> Account:
    """Return the account without its waiting order."""
    return flat(account.realised)


@compiled()
def at_open(account: Account, time: int, price: float, costs: Costs) -> Account:
    """Return the account after a candle opened: an order that waited fills."""
    if not account.waiting:
        return account
    side = account.order.side
    barriers = account.order.barriers
    fill = price * (1.0 + side * costs.slippage_ratio)
    quantity = account.order.notional / fill
    return Account(
        account.realised,
        side,
        quantity,
        time,
        fill,
        fill * (1.0 + side * barriers.target_ratio),
        fill * (1.0 - side * barriers.stop_ratio),
        time + barriers.holding_seconds,
        quantity * fill * costs.fee_ratio,
        0.0,
        quantity * price * costs.slippage_ratio,
        False,
        account.order,
    )


@compiled()
def fund(account: Account, time: int, price: float, rate: float) -> Account:
    """Return the account after longs paid shorts `rate`; a position that was entered at that very time pays nothing."""
    if account.side == 0 or rate == 0.0 or account.entry_time >= time:
        return account
    return Account(
        account.realised,
        account.side,
        account.quantity,
        account.entry_time,
        account.entry_price,
        account.target_price,
        account.stop_price,
        account.deadline,
        account.fees,
        account.funding + account.side * account.quantity * price * rate,
        account.slippage,
        account.waiting,
        account.order,
    )


@compiled()
def barrier_reached(account: Account, bar: Bar, close_time: int) -> Closing:
    """Return whether and where a confirmed candle ends the open position.

    The stop comes before the target where both lie in one candle; one that opens beyond a barrier fills at its open.
    """
    against = bar.low if account.side > 0 else bar.high
    towards = bar.high if account.side > 0 else bar.low
    if account.side * (against - account.stop_price) <= 0:
        gapped = account.side * (bar.open - account.stop_price) <= 0
        return Closing(STOP, bar.open if gapped else account.stop_price)
    if account.side * (towards - account.target_price) >= 0:
        gapped = account.side * (bar.open - account.target_price) >= 0
        return Closing(TARGET, bar.open if gapped else account.target_price)
    if close_time >= account.deadline:
        return Closing(TIME, bar.close)
    return Closing(0, 0.0)


class CandleClose(NamedTuple):
    """The account after a candle closed, and what the round trip came to where `reason` is not 0."""

    account: Account
    reason: int
    price: float
    """Of the exit, slippage included."""
    fees: float
    funding: float
    slippage: float
    profit: float


@compiled()
def at_close(account: Account, bar: Bar, close_time: int, costs: Costs) -> CandleClose:
    """Return the account after a confirmed candle: funding paid, the position closed where a barrier was reached."""
    if account.side == 0:
        return CandleClose(account, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    account = fund(account, bar.time, bar.open, bar.funding)
    closing = barrier_reached(account, bar, close_time)
    if closing.reason == 0:
        return CandleClose(account, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return settle(account, closing, costs)


@compiled()
def settle(account: Account, closing: Closing, costs: Costs) -> CandleClose:
    """Return what closing the position at a price leaves."""
    fill = closing.price * (1.0 - account.side * costs.slippage_ratio)
    gross = account.side * account.quantity * (fill - account.entry_price)
    fees = account.fees + account.quantity * fill * costs.fee_ratio
    profit = gross - fees - account.funding
    slippage = account.slippage + account.quantity * closing.price * costs.slippage_ratio
    return CandleClose(flat(account.realised + profit), closing.reason, fill, fees, account.funding, slippage, profit)
