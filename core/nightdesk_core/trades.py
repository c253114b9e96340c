"""A closed trade, as the engine reports it and the journal, the guard and the gate read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExitReason = Literal["target", "stop", "time"]


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

    @property
    def won(self) -> bool:
        """Whether the trade earned more than it cost."""
        return self.profit > 0
