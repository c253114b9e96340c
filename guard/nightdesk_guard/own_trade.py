"""A trade that a bot of one's own tells its guard of, in numbers that can be reckoned with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict

from nightdesk_core.age import is_ahead
from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.numbers import Number, as_float

from nightdesk_guard.limits import TradeResult
from nightdesk_guard.performance import GuardStatus

FORKED = (
    "this process was forked from the one that the guard belongs to. Nothing may be entered here, and nothing is kept:"
    " it would replace what the bot remembers. Make a Guard in this process, after the fork, with a folder of its own"
)

_MOST_CHARACTERS = 200


class ShadowTradeTold(TypedDict):
    """What `shadow_trade` is told."""

    profit: Number
    risk: Number
    fees: NotRequired[Number]
    slippage: NotRequired[Number]
    model_version: NotRequired[str | None]


class TradeTold(ShadowTradeTold):
    """What `trade` is told."""

    entered: NotRequired[GuardStatus | None]


class GuardError(NightdeskError):
    """The guard was called wrongly, or what it remembers cannot be read; the message says which."""


@dataclass(frozen=True)
class OwnTrade:
    """A trade as its bot told of it. Money is in the account's currency."""

    profit: float
    """Net of fees and slippage."""
    unit: float
    """What the stop would have cost; of a trade without one, its notional."""
    fees: float
    slippage: float
    model_version: str
    guard: str
    """How the guard stood when the trade was entered."""

    @classmethod
    def of(
        cls, profit: Number, risk: Number, fees: Number, slippage: Number, *, model_version: str, guard: GuardStatus
    ) -> OwnTrade:
        """Return the trade. Raises `GuardError` for numbers that are none, and for a risk that is not positive."""
        unit = number(risk, "risk")
        if unit <= 0:
            raise GuardError(f"risk is {risk}: pass what the stop would have cost, or the trade's notional")
        return cls(
            profit=number(profit, "profit"),
            unit=unit,
            fees=number(fees, "fees"),
            slippage=number(slippage, "slippage"),
            model_version=model_version,
            guard=GuardStatus(guard).value,
        )

    @property
    def r(self) -> float:
        """Net profit over the unit."""
        return self.profit / self.unit

    @property
    def won(self) -> bool:
        """Whether the trade earned more than it cost."""
        return self.profit > 0

    @property
    def result(self) -> TradeResult:
        """The trade as the guard's limits see it."""
        return TradeResult(self.won, self.r)


def number(value: Number, name: str, *, least: float = -math.inf) -> float:
    """Return a number as one that can be stored. Raises `GuardError` for what is none, or is below `least`."""
    try:
        found = as_float(value)
    except TypeError:
        found = math.nan
    if not (math.isfinite(found) and found >= least):
        raise GuardError(f"{name} is {value!r}: pass a finite number{'' if least < 0 else ', 0 or more'}")
    return found


def moment(at: float | datetime | None, *, now: WallTime) -> WallTime:
    """Return a moment by the wall's clock: `now` for `None`. Raises `GuardError` for what is none, or still to come."""
    if at is None:
        return now
    if isinstance(at, datetime) and at.tzinfo is None:
        raise GuardError(f"at is {at!r}: pass Unix seconds or an aware datetime, such as datetime.now(UTC)")
    found = WallTime(number(at.timestamp() if isinstance(at, datetime) else at, "at", least=0.0))
    if is_ahead(found, now=now):
        raise GuardError(f"at is {at!r}, which is still to come: pass Unix seconds, or an aware datetime")
    return min(found, now)


def text(value: str, name: str) -> str:
    """Return a text. Raises `GuardError` for what is none, or cannot be stored."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > _MOST_CHARACTERS:
        raise GuardError(f"{name} is {value!r:.200}: pass a text of at most {_MOST_CHARACTERS} characters in one line")
    return value
