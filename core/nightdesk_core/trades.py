"""A closed trade, as the engine reports it and the journal, the guard and the gate read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExitReason = Literal["target", "stop", "time", "kill_switch", "operator"]
"""`operator`: a person closed it in the books, at a price of theirs."""


@dataclass(frozen=True)
class ClosedTrade:
    """One round trip. Times are market time in Unix seconds, money is in the account's currency."""

    symbol: str
    side: Literal["long", "short"]
    quantity: float
    entry_time: int
    entry_price: float
    exit_time: int
    """The close of the candle whose barrier ended the trade."""
    exit_price: float
    exit_reason: ExitReason
    fees: float
    funding: float
    profit: float
    """Net of fees, slippage and funding."""
    equity_before: float
    """The equity that the position was sized by."""
    model_version: str
    slippage: float = 0.0
    """What of the profit was lost between the prices seen and the prices got."""
    risk: float | None = None
    """What the stop would have cost, before fees; `None` for a trade without one."""
    guard: Literal["normal", "reduced"] = "normal"
    """How the guard stood when the entry was decided."""

    @property
    def r(self) -> float:
        """Return the net profit in R, multiples of the risk; of a trade without a stop, in shares of its notional."""
        return self.profit / self.unit

    @property
    def unit(self) -> float:
        """Return what R is measured in: the risk; of a trade without a stop, its notional at the entry."""
        return self.risk or self.quantity * self.entry_price

    @property
    def won(self) -> bool:
        """Whether the trade earned more than it cost."""
        return self.profit > 0
