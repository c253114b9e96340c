"""The paper broker: one account with at most one position, and what each fill costs.

Every function takes an account and returns the next one; the same compiled functions serve live, backtest and labels.
Money is in the quote currency, times are market time in Unix seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

TARGET = 1
STOP = 2
TIME = 3


class Costs(NamedTuple):
    """Shares of notional: fee and slippage for each fill, funding that longs pay to shorts every eight hours."""

    fee_ratio: float
    slippage_ratio: float
    funding_ratio: float


class Barriers(NamedTuple):
    """Where a position ends: distances from the entry price as ratios, and the time it may be held."""

    target_ratio: float
    stop_ratio: float
    holding_seconds: int


class Account(NamedTuple):
    """Cash, the open position and the entry that waits for the next candle's open. `side` is 1, -1 or 0 (flat)."""

    cash: float
    side: int
    quantity: float
    entry_time: int
    entry_price: float
    target_price: float
    stop_price: float
    deadline: int
    fees: float
    funding: float
    equity_before: float
    pending_side: int
    pending_leverage: float
    pending_target_ratio: float
    pending_stop_ratio: float
    pending_holding_seconds: int


class Closing(NamedTuple):
    """How a position ended: 0 (it did not), TARGET, STOP or TIME, and the price without slippage."""

    reason: int
    price: float


def new_account(cash: float) -> Account:
    """Return a flat account."""
    return flat(cash)


@njit(cache=True)
def flat(cash: float) -> Account:
    """Return an account with cash and nothing else."""
    return Account(cash, 0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0)


@njit(cache=True)
def equity(account: Account, price: float) -> float:
    """Return cash plus the open position's profit at a price, before the costs of closing it."""
    return account.cash + account.side * account.quantity * (price - account.entry_price)


@njit(cache=True)
def order(account: Account, side: int, leverage: float, barriers: Barriers) -> Account:
    """Return the flat account with an entry that fills at the next candle's open.

    `leverage` is the position's notional over equity.
    """
    return Account(
        account.cash,
        0,
        0.0,
        0,
        0.0,
        0.0,
        0.0,
        0,
        0.0,
        0.0,
        0.0,
        side,
        leverage,
        barriers.target_ratio,
        barriers.stop_ratio,
        barriers.holding_seconds,
    )


@njit(cache=True)
def cancel(account: Account) -> Account:
    """Return the account without its waiting entry."""
    return flat(account.cash)


@njit(cache=True)
def at_open(account: Account, time: int, price: float, costs: Costs) -> Account:
    """Return the account after a candle opened: funding is paid on what is held, then a waiting entry fills."""
    if account.side != 0 and time % 28_800 == 0:
        paid = account.side * account.quantity * price * costs.funding_ratio
        return Account(
            account.cash - paid,
            account.side,
            account.quantity,
            account.entry_time,
            account.entry_price,
            account.target_price,
            account.stop_price,
            account.deadline,
            account.fees,
            account.funding + paid,
            account.equity_before,
            0,
            0.0,
            0.0,
            0.0,
            0,
        )
    if account.pending_side == 0:
        return account
    side = account.pending_side
    fill = price * (1.0 + side * costs.slippage_ratio)
    quantity = account.pending_leverage * account.cash / fill
    fee = quantity * fill * costs.fee_ratio
    return Account(
        account.cash - fee,
        side,
        quantity,
        time,
        fill,
        fill * (1.0 + side * account.pending_target_ratio),
        fill * (1.0 - side * account.pending_stop_ratio),
        time + account.pending_holding_seconds,
        fee,
        0.0,
        account.cash,
        0,
        0.0,
        0.0,
        0.0,
        0,
    )


@njit(cache=True)
def barrier_reached(account: Account, open_: float, high: float, low: float, close: float, close_time: int) -> Closing:
    """Return whether and where a confirmed candle ends the open position.

    The stop comes before the target where both lie in one candle; one that opens beyond a barrier fills at its open.
    """
    against = low if account.side > 0 else high
    towards = high if account.side > 0 else low
    if account.side * (against - account.stop_price) <= 0:
        gapped = account.side * (open_ - account.stop_price) <= 0
        return Closing(STOP, open_ if gapped else account.stop_price)
    if account.side * (towards - account.target_price) >= 0:
        gapped = account.side * (open_ - account.target_price) >= 0
        return Closing(TARGET, open_ if gapped else account.target_price)
    if close_time >= account.deadline:
        return Closing(TIME, close)
    return Closing(0, 0.0)


class Close(NamedTuple):
    """The account after a candle closed, and what the round trip came to where `reason` is not 0."""

    account: Account
    reason: int
    price: float
    """Of the exit, slippage included."""
    fees: float
    profit: float


@njit(cache=True)
def at_close(
    account: Account, open_: float, high: float, low: float, close: float, close_time: int, costs: Costs
) -> Close:
    """Return the account after a confirmed candle: the position closed where the candle reached a barrier."""
    if account.side == 0:
        return Close(account, 0, 0.0, 0.0, 0.0)
    closing = barrier_reached(account, open_, high, low, close, close_time)
    if closing.reason == 0:
        return Close(account, 0, 0.0, 0.0, 0.0)
    return settle(account, closing, costs)


@njit(cache=True)
def settle(account: Account, closing: Closing, costs: Costs) -> Close:
    """Return what closing the position at a price leaves."""
    fill = closing.price * (1.0 - account.side * costs.slippage_ratio)
    gross = account.side * account.quantity * (fill - account.entry_price)
    fee = account.quantity * fill * costs.fee_ratio
    profit = gross - fee - account.fees - account.funding
    return Close(flat(account.cash + gross - fee), closing.reason, fill, account.fees + fee, profit)
