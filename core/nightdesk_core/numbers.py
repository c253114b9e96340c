"""Numbers as bots hold them, as floats: int, float, Decimal, Fraction, and the scalars of numpy and pandas.

The one place where money and ratios from outside become floats. It imports neither numpy nor pandas.
"""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Any, SupportsFloat

Number = SupportsFloat
"""What a number may be declared as: a float, or whatever can be made one."""


def as_float(value: Any) -> float:
    """Return a number as a float: infinity for one that no float can hold, NaN for one that is none.

    Raises `TypeError` for what is no number: `None`, a bool, text, a complex number, an array of several.
    """
    if type(value) is float:
        return value
    if isinstance(value, (Real, Decimal)) and not isinstance(value, bool):
        number: Any = value
        try:
            return float(number)
        except OverflowError:
            return math.inf if number > 0 else -math.inf
        except ValueError:  # a signalling NaN
            return math.nan
    # An array without a dimension holds one number; a numpy bool or text comes out as Python's, and is refused.
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        held = value.item()
        if type(held) is not type(value):
            return as_float(held)
    raise TypeError(f"{'None' if value is None else f'a {type(value).__name__}'} is no number")
