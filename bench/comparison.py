"""A row of the table: what ours took, what the peer took in the same run, and the goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[float, float]
"""Ours and the peer's, measured side by side."""

HEADER = f"{'':44} {'ours':>8} {'peer':>8} {'':2} {'':32} {'ratio: min':>10} {'median':>7} {'max':>7} {'goal':>7}"


@dataclass(frozen=True)
class AtLeast:
    """A goal for the peer's figure over ours: the median of the rounds."""

    ratio: float

    def __str__(self) -> str:
        return f"≥ {self.ratio:g}"

    def is_met(self, rounds: Sequence[Pair]) -> bool:
        """Return whether what was measured reaches it."""
        return statistics.median(theirs / ours for ours, theirs in rounds) >= self.ratio


@dataclass(frozen=True)
class AtMost:
    """A goal for our own figure, in the row's unit, whatever the peer's is: the median of the rounds."""

    figure: float

    def __str__(self) -> str:
        return f"≤ {self.figure:g}"

    def is_met(self, rounds: Sequence[Pair]) -> bool:
        """Return whether what was measured reaches it."""
        return statistics.median(ours for ours, _ in rounds) <= self.figure


@dataclass(frozen=True)
class AtMostTimes:
    """A goal for our figure over the peer's: the median of the rounds."""

    factor: float

    def __str__(self) -> str:
        return f"≤ {self.factor:g} times"

    def is_met(self, rounds: Sequence[Pair]) -> bool:
        """Return whether what was measured reaches it."""
        return statistics.median(ours / theirs for ours, theirs in rounds) <= self.factor


@dataclass(frozen=True)
class Row:
    """One comparison, as measured. A row without a goal is there to be read beside one that has it."""

    name: str
    peer: str
    unit: str
    rounds: Sequence[Pair]
    goal: AtLeast | AtMost | AtMostTimes | None = None

    def __str__(self) -> str:
        ours, theirs = (statistics.median(side) for side in zip(*self.rounds, strict=True))
        ratios = [their / our for our, their in self.rounds]
        goal = "" if self.goal is None else f"{self.goal!s:>7}  {'met' if self.goal.is_met(self.rounds) else 'missed'}"
        return (
            f"{self.name:44} {ours:#8.3g} {theirs:#8.3g} {self.unit:2} {self.peer:32}"
            f" {min(ratios):10.2f} {statistics.median(ratios):7.2f} {max(ratios):7.2f} {goal}"
        ).rstrip()
