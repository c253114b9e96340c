"""A chart's scale: round numbers that hold all values."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_STEPS = 4
_FLAT_SHARE = 0.01
"""By how much of the value a scale reaches beyond it where all values are the same."""
_HAIR = 1e-9
"""What is smaller, of the value or at all, is nothing to a chart."""


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` in steps of the same size."""

    low: float
    high: float
    step: float

    def ticks(self) -> tuple[float, ...]:
        """Return the numbers to write, highest first."""
        count = round((self.high - self.low) / self.step)
        return tuple(self.high - number * self.step for number in range(count + 1))

    def places(self) -> int:
        """Return the decimal places that tell the ticks apart."""
        for places in range(9):
            if abs(round(self.step, places) - self.step) < self.step * _HAIR:
                return places
        return 9

    def height(self, value: float) -> float:
        """Return where a value is, from 0 at the top to 1 at the bottom."""
        return (self.high - value) / (self.high - self.low)


def axis(lowest: float, highest: float) -> Axis:
    """Return the scale that holds two finite values and all between them."""
    if highest - lowest <= max(abs(lowest), abs(highest), _HAIR) * _HAIR:
        reach = abs(highest) * _FLAT_SHARE if abs(highest) > _HAIR else 1.0
        lowest, highest = lowest - reach, highest + reach
    rough = (highest - lowest) / _MOST_STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * factor for factor in (*_STEPS, 20.0)):
        low, high = math.floor(lowest / step + _HAIR) * step, math.ceil(highest / step - _HAIR) * step
        if round((high - low) / step) <= _MOST_STEPS:
            break
    return Axis(low, high, step)
