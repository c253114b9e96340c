"""Numbers of every kind that a bot may hold become floats in one place."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.numbers import as_float

NUMBERS = [
    1,
    1.5,
    Decimal("1.5"),
    Fraction(3, 2),
    np.float64(1.5),
    np.float32(1.5),
    np.float16(1.5),
    np.longdouble(1.5),
    np.int64(2),
    np.uint8(2),
    np.array(1.5),
    np.array(2),
    pd.Series([1.5]).iloc[0],
    pd.Series([2], dtype="Int64").iloc[0],
    pd.DataFrame({"close": [1.5]})["close"].max(),
]
NO_NUMBERS = [
    None,
    True,
    np.True_,
    "1.5",
    np.str_("1.5"),
    b"1",
    1 + 2j,
    np.complex128(1),
    [1.5],
    np.array([1.5]),
    np.array("x"),
    np.array(None),
    pd.Series([1.5]),
    pd.NA,
    pd.NaT,
    np.datetime64("2024-01-01"),
    object(),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: type(number).__name__)
def test_a_number_of_any_kind_is_a_float(number: Any) -> None:
    found = as_float(number)
    assert type(found) is float
    assert found == (2.0 if int(number) == 2 else 1.0 if number == 1 else 1.5)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="is no number"):
        as_float(value)


@pytest.mark.parametrize("huge", [10**400, Decimal("1e400"), Fraction(10**400)])
def test_what_no_float_can_hold_is_infinite_and_keeps_its_sign(huge: Any) -> None:
    assert (as_float(huge), as_float(-huge)) == (math.inf, -math.inf)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), np.float64("nan"), math.nan])
def test_what_is_not_a_number_is_nan(value: Any) -> None:
    assert math.isnan(as_float(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_same_number_in_another_type_is_the_same_float(number: float) -> None:
    assert as_float(Decimal(number)) == as_float(Fraction(number)) == as_float(np.float64(number)) == number
