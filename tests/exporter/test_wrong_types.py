"""Whatever a call is given, of whatever type: it does not raise, and what is known can still be shown."""

from __future__ import annotations

import inspect
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from nightdesk_exporter import BotExporter

from tests.campaigns import SEED, cases
from tests.exporter.conftest import scrape

CALLS = [name for name, call in inspect.getmembers(BotExporter, inspect.isfunction) if hasattr(call, "__wrapped__")]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, 1j, object(), len),
    *("x", "", "\ud800", b"x", [], {}, {"A": 1}, {"A": ("long",)}, {"A": ("short", 0.5)}, {1: 2}, ("long", 1)),
    *(datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), Decimal("sNaN"), Decimal(1), Fraction(1, 3)),  # noqa: DTZ001
    *(np.array([1, 2]), np.array(1), np.float32(1), np.datetime64("2024-01-01"), np.str_("x")),
]


@pytest.mark.fuzz
def test_no_call_raises_whatever_it_is_given_and_what_is_known_can_be_shown() -> None:
    print(f"NIGHTDESK_SEED={SEED}")
    drawn, exporter = random.Random(SEED), BotExporter("mine", symbols=["A"], timeframe="1h", port=0)
    parameters = {name: list(inspect.signature(getattr(BotExporter, name)).parameters)[1:] for name in CALLS}
    for _ in range(cases(sample=40, campaign=2_000)):
        for _ in range(50):
            name = drawn.choice([name for name in CALLS if not name.startswith("_")])
            given = {each: drawn.choice(VALUES) for each in parameters[name] if drawn.random() < 0.8}
            getattr(exporter, name)(**given)
        json.dumps(exporter.status(), allow_nan=False)
        assert scrape(exporter)
        exporter.health()
    assert len(exporter.snapshot.wrong_calls) > 20
