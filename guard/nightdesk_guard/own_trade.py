"""A trade that a bot of one's own tells its guard of, in numbers that can be reckoned with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nightdesk_core.errors import NightdeskError
from nightdesk_core.numbers import Number, as_float

from nightdesk_guard.limits import TradeResult
from nightdesk_guard.performance import GuardStatus

FORKED = (
    "this process was forked from the one that the guard belongs to. Nothing may be entered here, and nothing is kept:"
    " it would replace what the bot remembers. Make a Guard in this process, after the fork, with a folder of its own"
)


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
