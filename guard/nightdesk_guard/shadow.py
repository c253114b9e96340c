"""What the bot's shadow trades say: trades that it would have made, had the guard not held it back. No money moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nightdesk_guard.limits import TradeResult


@dataclass(frozen=True)
class ShadowEvidence:
    """The last shadow trades since the guard's last move."""

    wins: tuple[bool, ...] = ()
    """Outcomes, newest last, at most a window of them."""
    peaks: tuple[float, ...] = ()
    """The highest shadow equity before the first of these trades closed, and after each."""
    equity: float = 0.0

    @property
    def drawdown(self) -> float:
        """Fall of the shadow account from its peak while these trades were made, a ratio."""
        peak = max(self.peaks, default=0.0)
        return 1 - self.equity / peak if peak > 0 else 0.0

    @property
    def wins_in_a_row(self) -> int:
        """How many of the last trades were won without one lost between them."""
        return next((count for count, won in enumerate(reversed(self.wins)) if not won), len(self.wins))

    def win_rate(self, trades: int) -> float | None:
        """Return the share won of the last `trades`; `None` where there are fewer."""
        return sum(self.wins[-trades:]) / trades if len(self.wins) >= trades else None

    def scaled(self, factor: float) -> ShadowEvidence:
        """Return the evidence in the money of an account that a cash flow has made larger or smaller."""
        return replace(self, peaks=tuple(peak * factor for peak in self.peaks), equity=self.equity * factor)

    def after(self, closed: Sequence[TradeResult], equity: float | None, *, window: int) -> ShadowEvidence:
        """Return the evidence after a candle in which trades closed; of no more than the last `window` of them.

        What was lost before the oldest of them counts no more: otherwise one deep fall would hold the bot for ever.
        """
        if equity is None:
            return self
        peaks = (*self.peaks[:-1], max(*self.peaks[-1:], equity)) if self.peaks else (equity,)
        peaks += (equity,) * len(closed)
        wins = (*self.wins, *(result.won for result in closed))
        return ShadowEvidence(wins[-window:], peaks[-window - 1 :], equity)
